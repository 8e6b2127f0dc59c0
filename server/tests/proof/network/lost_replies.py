"""T13: the connection ends in a request, behind it, before its reply or in it; the client says it again with the same id, request_id or lease.

What happened is read from the server itself, over a connection that nobody cuts, and from the replies that the proxy kept.
"""

from __future__ import annotations

import json
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from tests.acceptance.processes import Server
from tests.proof.network.hands import Hand, Held
from tests.proof.network.proxy import Cut, Proxy, When

WHENS: Final[tuple[When, ...]] = get_args(When)
JOBS: Final = 3  # of a pull or a batch
HTTP_MARKERS: Final = {
    "push": b"/jobs HTTP",
    "push_batch": b"/jobs/batch HTTP",
    "pull": b"/pull HTTP",
    "ack": b"/ack HTTP",
    "ack_batch": b"/jobs/ack HTTP",
    "fail": b"/fail HTTP",
    "fail_batch": b"/jobs/fail HTTP",
    "release": b"/release HTTP",
}
# What a settled job looks like when that had its effect once: state, attempt, number of errors, delivery.
ONCE: Final = {
    "ack": ("completed", 0, 0, 1),
    "fail": ("delayed", 1, 1, 1),
    "release": ("delayed", 0, 0, 1),
}


@dataclass(slots=True)
class Tally:
    """What went wrong, in jobs, and how often a connection was cut."""

    cuts: int = 0
    carried_out: int = 0  # cuts behind which the server had done what was asked
    duplicates: int = 0  # of a push
    doubled: int = 0  # effects of an ack, fail or release that are not there exactly once
    orphaned: int = 0  # pulled jobs that the repeat did not bring
    changed: int = 0  # leases that the repeat brought differently
    told: list[str] = field(default_factory=list)

    @property
    def bad(self) -> int:
        return self.duplicates + self.doubled + self.orphaned + self.changed

    def add(self, other: Tally) -> None:
        for name in ("cuts", "carried_out", "duplicates", "doubled", "orphaned", "changed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.told += other.told


class Trial:
    """One kind of client on a queue of its own, behind a proxy of its own."""

    def __init__(self, server: Server, proxy: Proxy, hand: Hand, queue: str, seed: object) -> None:
        self._server = server
        self._proxy = proxy
        self._hand = hand
        self._queue = queue
        self._chance = random.Random(f"{seed}-{queue}")
        self._pushed: list[str] = []
        self.tally = Tally()

    def run(self, rounds: int) -> Tally:
        for _ in range(rounds):
            for when in WHENS:
                for op, step in STEPS.items():
                    step(self, op, when)
        self._count_duplicates()
        return self.tally

    # --- one cut ---

    def push(self, op: str, when: When) -> None:
        job_ids = self._new_ids(1 if op == "push" else JOBS)
        jobs = job_ids[0] if op == "push" else job_ids
        self._cut(op, when, lambda: getattr(self._hand, op)(self._queue, jobs))

    def pull(self, op: str, when: When) -> None:
        self._stock()
        found: list[Held] = []
        request_id = self._new_id()
        reply = self._cut(
            op, when, lambda: found.extend(self._hand.pull(self._queue, JOBS, request_id))
        )
        if reply is not None:
            leases = {(job["id"], job["lease"]) for job in reply["jobs"]}
            self.tally.changed += len(leases ^ {(held.id, held.lease) for held in found})
        self.tally.orphaned += self._active() - len(found)
        for held in found:
            self._hand.ack(held)

    def settle_one(self, op: str, when: When) -> None:
        self._stock()
        [held, *others] = self._hand.pull(self._queue, JOBS, self._new_id())
        self._cut(op, when, lambda: getattr(self._hand, op)(held))
        self._look_at(op, [held])
        self._hand.ack_batch(others)

    def settle_batch(self, op: str, when: When) -> None:
        self._stock()
        held = self._hand.pull(self._queue, JOBS, self._new_id())
        self._cut(op, when, lambda: getattr(self._hand, op)(held))
        self._look_at(op.removesuffix("_batch"), held)

    def _cut(self, op: str, when: When, call: Callable[[], None]) -> dict[str, Any] | None:
        """Make the call and cut it; what the server had answered, where the proxy waited for that."""
        share, reset = self._chance.choice((0.01, 0.5, 0.99, 1.0)), self._chance.random() < 0.5
        marker = _marker(op, self._is_http)
        cut = self._proxy.arm(Cut(marker=marker, when=when, share=share, reset=reset))
        call()
        assert cut.done.is_set(), f"{op} was not cut {when}"
        self.tally.cuts += 1
        reply = _json_of(cut.reply) if cut.reply else None
        self.tally.carried_out += bool(reply and reply["ok"])
        return reply

    # --- what the server shows ---

    def _look_at(self, op: str, held: list[Held]) -> None:
        for one in held:
            job = self._server.get(f"/jobs/{one.id}")[1]["job"]
            seen = (job["state"], job["attempt"], len(job["errors"]), job["delivery"])
            result = {"by": one.lease} if op == "ack" else None
            if seen != ONCE[op] or job["result"] != result:
                self.tally.doubled += 1
                self.tally.told.append(f"{self._queue} {op} {one.id}: {seen} {job['result']}")

    def _active(self) -> int:
        counts = self._server.get(f"/queues/{self._queue}/stats")[1]["counts"]
        return int(counts["active"])

    def _count_duplicates(self) -> None:
        """Every pushed job is there, once, under whatever id."""
        keys = Counter(job["data"]["key"] for job in jobs_in(self._server, self._queue))
        wrong = {key for key in {*keys, *self._pushed} if keys[key] != 1}
        self.tally.duplicates += len(wrong)
        self.tally.told += [f"{self._queue} pushed {key}: {keys[key]} times" for key in wrong]

    # --- what it is done with ---

    @property
    def _is_http(self) -> bool:
        return self._proxy.target == self._server.http

    def _stock(self) -> None:
        """Have enough jobs ready for a pull, by a push that nobody cuts."""
        self._hand.push_batch(self._queue, self._new_ids(JOBS))

    def _new_ids(self, count: int) -> list[str]:
        job_ids = [self._new_id() for _ in range(count)]
        self._pushed += job_ids
        return job_ids

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))


STEPS: Final[dict[str, Callable[[Trial, str, When], None]]] = {
    "push": Trial.push,
    "push_batch": Trial.push,
    "pull": Trial.pull,
    "ack": Trial.settle_one,
    "fail": Trial.settle_one,
    "release": Trial.settle_one,
    "ack_batch": Trial.settle_batch,
    "fail_batch": Trial.settle_batch,
}
CUTS_A_ROUND: Final = len(WHENS) * len(STEPS)


def jobs_in(server: Server, queue: str) -> Iterator[dict[str, Any]]:
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = server.get(f"/jobs?queue={queue}&limit=1000{more}")[1]
        yield from page["jobs"]
        cursor = page["next_cursor"]


def _marker(op: str, is_http: bool) -> bytes:
    return HTTP_MARKERS[op] if is_http else f'"{op}"'.encode()


def _json_of(reply: bytes) -> dict[str, Any]:
    body = reply.partition(b"\r\n\r\n")[2] if reply.startswith(b"HTTP/") else reply
    found: dict[str, Any] = json.loads(body)
    return found
