"""A real server whose n-th call to the disk fails, a short workload on it, and what it leaves."""

from __future__ import annotations

import errno
import random
import sys
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.proof.crash.kill_loop import final_states
from tests.proof.crash.traffic import QUEUES, Client
from tests.proof.history import Ledger, read_folder
from tests.proof.power.io_log import Kind, Op, read_logs
from tests.proof.power.launching import (
    FAIL_SYNC,
    FAIL_TRUNCATE,
    FAIL_WRITE,
    FOREVER,
    Fault,
    Launcher,
    Plan,
    WatchedServer,
)
from tests.proof.power.opening import judge
from tests.proof.power.promises import Promises

FAIL_STOP_S = 1.0
PATIENCE_S = 5.0
CHANGES = {"checkpoint_pages": 12, "ballast_bytes": 65_536}  # so that a short run has all there is
ALL = FAIL_WRITE | FAIL_SYNC | FAIL_TRUNCATE
ROUNDS = 3


def once(error: int, kinds: int) -> Callable[[int], Fault]:
    return lambda n: Fault(first=n, last=n, error=error, kinds=kinds)


def from_then_on(error: int, kinds: int) -> Callable[[int], Fault]:
    return lambda n: Fault(first=n, last=FOREVER, error=error, kinds=kinds)


# (the fault for an n, the kinds of calls that n counts)
VARIANTS: dict[str, tuple[Callable[[int], Fault], int]] = {
    "EIO once": (once(errno.EIO, ALL), ALL),
    "EIO from then on": (from_then_on(errno.EIO, ALL), ALL),
    "EIO on a sync": (once(errno.EIO, FAIL_SYNC), FAIL_SYNC),
    "ENOSPC once": (once(errno.ENOSPC, FAIL_WRITE), FAIL_WRITE),
    "ENOSPC from then on": (from_then_on(errno.ENOSPC, FAIL_WRITE), FAIL_WRITE),
}


@dataclass(frozen=True, slots=True)
class Trial:
    """What one fault came to. Instants in ns of CLOCK_MONOTONIC."""

    what: str
    faults: tuple[Op, ...]
    served: bool
    told_to_stop: int
    code: int
    ended: int
    wrong: tuple[str, ...]  # what is wrong with what it left, in words
    log: str

    @property
    def sync_failure(self) -> Op | None:
        """The first failed sync of a file that holds jobs, before the server was told to stop."""
        return next((op for op in self.faults if _is_fatal(op) and op.at < self.told_to_stop), None)

    @property
    def stopped_after_s(self) -> float | None:
        """From the failed sync to the end of the process."""
        fatal = self.sync_failure
        return None if fatal is None else (self.ended - fatal.at) / 1e9

    def complaints(self) -> list[str]:
        """What breaks a promise, in words."""
        after, told = self.stopped_after_s, list(self.wrong)
        if after is not None and (self.code == 0 or after > FAIL_STOP_S):
            told.append(f"after a failed sync it ended with {self.code} after {after:.2f} s")
        if not self.served and (self.code <= 0 or "damaged" in self.log):
            told.append(f"a start ended with {self.code}: {self.log[-300:]}")
        if self.served and self._met_only_a_full_disk and self.code != 0:
            told.append(f"a full disk ended it with {self.code}")
        return [f"{self.what}: {words}" for words in told]

    @property
    def _met_only_a_full_disk(self) -> bool:
        return all(op.offset == errno.ENOSPC for op in self.faults)


def _is_fatal(op: Op) -> bool:
    return op.is_created and op.name.endswith("sync")


def _was_made_good(fault: Op, ops: Sequence[Op]) -> bool:
    """A failed sync of the folder with a good one after it: SQLite passes over the first, the store asks for the second."""
    later = (op for op in ops if op.kind is Kind.FOLDER_SYNC and op.at > fault.at)
    return fault.name.startswith("folder") and next(later, None) is not None


def try_fault(
    folder: Path, launcher: Launcher, what: str, fault: Fault, changes: dict[str, int] | None = None
) -> Trial:
    """Run the workload on a server with this fault, then look at what it left, and start another one on it."""
    folder.mkdir()
    plan = Plan(io_log=folder / "io", fault=fault, changes={**CHANGES, **(changes or {})})
    server = WatchedServer(folder, launcher, plan)
    try:
        served, child = server.has_started(), server.child
        if served and not work(folder, server):
            child.has_ended(PATIENCE_S)
        told_to_stop = child.end_by_sigterm()
        ops = read_logs(folder / "io")
        met = (op for op in ops if op.kind is Kind.FAULT)
        faults = tuple(fault for fault in met if not _was_made_good(fault, ops))
        code, ended = child.wait(), child.ended_ns
        log, wrong = server.log, tuple(left_behind(server))
        return Trial(what, faults, served, told_to_stop, code, ended, wrong, log)
    finally:
        server.end()


def left_behind(server: WatchedServer) -> Iterator[str]:
    """What is wrong with the file, and with a server without faults on it."""
    promises = Promises(read_folder(server.folder))
    promises.advance(sys.maxsize)
    verdict = judge(server.database, promises)
    yield from (*verdict.corrupt, *verdict.lost[:3])
    server.plan = Plan()
    if not server.has_started():
        yield f"no server starts on it: {server.log[-300:]}"
        return
    yield from list(promises.broken_by(final_states(server).jobs))[:3]


def calls_of(folder: Path, launcher: Launcher, kinds: int) -> int:
    """How many calls of these kinds a run without a fault makes."""
    try_fault(folder, launcher, "clean", Fault(kinds=kinds))
    return next(op.inode for op in read_logs(folder / "io") if op.kind is Kind.CALLS)


# ── The workload ──


class FaultyClient(Client):
    def _settled(self, op: str, key: str, answer: dict[str, Any]) -> dict[str, Any] | None:
        return super()._settled(op if answer["ok"] else f"refused {op}", key, answer)

    def close(self) -> None:
        self._hang_up()


def work(folder: Path, server: WatchedServer) -> bool:
    """Some of every operation; False as soon as the server does not answer, as one does that is about to end."""
    with Ledger(folder, "client") as ledger:
        client = FaultyClient("tcp", server.tcp, folder, ledger, "workload", PATIENCE_S)
        with closing(client):
            return client.connect() and all_answered(client, calls(client.chance))


Asked = tuple[str, dict[str, Any]]
Calls = Generator[Asked, dict[str, Any], None]  # is sent each answer


def all_answered(client: Client, calls: Calls) -> bool:
    op, fields = next(calls)
    with suppress(StopIteration):
        while (answer := client.call(op, **fields)) is not None:
            op, fields = calls.send(answer)
        return False
    return True


def calls(chance: random.Random) -> Calls:
    for number in range(ROUNDS):
        ids = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(4)]
        data = {"n": number, "text": chance.randbytes(100 * 6**number).hex()}
        yield "push", {"id": ids[0], "queue": QUEUES[0], "name": "n", "data": data}
        jobs = [{"id": job_id, "name": "n", "data": number} for job_id in ids[1:]]
        yield "push_batch", {"queue": QUEUES[0], "jobs": jobs, "atomic": True}
        yield "queue_pause", {"queue": QUEUES[1], "mode": "push"}
        yield "cancel", {"id": ids[3]}
        yield from settle(number)
        yield "queue_resume", {"queue": QUEUES[1]}


def settle(number: int) -> Calls:
    """Pull three and end each in another way."""
    fields = {"queue": QUEUES[0], "count": 3, "lease_ms": 60_000, "request_id": f"pull-{number}"}
    answer = yield "pull", fields
    jobs = answer["jobs"] if answer["ok"] else []
    ends = (("ack", {"result": number}), ("fail", {"error": "e", "discard": True}), ("release", {}))
    for job, (op, more) in zip(jobs, ends, strict=False):
        held = {"id": job["id"], "lease": job["lease"], "delivery": job["delivery"]}
        yield "heartbeat", held
        yield op, {**held, **more}
