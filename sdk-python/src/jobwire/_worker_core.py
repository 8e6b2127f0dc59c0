"""
What a worker decides, for threads and asyncio alike: pure functions and small state machines, no I/O, no clock, no threads.

    a handler ended       → settlement_of()   ack, fail, release, or say nothing
    slots are free        → Slots             how many jobs to ask for
    an answer is missing  → Link              how long to wait, and what to log
    a batch was answered  → judge()           done, again, or give it up
    a heartbeat answered  → news_of()         which handlers to stop, whether the server finds us deaf

Rule 1: everything that Worker and AsyncWorker must do alike is decided here.
Rule 2: instants are seconds of the runtime's monotonic clock; durations are seconds.
"""

from __future__ import annotations

import math
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from jobwire._backoff import reconnect_delay
from jobwire._errors import Discard, HandlerOutcome, JobwireError, Release, RetryIn
from jobwire._limits import (
    BATCH_ITEMS,
    ERROR_BYTES,
    LEASE_MS_MAX,
    LEASE_MS_MIN,
    PULL_COUNT,
    WAIT_MS,
)
from jobwire._models import UNSET, HeartbeatBatchResult, ItemResult, Job, Unset
from jobwire._strict_json import JSONValue, dumps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

StopReason: TypeAlias = Literal["cancel", "lease_lost", "timeout", "shutdown"]

RESULT_BYTES: Final = 1_048_576
BATCH_BYTES: Final = 3_145_728  # a batch must fit a line of 4 MiB with room for ids and quoting
HEARTBEATS_A_LEASE: Final = 3  # two may be lost before the lease is
RETRY_CAP: Final = (
    1.2  # seconds; a worker tries for ever, and is back soon after a restart of the server
)
ECHO: Final = 5.0  # seconds
SILENCE_MIN: Final = 1.0  # seconds
EMPTY_ANSWER_CAP: Final = 1.0  # seconds between pulls from a server that does not hold them
HEARTBEAT_SPACING: Final = 0.5  # seconds; news that stays news must not make a busy loop
GONE: Final = frozenset({"LEASE_LOST", "JOB_NOT_FOUND", "NOT_FOUND", "INVALID_STATE"})
# Errors after which a worker that has never been answered gives up: no retry mends the configuration.
FATAL: Final = frozenset({"validation", "auth", "protocol"})
_HERE: Final = str(Path(__file__).parent)


class Stopped(HandlerOutcome):
    """
    Raised by `ctx.check()` in a handler that was asked to stop: the job is given up in the way the reason asks for.

    After cancel the job ends cancelled, after shutdown it goes back without burning an attempt, after a timeout the
    attempt has failed, and after a lost lease nothing is said.
    """

    reason: str

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


# --- options ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """The checked arguments of a worker."""

    queues: tuple[str, ...]
    concurrency: int
    lease: float
    wait: float
    weights: tuple[int, ...] | None
    names: tuple[str, ...] | None
    heartbeat: float
    grace: float
    worker_id: str
    block_warning: float

    @property
    def silence(self) -> float:
        """How long the server may say nothing while a pull or a settlement is unanswered. JW-SDK-13."""
        return max(self.heartbeat, SILENCE_MIN)


def check_options(
    *,
    queues: str | Sequence[str],
    concurrency: int,
    lease: float,
    wait: float,
    weights: Sequence[int] | None,
    names: Sequence[str] | None,
    heartbeat: float | None,
    grace: float,
    worker_id: str,
    block_warning: float,
) -> WorkerOptions:
    """The options, or ValueError with what was expected and what came."""
    listed = (queues,) if isinstance(queues, str) else tuple(queues)
    beat = lease / HEARTBEATS_A_LEASE if heartbeat is None else heartbeat
    _expect(bool(listed), "queues must name at least one queue", queues)
    _expect(1 <= concurrency <= 100_000, "concurrency must be 1 to 100,000", concurrency)
    low, high = LEASE_MS_MIN / 1000, LEASE_MS_MAX / 1000
    _expect(low <= lease <= high, f"lease must be {low:g} to {high:g} seconds", lease)
    _expect(0 <= wait <= WAIT_MS / 1000, f"wait must be 0 to {WAIT_MS / 1000:g} seconds", wait)
    _expect(0 < beat < lease, "heartbeat must be above 0 and below the lease", heartbeat)
    _expect(grace >= 0 and math.isfinite(grace), "grace must be 0 or more seconds", grace)
    _expect(block_warning > 0, "block_warning must be above 0 seconds", block_warning)
    _expect(bool(worker_id), "worker_id must not be empty", worker_id)
    matching = weights is None or (len(weights) == len(listed) and all(w >= 1 for w in weights))
    _expect(matching, "weights needs one whole number of at least 1 a queue", weights)
    return WorkerOptions(
        queues=listed,
        concurrency=concurrency,
        lease=float(lease),
        wait=float(wait),
        weights=None if weights is None else tuple(weights),
        names=None if names is None else tuple(names),
        heartbeat=float(beat),
        grace=float(grace),
        worker_id=worker_id,
        block_warning=float(block_warning),
    )


def _expect(claim: bool, message: str, got: object) -> None:
    if not claim:
        raise ValueError(f"{message}, got {got!r}")


# --- how a handler ended, and what to tell the server -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Returned:
    """The handler came to its end."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Raised:
    """The handler raised; `was_cancelled` when that was asyncio's CancelledError."""

    error: BaseException
    was_cancelled: bool = False


Ending: TypeAlias = "Returned | Raised"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The job is done."""

    job: Job
    result: JSONValue | Unset = UNSET
    size: int = 0  # bytes of the result's JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The attempt failed."""

    job: Job
    error: str
    retry_in: float | None = None
    discard: bool = False

    @property
    def size(self) -> int:
        return 4 * len(self.error)


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveBack:
    """Somebody else may have the job; no attempt is burnt."""

    job: Job
    delay: float = 0.0
    size: int = 0


Settlement: TypeAlias = "Ack | Fail | GiveBack"


def settlement_of(job: Job, ending: Ending, reason: StopReason | None) -> Settlement | None:
    """
    What to tell the server about *job*; None when its lease is lost, since then others speak for it.

    *reason* is why the handler was asked to stop, None when it was not. A value that is returned is an ack even then:
    the work was done, and the server decides whether the ack still counts.
    """
    if reason == "lease_lost":
        return None
    if isinstance(ending, Returned):
        return _ack(job, ending.value)
    error = ending.error
    if isinstance(error, Stopped) or ending.was_cancelled:
        return _stopped(job, reason)
    if isinstance(error, HandlerOutcome):
        return _by_outcome(job, error)
    if reason == "shutdown":  # whatever broke on the way out, the job did not do it
        return GiveBack(job=job)
    return Fail(job=job, error=error_text(error))


def _ack(job: Job, value: JSONValue) -> Settlement:
    if value is None:
        return Ack(job=job)
    try:
        size = len(dumps(value))
    except JobwireError as error:
        return Fail(job=job, error=f"the handler's result cannot be kept: {error.message}")
    except Exception as error:  # noqa: BLE001 - a value's own model_dump may raise anything
        return Fail(job=job, error=f"the handler's result cannot be kept: {_headline(error)}")
    if size > RESULT_BYTES:
        message = f"the handler's result has {size} bytes, the limit is {RESULT_BYTES}"
        return Fail(job=job, error=message)
    return Ack(job=job, result=value, size=size)


def _stopped(job: Job, reason: StopReason | None) -> Settlement:
    if reason == "timeout":
        return Fail(job=job, error="job timed out")
    if reason is None:
        return Fail(job=job, error="the handler was cancelled, though nobody had asked for it")
    return GiveBack(job=job)  # after a cancel the server makes `cancelled` of it


def _by_outcome(job: Job, outcome: HandlerOutcome) -> Settlement:
    match outcome:
        case Discard(reason=reason):
            return Fail(job=job, error=_said(reason) or "discarded by the handler", discard=True)
        case RetryIn(seconds=seconds, reason=reason):
            return Fail(job=job, error=_said(reason) or f"retry in {seconds:g} s", retry_in=seconds)
        case Release(delay=delay):
            return GiveBack(job=job, delay=delay)
    return Fail(job=job, error=error_text(outcome))


def _said(reason: object) -> str:
    """A reason as text. `raise Discard(error)` is easily written, and must not stop the settler for every other job."""
    return _headline(reason) if isinstance(reason, BaseException) else str(reason or "")


def unknown_name(job: Job, known: Iterable[str]) -> Fail:
    """The verdict on a job without a handler: retryable, for the next worker may be of a newer deploy."""
    names = ", ".join(sorted(known)) or "none"
    return Fail(job=job, error=f"no handler for '{job.name}' on this worker; it has: {names}")


def error_text(error: BaseException) -> str:
    """Type, message and traceback, cut to what the wire takes: the head and the innermost frames stay."""
    head = cut_text(_headline(error), ERROR_BYTES // 2)
    frames = "".join(traceback.format_list(_own_frames(error)))
    room = ERROR_BYTES - len(head.encode()) - len("\n\n…\n")
    if not frames or room <= 0:
        return head
    tail = frames.encode(errors="replace")
    if len(tail) > room:
        return f"{head}\n\n…\n{tail[-room:].decode(errors='ignore')}".rstrip()
    return f"{head}\n\n{frames}".rstrip()


def cut_text(text: str, max_bytes: int) -> str:
    """*text* cut to so many bytes of UTF-8, between two characters; a lone surrogate becomes a question mark."""
    encoded = text.encode(errors="replace")
    return encoded[:max_bytes].decode(errors="ignore")


def _headline(error: BaseException) -> str:
    name = type(error).__qualname__
    try:
        text = str(error)
    except Exception as exc:  # noqa: BLE001 - a user's __str__ may do anything, and its job must still fail
        text = f"(its message could not be read: {type(exc).__name__})"
    return f"{name}: {text}" if text else name


def _own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of the traceback without those of this package, which say nothing about the handler."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if not frame.filename.startswith(_HERE)]


# --- slots --------------------------------------------------------------------------------------------------------------


class Slots:
    """
    Counts what a worker holds: free + asked + held = total, always.

    A slot is asked for before the pull leaves, and held until the job's settlement is answered, so that the worker never
    holds more leases than its concurrency.
    """

    __slots__ = ("asked", "held", "total")

    def __init__(self, total: int) -> None:
        self.total = total
        self.asked = 0
        self.held = 0

    @property
    def free(self) -> int:
        return self.total - self.asked - self.held

    def ask(self) -> int:
        """Reserve every free slot, as many as one pull can fill; 0 when there is none."""
        count = min(self.free, PULL_COUNT)
        self.asked += count
        return count

    def answered(self, asked: int, filled: int) -> None:
        """A pull for *asked* slots brought *filled* jobs."""
        if not 0 <= filled <= asked <= self.asked:
            raise ValueError(f"{filled} jobs came for {asked} slots, {self.asked} were asked for")
        self.asked -= asked
        self.held += filled

    def vacate(self) -> None:
        """A job is settled or lost, and its handler has ended."""
        if self.held < 1:
            raise ValueError("no slot is held")
        self.held -= 1


@dataclass(frozen=True, slots=True)
class PullPlan:
    """One pull and its repeats: the same request_id, so that a lost answer costs nothing."""

    count: int
    request_id: str


class Pacer:
    """Keeps a worker from asking in a circle where the server answers an empty pull before its wait is over."""

    __slots__ = ("_early",)

    def __init__(self) -> None:
        self._early = 0

    def after(self, *, found: int, elapsed: float, wait: float, u: float) -> float:
        """Seconds to pause before the next pull; 0 unless empty answers come early again and again."""
        if found or (wait and elapsed >= wait / 2):
            self._early = 0
            return 0.0
        delay = reconnect_delay(self._early, u, cap=EMPTY_ANSWER_CAP)
        self._early += 1
        return delay


# --- the connection -----------------------------------------------------------------------------------------------------


class Link:
    """
    How the server is reached, over all loops of a worker (its channels): how long to wait, and the two lines to log.

    The loss is told once, when the first channel fails, and the recovery once, when the last one is answered. The
    channels do not hear of one loss in the same moment: a single failure soon after a recovery is its echo.
    """

    __slots__ = ("_failures", "_is_told", "_recovered_at", "_since", "was_answered")

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}
        self._is_told = False
        self._since = 0.0
        self._recovered_at = -math.inf
        self.was_answered = False  # ever

    def failed(self, channel: str, now: float) -> bool:
        """Note a failure; True when it is the loss, to be logged."""
        count = self._failures[channel] = self._failures.get(channel, 0) + 1
        if self._is_told or (count == 1 and now - self._recovered_at < ECHO):
            return False
        self._is_told, self._since = True, now
        return True

    def answered(self, channel: str, now: float) -> float | None:
        """Note an answer; the seconds that the loss lasted when this ends it, to be logged."""
        self.was_answered = True
        self._failures.pop(channel, None)
        if self._failures or not self._is_told:
            return None
        self._is_told, self._recovered_at = False, now
        return now - self._since

    def is_failing(self, channel: str) -> bool:
        """Whether the channel's last call failed; its next one should not be held, to know soon whether it works."""
        return channel in self._failures

    def delay(self, channel: str, error: JobwireError, u: float) -> float:
        """Seconds before the channel's next try: none, then full jitter; never less than the server asks for."""
        failures = self._failures.get(channel, 1)
        at_once = error.code in ("CONNECTION_LOST", "CLIENT_CLOSED", "TIMEOUT", "CONNECTION_FAILED")
        own = reconnect_delay(failures - 1 if at_once else failures, u, cap=RETRY_CAP)
        return max(own, error.retry_after or 0.0)


def is_fatal(error: JobwireError, category: str, link: Link) -> bool:
    """Whether to give up in place of trying for ever: the server has never accepted anything, and will not."""
    return not link.was_answered and category in FATAL and not error.retryable


# --- settling -----------------------------------------------------------------------------------------------------------

Verdict: TypeAlias = Literal["done", "again", "gone", "refused"]


def judge(result: ItemResult) -> Verdict:
    """What became of one settlement: done, to be sent again, its lease gone, or refused for good."""
    return "done" if result.ok or result.error is None else judge_error(result.error)


def judge_error(error: JobwireError) -> Verdict:
    """As judge(), for a settlement that travelled alone."""
    if error.code in GONE:
        return "gone"
    if error.retryable or error.code == "CLIENT_CLOSED":  # closed by us, not refused
        return "again"
    return "refused"


class Batch(NamedTuple):
    """Settlements of one kind that travel together."""

    kind: type[Ack] | type[Fail] | type[GiveBack]
    items: list[Settlement]


def batches_of(settlements: Iterable[Settlement]) -> list[Batch]:
    """Settlements by kind, each batch within the limits of the wire; the order within a kind stays."""
    batches: list[Batch] = []
    open_batches: dict[type, tuple[Batch, int]] = {}
    for item in settlements:
        batch, size = open_batches.get(type(item), (Batch(type(item), []), 0))
        if not batch.items or len(batch.items) >= BATCH_ITEMS or size + item.size > BATCH_BYTES:
            batch, size = Batch(type(item), []), 0
            batches.append(batch)
        batch.items.append(item)
        open_batches[type(item)] = (batch, size + item.size)
    return batches


def can_still_live(now: float, expires_at: float, last_contact: float) -> bool:
    """
    Whether a lease may still be ours although we could not renew it.

    Past its end it may, while the server has not been reached since: a server that was down gives each active lease its
    whole length again when it starts. Once it answered after that end, without renewing, the lease is over.
    """
    return now < expires_at or last_contact < expires_at


# --- heartbeats ---------------------------------------------------------------------------------------------------------


class News(NamedTuple):
    """What a heartbeat brought: the ids of lost and of cancelled jobs, and whether the server finds the worker deaf."""

    lost: frozenset[str]
    cancelled: frozenset[str]
    deaf: bool
    is_news: bool  # whether there was anything, also about jobs that were not asked about


def news_of(answer: HeartbeatBatchResult, sent: Iterable[str]) -> News:
    """
    Read the answer to a heartbeat for the jobs *sent*.

    A job that is lost and was not among them may be one that came back under a new lease meanwhile; it counts only when
    the next heartbeat asks about that lease.
    """
    refused = {r.id for r in answer.results if r.error is not None and r.error.code in GONE}
    told = {r.id for r in answer.results if r.cancelled}
    lost, cancelled = refused | set(answer.lost), told | set(answer.cancelled)
    return News(
        lost=frozenset(lost & set(sent)),
        cancelled=frozenset(cancelled),
        deaf=answer.deaf,
        is_news=bool(lost or cancelled or answer.deaf),
    )


def heartbeat_pause(*, elapsed: float, held: bool, interval: float, is_news: bool) -> float:
    """
    Seconds until the next heartbeat, *elapsed* after the last one left; *held* when the server was asked to hold it.

    A server that held it is asked again at once, so that it can always tell. After news, and where the answer came
    early, a little later: a job that stays cancelled is news again and again. Others are asked once an interval.
    """
    if not held:
        return max(interval - elapsed, 0.0)
    if elapsed >= interval / 2 and not is_news:
        return 0.0
    return max(min(HEARTBEAT_SPACING, interval) - elapsed, 0.0)


class Hearing:
    """Decides when a worker that the server calls deaf builds its connection anew: at once, then once an interval at most."""

    __slots__ = ("_interval", "_rebuilt_at")

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._rebuilt_at = -math.inf

    def must_rebuild(self, *, deaf: bool, free: int, now: float) -> bool:
        """Whether to rebuild now; a worker without free slots has a reason not to ask."""
        if not deaf or free < 1 or now - self._rebuilt_at < self._interval:
            return False
        self._rebuilt_at = now
        return True


# --- a blocked event loop -----------------------------------------------------------------------------------------------


class BlockDetector:
    """Tells once per block that an event loop has not run for longer than *limit* seconds."""

    __slots__ = ("_answered", "_asked_at", "_limit", "_told")

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._asked_at: float | None = None
        self._answered = True
        self._told = False

    def answered(self) -> None:
        """The loop ran."""
        self._answered = True

    def check(self, now: float) -> Literal["ask", "wait", "blocked"]:
        """What to do now: ask the loop for a sign of life, wait for it, or report that it is blocked."""
        if self._answered or self._asked_at is None:
            self._asked_at, self._answered, self._told = now, False, False
            return "ask"
        if now - self._asked_at < self._limit or self._told:
            return "wait"
        self._told = True
        return "blocked"
