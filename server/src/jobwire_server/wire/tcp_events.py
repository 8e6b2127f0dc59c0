"""
What a TCP session hands out to be done: the events of `Session.next_event`.

They are plain data. When each is handed out is the session's business, carrying it out that of whoever owns the socket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(slots=True, eq=False)
class Batch:
    """
    Requests of one command, to be carried out by one call. Answer with `Session.answer`, one result a request.

    `waits` is True for a single request that may be held until there is something to say: `Session.abandon` ends it.
    """

    name: str
    requests: list[Any]
    rids: list[int | None]
    ordered: bool
    waits: bool
    size: int


@dataclass(slots=True, frozen=True)
class Hello:
    """A hello that chose `version`. Check `token` when there is one and the session wants one, then call `Session.greet`."""

    request: Any
    rid: int | None
    version: int

    @property
    def token(self) -> str | None:
        token: str | None = self.request.token
        return token


@dataclass(slots=True, frozen=True)
class Authenticate:
    """Check `token`, then call `Session.authenticate`."""

    token: str
    rid: int | None


@dataclass(slots=True, frozen=True)
class Abort:
    """End the wait of `batch`, then call `Session.aborted` once that batch is answered."""

    batch: Batch
    rid: int | None


@dataclass(slots=True, frozen=True)
class PeerDone:
    """The peer has said its last word, and may be gone: end every wait."""


@dataclass(slots=True, frozen=True)
class Write:
    """Send what `data_to_send` has before asking for the next event."""


@dataclass(slots=True, frozen=True)
class Close:
    """
    Everything is answered: send what `data_to_send` has, then close.

    `unread` says that the peer may still be sending. Closing then would reset the connection and could take the last
    words with it, so end the output first and throw away what comes for a moment.
    """

    unread: bool


Event: TypeAlias = Batch | Hello | Authenticate | Abort | PeerDone | Write | Close
