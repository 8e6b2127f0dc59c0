"""JSON that a person gives: on the command line, from a file, or on stdin. Checked, and sent as it was written."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from jobwire_server.cli.exits import CliError, usage
from jobwire_server.wire import limits


def read(text: str | None, what: str) -> msgspec.Raw | None:
    """
    The JSON of an argument: `@path` reads a file, `-` reads stdin, anything else is the JSON itself.

    `what` names the argument in messages. Raises CliError (exit 2) for what is not JSON; nothing is ever put in its place.
    """
    if text is None:
        return None
    raw = _bytes_of(text, what)
    try:
        msgspec.json.decode(raw.decode())  # msgspec alone lets bad UTF-8 pass
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _not_json(what, error) from None
    return msgspec.Raw(raw)


def _bytes_of(text: str, what: str) -> bytes:
    """The bytes of the argument; no more than a little over the limit of one line, which the server would refuse."""
    most = limits.LINE_BYTES + 1
    if text == "-":
        return sys.stdin.buffer.read(most).strip()
    if not text.startswith("@"):
        return text.encode(errors="surrogateescape").strip()
    try:
        with Path(text[1:]).open("rb") as file:
            return file.read(most).strip()
    except OSError as error:
        raise usage(f"cannot read {what} from {text[1:]} ({error.strerror})") from error


def _not_json(what: str, error: Exception) -> CliError:
    return usage(
        f"{what} is not JSON ({error})",
        'quote it for the shell, as in \'{"to": "ada@example.com"}\', or give @FILE, or - for stdin',
    )
