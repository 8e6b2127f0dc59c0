"""A job as spec/lifecycle.md has it, in the smallest form in which calls at once can be judged (guarantees §3a).

`explain` looks for an order of the calls, one after another, in which each gets the answer that it got and the job ends as it did. Where
there is none, no server that changes a job in single steps can have given these answers (JW-JOB-4). The search is Wing and Gong's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

OURS: Final = 1  # the delivery whose lease the callers have


@dataclass(frozen=True, slots=True)
class Rules:
    """What the push said."""

    max_attempts: int
    has_backoff: bool
    has_timeout: bool


@dataclass(frozen=True, slots=True)
class State:
    """The job. `changes` counts all changes since its first pull."""

    state: str = "active"
    delivery: int = OURS
    attempt: int = 0
    asked_to_stop: bool = False
    progress: int | None = None
    result: int | None = None
    settled_by: str | None = None
    errors: tuple[str, ...] = ()
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """A call and the gist of its answer: ok, already or a code, and the one member that tells how the job stands."""

    op: str
    value: int | None
    said: str
    member: Any = None


Step = Callable[[State, Rules, "Heard"], tuple[str, Any, State]]


def explain(calls: Sequence[Heard], final: State, rules: Rules) -> bool:
    """Whether some order of the calls, and of as many ends of leases as the job tells of, leads to `final`, whose settled_by is not looked at."""
    final = replace(final, settled_by=None)
    ends = sum(kind != "error" for kind in final.errors)
    elapse = Heard("elapse", None, "ok")
    left = (*calls, *[elapse] * ends)
    seen: set[tuple[State, tuple[Heard, ...]]] = set()
    todo = [(State(), left)]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        state, remaining = here
        if not remaining and replace(state, settled_by=None) == final:
            return True
        todo += _next(state, remaining, rules)
    return False


def _next(
    state: State, remaining: tuple[Heard, ...], rules: Rules
) -> Iterator[tuple[State, tuple[Heard, ...]]]:
    for index, call in enumerate(remaining):
        said, member, after = STEPS[call.op](state, rules, call)
        if (said, member) == (call.said, call.member):
            yield after, (*remaining[:index], *remaining[index + 1 :])


# ── What each call does ──


def _leased(step: Step, *, again: bool) -> Step:
    """A call under the first lease: refused when that is over, unless it repeats what ended it."""

    def leased(job: State, rules: Rules, call: Heard) -> tuple[str, Any, State]:
        if job.state == "active" and job.delivery == OURS:
            return step(job, rules, call)
        if again and job.delivery == OURS and job.settled_by == call.op:
            return "already", _member(call.op, job), job
        return "LEASE_LOST", None, job

    return leased


def _member(op: str, job: State) -> Any:
    if op == "fail":
        return job.state in ("waiting", "delayed")
    return job.state if op == "release" else None


def _changed(job: State, **fields: Any) -> State:
    return replace(job, changes=job.changes + 1, **fields)


def _ack(job: State, _: Rules, call: Heard) -> tuple[str, Any, State]:
    return "ok", None, _changed(job, state="completed", result=call.value, settled_by="ack")


def _failed(job: State, rules: Rules, kind: str, settled_by: str, *, waits: bool) -> State:
    attempt = job.attempt + 1
    last = "dlq" if attempt >= rules.max_attempts else "delayed" if waits else "waiting"
    state = "cancelled" if job.asked_to_stop else last
    errors = (*job.errors, kind)
    return _changed(job, state=state, attempt=attempt, errors=errors, settled_by=settled_by)


def _fail(job: State, rules: Rules, call: Heard) -> tuple[str, Any, State]:
    after = _failed(job, rules, "error", "fail", waits=rules.has_backoff)
    return "ok", _member("fail", after), after


def _release(job: State, _: Rules, call: Heard) -> tuple[str, Any, State]:
    state = "cancelled" if job.asked_to_stop else "waiting"
    return "ok", state, _changed(job, state=state, settled_by="release")


def _heartbeat(job: State, _: Rules, call: Heard) -> tuple[str, Any, State]:
    return "ok", job.asked_to_stop, _changed(job)


def _progress(job: State, _: Rules, call: Heard) -> tuple[str, Any, State]:
    return "ok", None, _changed(job, progress=call.value)


def _cancel(job: State, _: Rules, call: Heard) -> tuple[str, Any, State]:
    if job.state in ("completed", "dlq"):
        return "INVALID_STATE", None, job
    if job.state == "cancelled" or job.asked_to_stop:
        return "already", job.state, job
    if job.state == "active":
        return "ok", "active", _changed(job, asked_to_stop=True)
    return "ok", "cancelled", _changed(job, state="cancelled")


def _pull(job: State, _: Rules, call: Heard) -> tuple[str, Any, State]:
    if job.state != "waiting":
        return "ok", None, job
    delivery = job.delivery + 1
    return "ok", delivery, _changed(job, state="active", delivery=delivery, settled_by=None)


def _elapse(job: State, rules: Rules, call: Heard) -> tuple[str, Any, State]:
    if job.state != "active":
        return "nothing was due", None, job
    kind = "timeout" if rules.has_timeout else "lease_expired"
    waits = rules.has_timeout and rules.has_backoff
    return "ok", None, _failed(job, rules, kind, kind, waits=waits)


STEPS: Final[dict[str, Step]] = {
    "ack": _leased(_ack, again=True),
    "fail": _leased(_fail, again=True),
    "release": _leased(_release, again=True),
    "heartbeat": _leased(_heartbeat, again=False),
    "progress": _leased(_progress, again=False),
    "cancel": _cancel,
    "pull": _pull,
    "elapse": _elapse,
}
