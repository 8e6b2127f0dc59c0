"""T11: what is said at once about one job, and whether the answers can be true; `one_job` has the rules."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from tests.proof.delivery.doors import Answer, code_of
from tests.proof.delivery.one_job import Heard, Rules, State, explain

OPS: Final = ("ack", "fail", "release", "heartbeat", "progress", "cancel", "pull")
SETTLING: Final = ("ack", "fail", "release")
CLIENTS: Final = (2, 8)
LONG_MS: Final = 3_600_000
MEMBERS: Final = {"fail": "will_retry", "release": "state", "cancel": "state"}

Request = tuple[str, Answer]


@dataclass(slots=True)
class Tally:
    """Rounds, and what was seen in them."""

    rounds: int = 0
    calls: int = 0
    wrong: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)  # how the first lease ended

    def add(self, race: Race, answers: list[Answer], final: Answer, changes: int | None) -> None:
        """Judge one round."""
        heard = [heard_of(*pair) for pair in zip(race.requests, answers, strict=True)]
        state = state_of(final, heard, changes)
        self.rounds += 1
        self.calls += len(answers)
        self.ends[_end(final, heard)] += 1
        if not explain(heard, state, race.rules):
            self.wrong.append(f"{race.queue} {race.rules}: {heard} cannot lead to {state}")

    def forbid(self, what: str, job: Answer | None) -> None:
        """Note a job that should not have come."""
        if job is not None:
            self.wrong.append(f"{what}: job {job['id']} was given out again")


class Race:
    """One job and what is said about it at once."""

    def __init__(self, queue: str, chance: Random, timeout_ms: int) -> None:
        self.queue = queue
        self.options: Answer = {
            "max_attempts": chance.choice((1, 2, 3)),
            "backoff_delay_ms": chance.choice((0, LONG_MS)),
            "timeout_ms": chance.choice((None, timeout_ms)),
        }
        self.rules = Rules(
            max_attempts=self.options["max_attempts"],
            has_backoff=self.options["backoff_delay_ms"] > 0,
            has_timeout=self.options["timeout_ms"] is not None,
        )
        self._ops = chance.choices(OPS, k=chance.randint(*CLIENTS))
        self._percent = chance.sample(range(100), len(self._ops))
        self.requests: list[Request] = []

    def about(self, job: Answer) -> None:
        """Say who asks for what, now that the job is known."""
        self.id = job["id"]
        held = {"id": job["id"], "lease": job["lease"]}
        fields: dict[str, Answer] = {
            **dict.fromkeys(("ack", "release", "heartbeat", "progress"), held),
            "fail": {**held, "error": "raced"},
            "cancel": {"id": job["id"]},
            "pull": {"queue": self.queue, "lease_ms": LONG_MS},
        }
        own = {"ack": "result", "progress": "progress"}
        for op, number in zip(self._ops, self._percent, strict=True):
            more = {own[op]: number} if op in own else {}
            self.requests.append((op, {**fields[op], **more}))


# ── Judging ──


def heard_of(request: Request, answer: Answer) -> Heard:
    op, fields = request
    value = fields.get("result", fields.get("progress"))
    return Heard(op, value, code_of(answer), _member(op, answer) if answer["ok"] else None)


def _member(op: str, answer: Answer) -> Any:
    if op == "heartbeat":
        return bool(answer.get("cancelled"))
    if op == "pull":
        return answer["job"] and answer["job"]["delivery"]
    return answer[MEMBERS[op]] if op in MEMBERS else None


def state_of(job: Answer, heard: list[Heard], changes: int | None) -> State:
    """The job as it is shown; without `changes`, there were as many as the answers say."""
    errors = tuple(error["kind"] for error in job["errors"])
    return State(
        state=job["state"],
        delivery=job["delivery"],
        attempt=job["attempt"],
        asked_to_stop=job["cancel_requested_at"] is not None,
        progress=job["progress"],
        result=job["result"],
        errors=errors,
        changes=_effects(heard, errors) if changes is None else changes,
    )


def _effects(heard: list[Heard], errors: tuple[str, ...]) -> int:
    idle = [call for call in heard if call.op == "pull" and call.member is None]
    said = sum(call.said == "ok" for call in heard) - len(idle)
    return said + sum(kind != "error" for kind in errors)


def _end(job: Answer, heard: list[Heard]) -> str:
    ends = [call.op for call in heard if call.said == "ok" and call.op in SETTLING]
    timed = [error["kind"] for error in job["errors"] if error["kind"] != "error"]
    return (ends or timed or ["none"])[0]
