"""A store whose file was damaged while nobody had it open: what it says about it, and what it gives out."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.proof.power.disk import Image
from tests.proof.power.opening import NAME, lay_out
from tests.store.jobs import NOW, a_job, make, pull, push

from jobwire_server.engine import decide
from jobwire_server.engine.flows import resolve_child
from jobwire_server.errors import StoreFailed, StoreUnusable
from jobwire_server.model import Job, JobFilter, JobState
from jobwire_server.store.sqlite import SqliteStore, rows

PAGE = 4_096
WAL = f"{NAME}-wal"
WAL_HEAD, FRAME = 32, PAGE + 24
PAYLOADS = (10, 300, 1_500, 3_000, 20_000)  # bytes: in the row, beside it, and over several pages
JOBS = 120

# What became of a damage. `refused` and `failed` are detected; the others are told apart by what was given out.
REFUSED, FAILED, HARMLESS = "refused", "failed", "harmless"
CUT_SHORT, LAST_COMMIT = "cut short", "last commit"  # nothing is left that could tell
CHANGED, GONE, PAYLOAD = "changed", "gone", "wrong payload"


@dataclass(frozen=True, slots=True)
class Damage:
    file: str
    place: int
    how: str

    def __str__(self) -> str:
        return f"{self.how} at {self.place} of {self.file}"


@dataclass(frozen=True, slots=True)
class Store:
    """The files, and the jobs in them by id."""

    image: Image
    jobs: dict[str, Job]


@dataclass(slots=True)
class Outcome:
    """How often what became of it, and an example of each."""

    seen: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def count(self, what: str, damage: Damage, why: str) -> None:
        self.seen[what] += 1
        self.examples.setdefault(what, f"{damage}: {why}")

    @property
    def tries(self) -> int:
        return self.seen.total()


def opened(path: Path) -> SqliteStore:
    return SqliteStore(path, resolve_child, ballast_bytes=PAGE)


# ── What is damaged ──


async def filled(folder: Path, *, in_wal: bool) -> Store:
    """A store in a new folder with jobs of all sizes in several states, most of it in the WAL or all of it in the database."""
    store = opened(folder / NAME)  # which makes the folder
    await store.open(NOW)
    try:
        chance = random.Random(len(PAYLOADS))
        for number in range(JOBS):
            size = PAYLOADS[number % len(PAYLOADS)]
            data = b'"%s"' % chance.randbytes(size // 2).hex().encode()
            await push(store, a_job(data=data, unique_key=f"key-{number}", tags=("a", "b")))
        held = await pull(store, count=JOBS // 3)
        for job in held[: JOBS // 6]:
            await make(store, decide.ack(job, None, b'{"done": true}', NOW))
        ids = [job.id for job in await everything(store)]
        jobs = {job.id: job for job in await store.get(ids) if job}
        if in_wal:
            return Store(copied(folder), jobs)
    finally:
        await store.close()
    return Store(copied(folder), jobs)


def copied(folder: Path) -> Image:
    """The files as another process reads them: one of ours that closed them would end SQLite's locks."""
    found = (name for name in (NAME, WAL) if (folder / name).exists())
    return {
        name: subprocess.run(["cat", str(folder / name)], capture_output=True, check=True).stdout
        for name in found
    }


def flip(content: bytearray, place: int, chance: random.Random) -> None:
    content[place] ^= 1 << chance.randrange(8)


def cut(content: bytearray, place: int, _: random.Random) -> None:
    del content[place:]


def blank(content: bytearray, place: int, _: random.Random) -> None:
    """A sector of zeros, as a disk gives back that lost it."""
    start = place - place % 512
    content[start : start + 512] = bytes(min(512, len(content) - start))


WAYS: dict[str, Callable[[bytearray, int, random.Random], None]] = {
    "flip": flip,
    "cut": cut,
    "blank": blank,
}


def damages(store: Store, file: str, number: int, chance: random.Random) -> Iterator[Damage]:
    """Places all over the file, the first page more than others, and mostly flips."""
    size = len(store.image[file])
    for step in range(number):
        how = ("flip", "flip", "flip", "cut", "blank")[step % 5]
        first = step % 8 == 0
        place = chance.randrange(PAGE) if first else chance.randrange(size)
        yield Damage(file, min(place, size - 1), how)


# ── What becomes of it ──


async def try_damage(
    store: Store, damage: Damage, folder: Path, chance: random.Random
) -> tuple[str, str]:
    """What became of it, and why that is said."""
    content = bytearray(store.image[damage.file])
    WAYS[damage.how](content, damage.place, chance)
    if content == store.image[damage.file]:
        return HARMLESS, "nothing was changed"
    path = lay_out({**store.image, damage.file: bytes(content)}, folder)
    damaged = opened(path)
    try:
        await damaged.open(NOW)
    except StoreUnusable as error:
        return REFUSED, str(error)
    try:
        return await compared(store, damaged, damage)
    except StoreFailed as error:
        return FAILED, str(error)
    finally:
        await damaged.close()


async def compared(store: Store, damaged: SqliteStore, damage: Damage) -> tuple[str, str]:
    """All that can be asked for, beside what was kept."""
    found = dict(zip(store.jobs, await damaged.get(list(store.jobs)), strict=True))
    for job in [*filter(None, found.values()), *await everything(damaged)]:
        kept = store.jobs.get(job.id)
        if kept is not None and kept.data != job.data:
            return PAYLOAD, f"{job.id} has {job.data[:60]!r}"
    claimed = await pull(damaged, count=JOBS)
    return verdict(store, found, {job.id for job in claimed}, damage)


def verdict(
    store: Store, found: dict[str, Job | None], claimed: set[str], damage: Damage
) -> tuple[str, str]:
    lost = [job_id for job_id, job in found.items() if job is None]
    other = [job_id for job_id, job in found.items() if job and job != store.jobs[job_id]]
    waiting = {job.id for job in store.jobs.values() if job.state == JobState.WAITING}
    if (lost or other) and damage.file == WAL:
        told = f"{len(lost)} jobs are gone and {len(other)} are as they were before"
        if damage.how == "cut":
            return CUT_SHORT, told
        return (LAST_COMMIT if _is_last(store, damage, len(lost) + len(other)) else GONE), told
    if lost or not waiting <= claimed:
        return GONE, f"{lost or waiting - claimed}"
    if other:
        return CHANGED, f"{found[other[0]]} was {store.jobs[other[0]]}"
    return HARMLESS, "all is as it was"


def _is_last(store: Store, damage: Damage, jobs: int) -> bool:
    """Whether one change is gone that was in the last commit, where the damage is."""
    wal = store.image[WAL]
    starts = range(WAL_HEAD, len(wal), FRAME)
    *_, before, _last = (start for start in starts if any(wal[start + 4 : start + 8]))
    return jobs == 1 and damage.place - damage.place % 512 + 512 > before + FRAME


async def everything(store: SqliteStore) -> list[Job]:
    page = await store.find(JobFilter(), limit=10 * JOBS, cursor=None)
    return page.jobs


async def damage_often(store: Store, file: str, folder: Path, *, number: int, seed: int) -> Outcome:
    chance, outcome = random.Random(f"{seed}-{file}"), Outcome()
    for damage in damages(store, file, number, chance):
        what, why = await try_damage(store, damage, folder, chance)
        outcome.count(what, damage, why)
    return outcome


@contextmanager
def without_checksum() -> Iterator[None]:
    """A defect for the control: all payloads have the same checksum."""
    real = rows.crc32
    rows.crc32 = lambda data: 0
    try:
        yield
    finally:
        rows.crc32 = real
