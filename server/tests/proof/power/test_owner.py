"""T6: one owner a file, whatever name the second server knows it by (guarantees C12)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.proof.knobs import AGAIN, SEED
from tests.proof.power.launching import Launcher, Plan, WatchedServer, fork, shimmed
from tests.proof.power.needs import OWN_MOUNTS, needs_mounts
from tests.proof.power.owners import (
    LIMIT_S,
    WAYS,
    Second,
    Seen,
    is_unharmed,
    restarts_after_kill,
    starts_on_a_copy,
    try_beside_a_stopped_first,
    try_second,
)
from tests.proof.report import Figure, publish

pytestmark = [pytest.mark.acceptance, pytest.mark.paced]

JOBS = 20
ROUNDS = 3  # of a kill and a start


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with shimmed() as launcher:
        yield launcher


@pytest.fixture
def first(launcher: Launcher, tmp_path: Path) -> Iterator[WatchedServer]:
    server = WatchedServer(tmp_path, launcher, Plan())
    assert server.has_started(), server.log
    yield server
    server.end()


def pushed_to(server: WatchedServer) -> list[str]:
    bodies = ({"name": "n", "data": number} for number in range(JOBS))
    return [server.post("/queues/q/jobs", body)[1]["id"] for body in bodies]


def test_a_second_server_is_refused_by_every_name_of_the_file(
    first: WatchedServer, launcher: Launcher
) -> None:
    began, jobs = time.monotonic(), pushed_to(first)

    seen = [try_beside_a_stopped_first(first, launcher)]
    seen += [try_second(way, first, WAYS[way](first.database), launcher) for way in WAYS]
    wrong = [fault for each in seen for fault in each.faults()] + is_unharmed(first, jobs)
    publish(figure_of(seen, wrong, began))
    assert wrong == [], f"{AGAIN}\n" + "\n".join(wrong)


def figure_of(seen: list[Seen], wrong: list[str], began: float) -> Figure:
    return Figure(
        test="T6",
        title="a second server on the file",
        promises=("C12",),
        seed=SEED,
        what="second servers",
        tries=len(seen),
        bad=len(wrong),
        bar=f"exit code 3 in {LIMIT_S:g} s, the owner named, both files whole",
        seconds=time.monotonic() - began,
        control="without the lock the harness sees two owners",
        numbers={"refused_max_ms": round(1_000 * max(each.took_s for each in seen))},
    )


@needs_mounts
@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_second_server_is_refused_over_a_bind_mount(
    first: WatchedServer, tmp_path: Path, what: str
) -> None:
    jobs, database = pushed_to(first), first.database
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    if what == "file":
        (mounted / database.name).touch()
    source, target = {
        "folder": (database.parent, mounted),
        "file": (database, mounted / database.name),
    }[what]
    bind = f'mount --bind "{source}" "{target}" && exec "$@"'
    with shimmed(within=[*OWN_MOUNTS, "sh", "-c", bind, "sh"]) as inside:
        seen = try_second(what, first, Second(mounted / database.name), inside)

    wrong = [fault for fault in seen.faults() if what == "folder" or "who the owner" not in fault]
    assert wrong + is_unharmed(first, jobs) == []


def test_a_killed_owner_leaves_the_file_free(first: WatchedServer) -> None:
    jobs = pushed_to(first)

    took = [restarts_after_kill(first) for _ in range(ROUNDS)]
    assert max(took) < 2 * LIMIT_S, took
    assert is_unharmed(first, jobs) == []


def test_a_copied_lock_file_locks_nothing(first: WatchedServer, launcher: Launcher) -> None:
    jobs = pushed_to(first)

    assert starts_on_a_copy(first, launcher)
    assert is_unharmed(first, jobs) == []


def test_a_look_at_the_file_takes_it_from_nobody(first: WatchedServer, launcher: Launcher) -> None:
    jobs, log = pushed_to(first), first.folder / "doctor.log"
    settings = {
        "JOBWIRE_STORAGE": first.storage,
        "JOBWIRE_URL": f"http://127.0.0.1:{first.http}",
    }

    doctor = fork(launcher, ["doctor"], log, first.database, Plan(settings=settings))
    assert doctor.wait() == 0, log.read_text()
    assert "a running server has the store open" in log.read_text()
    assert is_unharmed(first, jobs) == []


def test_two_owners_are_seen(first: WatchedServer, launcher: Launcher) -> None:
    """The control: a second server that does not ask whose file it is."""
    plan = Plan(changes={"no_lock": 1})

    seen = try_second("unlocked", first, Second(first.database), launcher, plan)

    assert seen.is_owner
    assert seen.faults() != []
