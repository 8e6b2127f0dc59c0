"""
`FakeServer`: the HTTP and TCP doors of Jobwire on loopback, in this process, with a clock that the test moves.

What it does is what spec/lifecycle.yaml and spec/wire.yaml say; the contract tests run against it and against the real
server alike. What it cannot do is last: nothing is written anywhere.
"""

from __future__ import annotations

import time
from collections import deque
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from jobwire.testing._fake_http import HttpSession
from jobwire.testing._fake_job import EPOCH, Refused, job_view
from jobwire.testing._fake_json import plain
from jobwire.testing._fake_listener import HOST, Listener
from jobwire.testing._fake_queue import FakeQueue
from jobwire.testing._fake_service import Call, FakeService
from jobwire.testing._fake_tcp import TcpSession

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

PATIENCE: Final = 10.0  # seconds that a test waits for something before it counts as failed


class FakeServer:
    """
    An in-process Jobwire server for tests.

        with FakeServer() as fake, Client(fake.url) as client:
            client.push("emails", "welcome", {"to": "ada"}, delay=60)
            fake.advance(60)
            (job,) = client.pull(["emails"])

    The clock stands still: delays, leases, timeouts, retries and retention move only with :meth:`advance`. A held pull or
    heartbeat ends when its wait is over in real time or on this clock, whichever is first.

    Args:
        now: Where the clock starts; the real time by default.
        token: The bearer token that the doors want; None wants none.
        seed: Decides backoff jitter and weighted pulls, so that a run can be repeated.

    Safe between threads. `close` (or the end of `with`) ends every thread and connection.
    """

    def __init__(
        self, *, now: datetime | None = None, token: str | None = None, seed: int = 0
    ) -> None:
        start = time.time_ns() // 1_000_000 if now is None else (now - EPOCH) // _MILLISECOND
        self._service = FakeService(FakeQueue(start, seed), token)
        self._sessions: set[TcpSession] = set()
        self._http = Listener("jobwire-fake-http", self._serve_http)
        self._tcp = Listener("jobwire-fake-tcp", self._serve_tcp)
        self._service.deliver = lambda session, notice: session.notify(notice)

    def __enter__(self) -> FakeServer:
        self.accept_connections()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"FakeServer({self.url!r}, {self.tcp_url!r})"

    def close(self) -> None:
        """End every connection and thread. Idempotent."""
        self.stop()
        self._http.close()
        self._tcp.close()

    # --- where it is ---

    @property
    def url(self) -> str:
        """The address of the HTTP door."""
        return f"http://{HOST}:{self._http.port}"

    @property
    def tcp_url(self) -> str:
        """The address of the TCP door."""
        return f"tcp://{HOST}:{self._tcp.port}"

    # --- time ---

    @property
    def now(self) -> datetime:
        """The instant at which the clock stands."""
        return EPOCH + timedelta(milliseconds=self._service.queue.now)

    def advance(self, seconds: float) -> None:
        """Move the clock on; all that falls due on the way happens in order, each at its instant."""
        self._service.change(lambda queue: queue.advance(round(seconds * 1000)))

    # --- faults ---

    def drop_next_answer(self, operation: str, times: int = 1) -> None:
        """Carry the next *times* requests of this operation out, and cut the connection in place of the answer."""
        self._service.faults.dropped_answers[operation] = times

    def swallow_next(self, operation: str, times: int = 1) -> None:
        """Neither carry out nor answer the next *times* requests of this operation; their connections stay open."""
        self._service.faults.swallowed[operation] = times

    def refuse_next(self, operation: str, code: str, message: str = "", times: int = 1) -> None:
        """Answer the next *times* requests of this operation with an error, carrying nothing out."""
        refusals = (Refused(code, message or f"{code} by a fault") for _ in range(times))
        self._service.faults.refusals.setdefault(operation, deque()).extend(refusals)

    def refuse_connections(self) -> None:
        """Refuse new connections on both doors, keeping the ports; open ones stay."""
        self._http.refuse()
        self._tcp.refuse()

    def accept_connections(self) -> None:
        """Take connections (again)."""
        self._http.accept()
        self._tcp.accept()

    def cut_connections(self) -> None:
        """Reset every open connection. What was held for one of them is not carried out."""
        self._http.cut()
        self._tcp.cut()
        self._service.end_waits()

    def stop(self) -> None:
        """Be down: refuse and cut. Jobs and settings stay, as on disk."""
        self.refuse_connections()
        self.cut_connections()

    def start(self) -> None:
        """Be up again after :meth:`stop`; each active lease gets its whole length anew (C6)."""
        self._service.operations.draining = False
        self._service.change(lambda queue: queue.grace())
        self.accept_connections()

    def restart(self) -> None:
        """Stop and start at once."""
        self.stop()
        self.start()

    def drain(self) -> None:
        """
        What SIGTERM does to a server: pulls answer SHUTTING_DOWN, held ones end, and TCP sessions hear `goaway`, get the
        answers to what they have asked, and end.
        """
        self._service.drain()
        for session in list(self._sessions):
            session.drain()

    def make_deaf(self, worker_id: str) -> None:
        """Tell this worker `deaf: true` until its next pull."""

        def mark(queue: FakeQueue) -> None:
            queue.worker(worker_id, "http").deaf = True

        self._service.change(mark)

    # --- looking inside ---

    @property
    def calls(self) -> list[Call]:
        """Every request so far: operation, fields as sent, door. Greetings are not among them."""
        with self._service.changed:
            return list(self._service.calls)

    def calls_of(self, operation: str) -> list[dict[str, Any]]:
        """The fields of each request of one operation, in order."""
        return [call.fields for call in self.calls if call.operation == operation]

    @property
    def connection_count(self) -> int:
        """Open connections on both doors."""
        return self._http.connection_count + self._tcp.connection_count

    def job(self, job_id: str) -> dict[str, Any]:
        """The Job object of the wire, as it is now; raises KeyError for one that is not there."""
        with self._service.changed:
            job = self._service.queue.jobs[job_id]
            if job.state == "removed":
                raise KeyError(job_id)
            view: dict[str, Any] = plain(job_view(job))
            return view

    def wait_for(self, operation: str, count: int = 1, timeout: float = PATIENCE) -> None:
        """Wait until *count* requests of this operation have come since the start; AssertionError when they do not."""

        def arrived() -> bool:
            return sum(1 for call in self._service.calls if call.operation == operation) >= count

        self.wait_until(arrived, timeout, f"{count} x {operation}")

    def wait_for_state(self, job_id: str, state: str, timeout: float = PATIENCE) -> None:
        """Wait until a job is in *state*; AssertionError when it does not get there."""

        def is_there() -> bool:
            return self._service.queue.jobs[job_id].state == state

        self.wait_until(is_there, timeout, f"job {job_id} {state}")

    def wait_until(
        self, claim: Callable[[], bool], timeout: float = PATIENCE, what: str = "it"
    ) -> None:
        """Wait until *claim* holds; it is asked again after each request. No polling and no sleep."""
        if not self._service.wait_until(claim, timeout):
            raise AssertionError(f"waited {timeout} s in vain for {what}")

    # --- the doors ---

    def _serve_http(self, connection: socket.socket) -> None:
        HttpSession(connection, self._service)

    def _serve_tcp(self, connection: socket.socket) -> None:
        session = TcpSession(connection, self._service)
        self._sessions.add(session)
        try:
            session.serve()
        finally:
            self._sessions.discard(session)


_MILLISECOND: Final = timedelta(milliseconds=1)
