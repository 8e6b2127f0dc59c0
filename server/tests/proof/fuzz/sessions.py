"""A TCP session without a socket, fed with pieces: all that it answers, with a shell that refuses every job and says yes to every token."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobwire_server.errors import job_not_found
from jobwire_server.wire import answers, limits
from jobwire_server.wire.tcp_events import Abort, Authenticate, Batch, Close, Event, Hello, Write
from jobwire_server.wire.tcp_session import Session

JOB = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f"
WELCOME = answers.Welcome(
    v=2, server={}, capabilities=[], limits={}, defaults={}, heartbeat_ms=limits.DEFAULT_HEARTBEAT_MS
)  # fmt: skip


@dataclass(slots=True)
class Said:
    """The lines that were answered. `is_plain`: nothing ended the conversation but the end of the stream."""

    said: list[bytes]
    is_plain: bool
    wire: int
    longest_ms: (
        float  # of processor time, between two points at which a door lets others have a turn
    )

    @property
    def answers(self) -> list[bytes] | tuple[list[bytes], list[bytes]]:
        """What may not depend on how the stream was cut. In version 2 only requests without a rid have an order (JW-TCP-23, JW-TCP-24)."""
        if self.wire == 1:
            return self.said
        return sorted(self.said), [line for line in self.said if b'"rid":' not in line]

    @staticmethod
    def lines_of(data: bytes) -> int:
        """Lines in a stream, the last one with or without its newline."""
        return data.count(b"\n") + (not data.endswith(b"\n") and bool(data))


@dataclass(slots=True)
class Shell:
    """Carries out events at once, but for requests that wait: those end with the stream, or by an abort."""

    session: Session
    out: bytearray = field(default_factory=bytearray)
    waiting: list[Batch] = field(default_factory=list)
    aborts: list[Abort] = field(default_factory=list)
    closed: bool = False
    longest_ns: int = 0

    def pump(self) -> None:
        began = time.thread_time_ns()
        while not self.closed and (event := self.session.next_event()) is not None:
            self._act(event)
            self.out += self.session.data_to_send()
            if isinstance(event, Write):
                self.longest_ns = max(self.longest_ns, time.thread_time_ns() - began)
                began = time.thread_time_ns()
        self.out += self.session.data_to_send()
        self.longest_ns = max(self.longest_ns, time.thread_time_ns() - began)

    def end_waits(self) -> None:
        """At the end of the stream; what was answered may let more begin."""
        while self.waiting:
            self._refuse(self.waiting.pop(0))
            self.pump()
        for abort in self.aborts:
            self.session.aborted(abort, True)
        self.aborts.clear()
        self.pump()

    def _act(self, event: Event) -> None:
        if isinstance(event, Batch) and event.waits:
            self.waiting.append(event)
        elif isinstance(event, Batch):
            self._refuse(event)
        elif isinstance(event, Hello):
            self.session.greet(event, WELCOME)
        elif isinstance(event, Authenticate):
            self.session.authenticate(event, None)
        elif isinstance(event, Abort):
            self.aborts.append(event)
        elif isinstance(event, Close):
            self.closed = True

    def _refuse(self, batch: Batch) -> None:
        self.session.answer(batch, [job_not_found(JOB)] * len(batch.rids))


def answers_of(pieces: Sequence[bytes]) -> Said:
    """What a session says to a stream that comes in these pieces and ends."""
    session = Session(
        authenticated=True, max_in_flight=16, max_response_bytes=1 << 20, line_bytes=1 << 15
    )
    shell = Shell(session)
    for piece in pieces:
        session.receive_data(piece)
        shell.pump()
    ended_early = shell.closed or session.backlogged
    session.receive_eof()
    shell.pump()
    shell.end_waits()
    is_plain = session._decoder.flaw is None and not ended_early and not session._last_words
    longest_ms = shell.longest_ns / 1e6
    return Said(bytes(shell.out).splitlines(), is_plain, session.wire, longest_ms)
