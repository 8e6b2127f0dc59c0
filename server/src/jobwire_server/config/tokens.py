"""
The tokens of auth.tokens and auth.tokens_file, as hashes.

Comparing them with what a caller sends is the gate's business (auth.py).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pydantic import SecretStr

from jobwire_server.config.kinds import checked_token
from jobwire_server.config.problems import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from jobwire_server.config.settings import AuthSettings


def token_hashes(auth: AuthSettings) -> tuple[bytes, ...]:
    """
    The SHA-256 of each token of auth.tokens and of auth.tokens_file, read anew at each call; () when none is set.

    Raises ConfigError when the file cannot be read, holds no token, or holds something that cannot be one.
    """
    secrets = [*auth.tokens, *(_tokens_of_file(auth.tokens_file) if auth.tokens_file else ())]
    return tuple(dict.fromkeys(_hash(secret.get_secret_value()) for secret in secrets))


def _hash(token: str) -> bytes:
    if token.startswith("sha256:"):
        return bytes.fromhex(token.removeprefix("sha256:"))
    return hashlib.sha256(token.encode()).digest()


def _tokens_of_file(path: Path) -> tuple[SecretStr, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        tokens = tuple(
            checked_token(SecretStr(line))
            for raw in lines
            if (line := raw.partition("#")[0].strip())
        )
    except OSError as error:
        message = f"cannot read {path} ({error.strerror}); name a file with one token a line"
        raise ConfigError(Problem("auth.tokens_file", str(path), message)) from error
    except (
        ValueError
    ) as error:  # also what is not UTF-8; its text would show the file, so only ours is said
        message = "not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ConfigError(Problem("auth.tokens_file", str(path), message)) from None
    if not tokens:
        raise ConfigError(
            Problem("auth.tokens_file", str(path), "it holds no token; write one a line")
        )
    return tokens
