"""
One TCP connection's conversation, without the socket (wire.md, design §8).

Give it what arrived (`receive_data`, `receive_eof`), ask it what to do (`next_event`, until None), tell it what came of that
(`greet`, `authenticate`, `answer`, `abandon`, `aborted`), and write what it wants sent (`data_to_send`).

State: CONNECTED (a token is wanted) → READY → DRAINING (what is in flight is finished, nothing new begins) → CLOSED.
Order: a request with a rid, once hello has chosen version 2, is handed out at once and answered when it is done. All others go
through the lane: handed out when the one before is answered, so their answers stand in the order of their lines.
Bounds: requests that were taken and not answered are at most `max_in_flight`, and their lines at most IN_FLIGHT_BYTES (plus
one line); further lines stay as they came (`backlogged`) until there is room, and whoever owns the socket stops reading.

The table of what is allowed when stands in `tcp_verdicts`, what is handed out in `tcp_events`, the words of a refusal in
`tcp_refusals`. No socket, no task and no deadline belongs here.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jobwire_server.errors import JobwireError
from jobwire_server.wire import answers, responses, tcp_refusals
from jobwire_server.wire.limits import BATCH_ITEMS, LINE_BYTES, UNAUTHENTICATED_LINE_BYTES
from jobwire_server.wire.requests import BATCHABLE, BadRequest, Command, parse_line
from jobwire_server.wire.tcp_codec import LineDecoder
from jobwire_server.wire.tcp_events import (
    Abort,
    Authenticate,
    Batch,
    Close,
    Event,
    Hello,
    PeerDone,
    Write,
)
from jobwire_server.wire.tcp_verdicts import FIRST_VERSION, VERDICTS, State, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_FLIGHT_BYTES: Final = 2 * LINE_BYTES
# Answers that are ready are sent before more lines are looked at, so that a flood of bad lines cannot pile them up.
SEND_BYTES: Final = 16 * 1024

_WELL: Final = answers.Done()
# The commands that may be held until there is something to say.
_WAITING_COMMANDS: Final = frozenset({"pull", "heartbeat_batch"})

_Taken: TypeAlias = tuple[Command, int]  # a request and the size of its line


class Session:
    """
    The state of one connection.

    `authenticated` says whether the server wants no token.
    """

    __slots__ = (
        "_decoder",
        "_ending",
        "_greeted",
        "_held",
        "_in_flight",
        "_in_flight_bytes",
        "_lane",
        "_lane_batch",
        "_last_rid",
        "_last_words",
        "_lines",
        "_max_in_flight",
        "_max_response_bytes",
        "_next_line",
        "_out",
        "_peer_done_told",
        "_undecided",
        "_unread",
        "_unsent",
        "_waiting",
        "state",
        "wire",
    )

    def __init__(
        self,
        *,
        authenticated: bool,
        max_in_flight: int,
        max_response_bytes: int,
        line_bytes: int = LINE_BYTES,
    ) -> None:
        self.state = State.READY if authenticated else State.CONNECTED
        self.wire = 1
        self._greeted = False
        self._max_in_flight = max_in_flight
        self._max_response_bytes = max_response_bytes
        # What came in: complete lines from `_next_line` on, and a request that was read too early.
        self._decoder = LineDecoder(line_bytes)
        self._lines: list[bytes] = []
        self._next_line = 0
        self._held: _Taken | None = None
        self._undecided = False  # a Hello or Authenticate is out
        # What is being done.
        self._in_flight = 0
        self._in_flight_bytes = 0
        self._lane: deque[_Taken | bytes] = deque()
        self._lane_batch: Batch | None = None
        self._waiting: dict[int, Batch] = {}
        self._last_rid: int | None = None
        # How it ends, and what goes out.
        self._ending = False
        self._peer_done_told = False
        self._last_words = b""
        self._unread = False
        self._out: list[bytes] = []
        self._unsent = 0

    # --- what the socket has to know ---

    @property
    def backlogged(self) -> bool:
        """Lines are there that cannot be taken yet; do not read more."""
        return self._held is not None or self._next_line < len(self._lines)

    @property
    def in_flight(self) -> int:
        """Requests that were taken and not answered."""
        return self._in_flight

    @property
    def in_line(self) -> bool:
        """A line has begun and is not finished."""
        return self._decoder.buffered > 0

    @property
    def wants_token(self) -> bool:
        return self.state is State.CONNECTED

    # --- in ---

    def receive_data(self, data: bytes) -> int:
        """Take in what the peer sent; returns how many lines it completed. Nothing after the peer's last word counts."""
        if self._ending or self.state is State.CLOSED:
            return 0
        lines = self._decoder.feed(data)
        self._append(lines)
        flaw = self._decoder.flaw
        if flaw is not None:
            self._end_with(tcp_refusals.flaw_error(flaw, self._decoder.limit))
        return len(lines)

    def receive_eof(self) -> None:
        """The peer sends no more. Its last line counts, newline or not."""
        self._unread = False
        if self._ending or self.state is State.CLOSED:
            return
        self._append(self._decoder.eof())
        self._ending = True

    def fail(self, error: JobwireError) -> None:
        """End the conversation for a reason of this side (a deadline): complete lines are still served, then `error` is said."""
        if not self._ending and self.state is not State.CLOSED:
            self._end_with(error)

    def drain(self, reason: str) -> None:
        """
        Finish what was taken and begin nothing new; version 2 is told by a goaway notice. Idempotent.

        Lines that were not taken yet, and those that still come, are answered SHUTTING_DOWN. Close follows.
        """
        if self.state in (State.DRAINING, State.CLOSED):
            return
        self.notice({"notice": "goaway", "last_rid": self._last_rid, "reason": reason})
        self.state = State.DRAINING

    # --- out ---

    def data_to_send(self) -> bytes:
        """The bytes to write now; they are handed over and forgotten."""
        if not self._out:
            return b""
        self._out.append(b"")  # so that the last line has its newline too
        data = b"\n".join(self._out)
        self._out.clear()
        self._unsent = 0
        return data

    def notice(self, fields: dict[str, Any]) -> bool:
        """Say something unasked; False, and nothing is said, when the peer did not choose version 2 (JW-TCP-1)."""
        if self.wire < 2 or self.state is State.CLOSED:
            return False
        self._send(responses.notice(fields))
        return True

    # --- what came of an event ---

    def greet(self, hello: Hello, result: answers.Welcome | JobwireError) -> None:
        """Answer `hello`: with a welcome to the version it chose, or with the error when its token was refused."""
        self._undecided = False
        if isinstance(result, JobwireError):
            self._refuse_token(result, hello.rid)
            return
        self._greeted = True
        if hello.token is not None:
            self._admit()
        self._settle(hello.rid, self._encoded("hello", result, hello.rid))
        self.wire = hello.version

    def authenticate(self, event: Authenticate, error: JobwireError | None) -> None:
        """Answer an auth command: `error` when its token was refused."""
        self._undecided = False
        if error is not None:
            self._refuse_token(error, event.rid)
            return
        self._admit()
        self._settle(event.rid, self._encoded("auth", _WELL, event.rid))

    def answer(self, batch: Batch, results: Sequence[Any]) -> None:
        """Answer each request of `batch` with its result, which may be a JobwireError."""
        for result, rid in zip(results, batch.rids, strict=True):
            self._send(self._encoded(batch.name, result, rid))
        self._finish(batch)

    def abandon(self, batch: Batch) -> None:
        """Answer a waiting pull as though its wait had run out."""
        nothing = answers.Pulled(jobs=[], single=batch.requests[0].wanted == 1)
        self.answer(batch, [nothing])

    def aborted(self, event: Abort, ended: bool) -> None:
        """Answer an abort: whether it was what ended the wait."""
        self._in_flight -= 1
        self._say_aborted(event.rid, ended)

    # --- what to do next ---

    def next_event(self) -> Event | None:
        """What is to be done now; None when it is the peer's turn, or that of a request in flight."""
        while True:
            if self._ending and not self._peer_done_told:
                self._peer_done_told = True
                return PeerDone()
            if self._may_take():
                event = Write() if self._unsent >= SEND_BYTES else self._take()
                if event is not None:
                    return event
                continue
            batch = self._next_of_lane()
            if batch is not None:
                return batch
            if not self._may_take():  # answers that left the lane may have made room
                return self._end()

    def _may_take(self) -> bool:
        if (
            self._in_flight >= self._max_in_flight
            or self._in_flight_bytes >= IN_FLIGHT_BYTES
            or self._undecided
            or self.state is State.CLOSED
        ):
            return False
        if self._held is not None:
            return not self._must_wait(self._held[0])
        return self._next_line < len(self._lines)

    def _must_wait(self, command: Command) -> bool:
        """The first hello waits until all before it is answered: what follows it may overtake, and must not overtake that."""
        return command.name == "hello" and not self._greeted and self._in_flight > 0

    def _take(self) -> Event | None:
        """Deal with the next line: an event, or None when it was answered here or put in the lane."""
        taken = self._next_command()
        if taken is None:
            return None
        command = taken[0]
        if self._must_wait(command):
            self._held = taken
            return None
        verdict = VERDICTS[self.state][command.name]
        if verdict is not Verdict.RUN:
            return self._decide(verdict, command)
        self._count(taken)
        ordered = self._is_ordered(command)
        if ordered and (self._lane or self._lane_batch is not None):
            self._lane.append(taken)
            return None
        batch = self._batch(taken, ordered=ordered)
        self._gather(batch)
        return batch

    def _is_ordered(self, command: Command) -> bool:
        return command.rid is None or self.wire < 2

    def _next_command(self) -> _Taken | None:
        """The next request; None when its line was refused."""
        if self._held is not None:
            taken, self._held = self._held, None
            return taken
        line = self._lines[self._next_line]
        self._next_line += 1
        if self._next_line == len(self._lines):
            self._lines = []
            self._next_line = 0
        if self.wants_token and len(line) > UNAUTHENTICATED_LINE_BYTES:
            self._refuse(tcp_refusals.REFUSALS[Verdict.UNAUTHORIZED], None)
            return None
        try:
            command = parse_line(line)
        except BadRequest as refusal:
            self._refuse(self._said_first(refusal), refusal.rid, refusal.name or "")
            return None
        if self.wire < FIRST_VERSION[command.name]:
            self._refuse(tcp_refusals.too_new(command.name), command.rid)
            return None
        return command, len(line)

    def _said_first(self, refusal: BadRequest) -> JobwireError:
        """A command that is not for now is refused for that, whatever its fields are (JW-TCP-16, JW-TCP-35)."""
        name = refusal.name
        if name is None:
            return refusal.error
        if self.wire < FIRST_VERSION[name]:
            return tcp_refusals.too_new(name)
        return tcp_refusals.REFUSALS.get(VERDICTS[self.state][name], refusal.error)

    def _count(self, taken: _Taken) -> None:
        self._in_flight += 1
        self._in_flight_bytes += taken[1]
        if self.wire >= 2 and taken[0].rid is not None:
            self._last_rid = taken[0].rid

    def _gather(self, batch: Batch) -> None:
        """Add the requests of the same command that came directly behind; in the lane nothing is overtaken."""
        if batch.name not in BATCHABLE:
            return
        ordered = batch.ordered
        while len(batch.rids) < BATCH_ITEMS and self._unsent < SEND_BYTES and self._may_take():
            if ordered and self._lane:
                return
            taken = self._next_command()
            if taken is None:
                continue
            command = taken[0]
            if command.name != batch.name or self._is_ordered(command) is not ordered:
                self._held = taken
                return
            self._count(taken)
            _extend(batch, taken)

    def _next_of_lane(self) -> Batch | None:
        """The next batch whose turn it is; answers that were ready and waited for theirs go out."""
        while self._lane and self._lane_batch is None:
            item = self._lane.popleft()
            if isinstance(item, bytes):
                self._in_flight -= 1
                self._send(item)
                continue
            batch = self._batch(item, ordered=True)
            self._gather_lane(batch)
            return batch
        return None

    def _gather_lane(self, batch: Batch) -> None:
        lane = self._lane
        if batch.name not in BATCHABLE:
            return
        while lane and len(batch.rids) < BATCH_ITEMS:
            item = lane[0]
            if isinstance(item, bytes) or item[0].name != batch.name:
                return
            _extend(batch, item)
            lane.popleft()

    def _batch(self, taken: _Taken, *, ordered: bool) -> Batch:
        (name, request, rid), size = taken
        waits = name in _WAITING_COMMANDS and bool(request.wait_ms)
        if waits and self._ending:  # the peer may be gone, so nothing is held for it
            request.wait_ms, waits = 0, False
        batch = Batch(name, [request], [rid], ordered, waits, size)
        if ordered:
            self._lane_batch = batch
        if waits and rid is not None:
            self._waiting[rid] = batch
        return batch

    def _end(self) -> Close | None:
        """Close when the peer or this side wants to end and everything is answered."""
        if self._undecided or self.backlogged or self.state is State.CLOSED:
            return None
        if self._ending:
            self.state = State.DRAINING
        if self.state is not State.DRAINING or self._in_flight:
            return None
        if self._last_words:
            self._send(self._last_words)
        self.state = State.CLOSED
        return Close(self._unread)

    # --- commands of the session itself ---

    def _decide(self, verdict: Verdict, command: Command) -> Event | None:
        rid = command.rid
        if verdict in tcp_refusals.REFUSALS:
            self._refuse(tcp_refusals.REFUSALS[verdict], rid)
        elif verdict is Verdict.OK:
            self._settle(rid, self._encoded(command.name, _WELL, rid))
        elif verdict is Verdict.BYE:
            self._bye(rid)
        elif verdict is Verdict.ABORT:
            return self._abort(command)
        elif verdict is Verdict.GREET:
            return self._hello(command)
        else:
            self._undecided = True
            return Authenticate(command.request.token, rid)
        return None

    def _hello(self, command: Command) -> Hello | None:
        shared = set(command.request.v).intersection(tcp_refusals.SUPPORTED_VERSIONS)
        if self._greeted:
            self._refuse(tcp_refusals.hello_twice(), command.rid)
        elif not shared:
            self._refuse(tcp_refusals.unsupported(command.request.v), command.rid)
        else:
            self._undecided = True
            return Hello(command.request, command.rid, max(shared))
        return None

    def _abort(self, command: Command) -> Abort | None:
        batch = self._waiting.get(command.request.target)
        if batch is None:
            self._say_aborted(command.rid, False)
            return None
        self._in_flight += 1
        return Abort(batch, command.rid)

    def _bye(self, rid: int | None) -> None:
        self._lines, self._next_line = [], 0
        # The peer may have sent more behind it; a reset would take the answers from it.
        self._ending = self._unread = True
        self._last_words = self._encoded("bye", _WELL, rid)

    def _admit(self) -> None:
        if self.state is State.CONNECTED:
            self.state = State.READY

    def _refuse_token(self, error: JobwireError, rid: int | None) -> None:
        """A wrong token may be corrected; an address that is locked out is shown the door."""
        if error.code != "RATE_LIMITED":
            self._refuse(error, rid)
            return
        self._lines, self._next_line = [], 0
        self._end_with(error, rid)

    # --- answers ---

    def _refuse(self, error: JobwireError, rid: int | None, name: str = "") -> None:
        self._settle(rid, self._encoded(name, error, rid))

    def _settle(self, rid: int | None, text: bytes) -> None:
        """Send an answer that is ready, behind those that must go first."""
        free = rid is not None and self.wire >= 2
        if free or (self._lane_batch is None and not self._lane):
            self._send(text)
        else:
            self._in_flight += 1
            self._lane.append(text)

    def _send(self, text: bytes) -> None:
        self._out.append(text)
        self._unsent += len(text)

    def _finish(self, batch: Batch) -> None:
        self._in_flight -= len(batch.rids)
        self._in_flight_bytes -= batch.size
        if batch is self._lane_batch:
            self._lane_batch = None
        rid = batch.rids[0]
        if batch.waits and rid is not None and self._waiting.get(rid) is batch:
            del self._waiting[rid]

    def _encoded(self, name: str, result: Any, rid: int | None) -> bytes:
        text = responses.tcp_answer(name, result, wire=self.wire, rid=rid)
        if len(text) <= self._max_response_bytes:
            return text
        error = tcp_refusals.answer_too_large(len(text), self._max_response_bytes)
        return responses.tcp_answer(name, error, wire=self.wire, rid=rid)

    def _say_aborted(self, rid: int | None, ended: bool) -> None:
        self._settle(rid, self._encoded("abort", answers.Aborted(aborted=ended), rid))

    # --- the end of the input ---

    def _append(self, lines: list[bytes]) -> None:
        if self._lines:
            del self._lines[: self._next_line]
            self._lines += lines
        else:
            self._lines = lines
        self._next_line = 0

    def _end_with(self, error: JobwireError, rid: int | None = None) -> None:
        self._ending = self._unread = True
        self._last_words = self._encoded("", error, rid)


def _extend(batch: Batch, taken: _Taken) -> None:
    (_, request, rid), size = taken
    batch.requests.append(request)
    batch.rids.append(rid)
    batch.size += size
