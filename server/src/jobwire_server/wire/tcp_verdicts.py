"""
What becomes of each command in each state of a TCP connection: one table, and the version that each command needs.

Nothing is carried out here; the session looks its verdict up and acts on it.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from jobwire_server.wire.commands import COMMANDS


class State(Enum):
    CONNECTED = "connected"
    READY = "ready"
    DRAINING = "draining"
    CLOSED = "closed"


class Verdict(Enum):
    """What becomes of a command in a state."""

    RUN = "run"
    GREET = "greet"
    CHECK_TOKEN = "check_token"
    OK = "ok"
    ABORT = "abort"
    BYE = "bye"
    UNAUTHORIZED = "unauthorized"
    SHUTTING_DOWN = "shutting_down"


# Command × state. `open` are the commands that need no token, `guarded` all others that are carried out by operations.
_VALIDITY: Final[dict[str, tuple[Verdict, Verdict, Verdict]]] = {
    #           CONNECTED             READY          DRAINING
    "hello": (Verdict.GREET, Verdict.GREET, Verdict.SHUTTING_DOWN),
    "auth": (Verdict.CHECK_TOKEN, Verdict.OK, Verdict.SHUTTING_DOWN),
    "ping": (Verdict.OK, Verdict.OK, Verdict.OK),
    "abort": (Verdict.UNAUTHORIZED, Verdict.ABORT, Verdict.ABORT),
    "bye": (Verdict.BYE, Verdict.BYE, Verdict.BYE),
    "open": (Verdict.RUN, Verdict.RUN, Verdict.SHUTTING_DOWN),
    "guarded": (Verdict.UNAUTHORIZED, Verdict.RUN, Verdict.SHUTTING_DOWN),
}


def _row(name: str) -> tuple[Verdict, Verdict, Verdict]:
    kind = "guarded" if COMMANDS[name].auth else "open"
    return _VALIDITY.get(name, _VALIDITY[kind])


_TCP_COMMANDS: Final = tuple(name for name, info in COMMANDS.items() if info.wire is not None)
VERDICTS: Final[dict[State, dict[str, Verdict]]] = {
    state: {name: _row(name)[column] for name in _TCP_COMMANDS}
    for column, state in enumerate((State.CONNECTED, State.READY, State.DRAINING))
}
FIRST_VERSION: Final = {name: COMMANDS[name].wire or 1 for name in _TCP_COMMANDS}
