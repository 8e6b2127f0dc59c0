"""
What a TCP session says when it refuses: a line, a command, a version, a flaw of the stream, an answer over its bound.

Only the errors of the conversation itself; what is wrong with a request is said by `requests`, and by operations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jobwire_server.errors import JobwireError
from jobwire_server.wire.tcp_codec import Flaw
from jobwire_server.wire.tcp_verdicts import FIRST_VERSION, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

SUPPORTED_VERSIONS: Final = (1, 2)

REFUSALS: Final = {
    Verdict.UNAUTHORIZED: JobwireError(
        "UNAUTHORIZED",
        'Authentication required; send {"cmd":"auth","token":"…"} first, or a token in hello',
    ),
    Verdict.SHUTTING_DOWN: JobwireError(
        "SHUTTING_DOWN", "The server is shutting down; nothing was done, try again"
    ),
}
_FLAWS: Final = {
    Flaw.BINARY: JobwireError(
        "UNSUPPORTED_PROTOCOL",
        "Binary frames are not supported; send one JSON object a line",
        {"saw": "binary"},
    ),
    Flaw.TLS: JobwireError(
        "UNSUPPORTED_PROTOCOL",
        "This port does not speak TLS; connect without it, or set a certificate on the server",
        {"saw": "tls"},
    ),
    Flaw.HTTP: JobwireError(
        "UNSUPPORTED_PROTOCOL",
        "This port speaks JSON lines; use the HTTP port for HTTP",
        {"saw": "http"},
    ),
}


def flaw_error(flaw: Flaw, limit: int) -> JobwireError:
    """What is wrong with a stream whose lines may have `limit` bytes."""
    return _FLAWS.get(flaw) or JobwireError(
        "PAYLOAD_TOO_LARGE",
        f"The line is longer than {limit} bytes; send smaller batches",
        {"limit": limit},
    )


def too_new(name: str) -> JobwireError:
    """A command of a later version than the one that was chosen."""
    version = FIRST_VERSION[name]
    return JobwireError(
        "UNKNOWN_COMMAND",
        f"Unknown command: {name} (it needs wire version {version}; say hello first)",
        {"cmd": name},
    )


def hello_twice() -> JobwireError:
    """A hello after the first one that was greeted."""
    return JobwireError(
        "VALIDATION_ERROR",
        "Validation error: hello was said before; a connection keeps its version",
        {"pointer": "/cmd"},
    )


def unsupported(offered: Sequence[int]) -> JobwireError:
    """A hello that offers only versions which are not spoken here."""
    return JobwireError(
        "UNSUPPORTED_VERSION",
        f"No version of {sorted(set(offered))} is spoken here; offer one of {list(SUPPORTED_VERSIONS)}",
        {"supported": list(SUPPORTED_VERSIONS)},
    )


def answer_too_large(size: int, limit: int) -> JobwireError:
    """An answer of `size` bytes where `limit` are allowed."""
    return JobwireError(
        "PAYLOAD_TOO_LARGE",
        f"The answer has {size} bytes and may have {limit}; ask for less at a time",
        {"limit": limit},
    )
