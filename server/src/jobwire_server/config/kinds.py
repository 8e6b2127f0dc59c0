"""
Kinds of values that a setting may have: what is accepted, how it is tidied, and the sentence for what is refused.

Which settings there are stands in `settings`. Nothing here knows the name of a setting or where its value came from, and a
sentence never says a token itself: messages end in logs and on screens.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from jobwire_server.store import urls
from jobwire_server.wire import limits

MIB: Final = 1024 * 1024


def _not_bool(value: object) -> object:
    """TOML's `true` is no number, though Python's True is."""
    if isinstance(value, bool):
        raise ValueError("give a whole number, not true or false")
    return value


def _split(value: object) -> object:
    """A list in an environment variable is separated by commas."""
    if not isinstance(value, str):
        return value
    parts = [part for raw in value.split(",") if (part := raw.strip())]
    if not parts:
        raise ValueError("give values with commas between them, or leave it out")
    return parts


def _host(host: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:%-]+", host):
        raise ValueError(
            "give an address such as 127.0.0.1, ::1 or 0.0.0.0, without a port or brackets"
        )
    return host


def _origin(origin: str) -> str:
    if not re.fullmatch(r"https?://[^/?#\s@*]+", origin):
        raise ValueError(
            "give each origin as scheme://host[:port], such as https://admin.example.com"
        )
    return origin.lower()


def _file(path: Path) -> Path:
    if str(path) in ("", ".") or "\0" in str(path):
        raise ValueError("give the path of a file, or leave it out")
    return path


def _network(network: str) -> str:
    try:
        return str(ipaddress.ip_network(network, strict=False))
    except ValueError:
        shown = network.rpartition("@")[2]  # a URL may have got here, with its password
        raise ValueError(
            f"'{shown}' is no network; give addresses such as 10.0.0.0/8 or ::1"
        ) from None


def checked_token(token: SecretStr) -> SecretStr:
    """The token, if it can be one; the ValueError of another one does not say it."""
    text = token.get_secret_value()
    if text.startswith("sha256:") and not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise ValueError("a hashed token is sha256: and 64 lower-case hex digits")
    if not re.fullmatch(rf"[!-~]{{1,{limits.TOKEN_BYTES}}}", text):
        raise ValueError(
            f"a token is 1 to {limits.TOKEN_BYTES} visible ASCII characters, without spaces; "
            "make one with: openssl rand -hex 32"
        )
    return token


def _storage(url: str) -> str:
    path = urls.parse(url).path
    if path == ":memory:":  # SQLite's own word, which would lose every job quietly
        raise ValueError("give memory:// to keep nothing, or sqlite:///./jobwire.db")
    return url


Whole = Annotated[int, BeforeValidator(_not_bool)]
Port = Annotated[Whole, Field(ge=0, le=65535)]
Count = Annotated[Whole, Field(ge=1, le=1_000_000)]
Ms = Annotated[Whole, Field(ge=1, le=limits.DURATION_MS)]
MsOrNever = Annotated[Whole, Field(ge=0, le=limits.DURATION_MS)]
Bytes = Annotated[Whole, Field(ge=64 * 1024, le=1024 * MIB)]
# A job with the most of everything has some 5 MiB in an answer, and must have room in one.
AnswerBytes = Annotated[Whole, Field(ge=8 * MIB, le=1024 * MIB)]
File = Annotated[Path, AfterValidator(_file)]
Host = Annotated[str, AfterValidator(_host)]
Hosts = Annotated[tuple[Host, ...], BeforeValidator(_split)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_split)]
Networks = Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_split)]
Tokens = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(checked_token)], ...], BeforeValidator(_split)
]
Backoff = Literal["fixed", "linear", "exponential"]
Storage = Annotated[str, AfterValidator(_storage)]
