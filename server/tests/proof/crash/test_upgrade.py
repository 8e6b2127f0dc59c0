"""T7: a file of each released schema opens and loses nothing, a migration that is killed leaves the old file, and a newer file is refused untouched.

There is one schema so far. So the second one is made here (next_schema.py), and goes through the migration runner of the product.
"""

from __future__ import annotations

import hashlib
import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.proof.crash.golden_files import Shown, dump, golden_versions, restore, shown_by
from tests.proof.crash.moments import Victim
from tests.proof.crash.next_schema import BOUNDARIES, STATEMENTS
from tests.proof.knobs import SEED
from tests.proof.report import Figure, publish

from jobwire_server.cli.exits import Exit
from jobwire_server.store.sqlite import schema

pytestmark = pytest.mark.acceptance

NEWEST = schema.migrations()[-1].version
FIRST_STATEMENTS = 20  # of the first migration, at least
FIRST_KILLS = 2


@dataclass(frozen=True, slots=True)
class Old:
    """A file of the newest released schema in a folder of its own, and what a server has to show of it."""

    server: Victim
    shown: Shown

    @property
    def file(self) -> Path:
        return self.server.folder / "jobs.db"


def old(folder: Path, version: int = NEWEST) -> Old:
    folder.mkdir()
    return Old(Victim(folder), restore(version, folder / "jobs.db"))


def is_kept(folder: Path, place: int, how: str = "migrating") -> bool:
    """Whether a kill at this place of a migration leaves the file as it was."""
    store = old(folder)
    before = dump(store.file)
    try:
        store.server.launch_announcing(how, place)
    finally:
        store.server.end()
    return dump(store.file) == before


def is_served(store: Old) -> bool:
    """Whether a server of this schema starts on it and shows all that there was."""
    try:
        return shown_by(store.server.start()) == store.shown
    finally:
        store.server.end()


def is_made_anew(folder: Path, place: int) -> bool:
    """Whether a kill at this place of the very first start leaves a file that the next start can use."""
    folder.mkdir()
    server = Victim(folder)
    try:
        server.launch_announcing("migrating", place)
        server.kill()
        return server.start().post("/queues/a/jobs", {"name": "a"})[0] == 201
    finally:
        server.end()


def is_refused_untouched(folder: Path) -> bool:
    """Upgrade a file, which must lose nothing; then whether the older server refuses it in words and leaves it."""
    store = old(folder)
    try:
        store.server.start_upgraded()
        assert shown_by(store.server) == store.shown
        assert store.server.stop() == 0
        before = digest(store.file)
        code = store.server.launch().wait(20)
    finally:
        store.server.end()
    told = f"(schema {NEWEST + 1}, this one knows {NEWEST}); run that version"
    return (code, digest(store.file)) == (Exit.ERROR, before) and told in store.server.log


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_upgrades_and_downgrades_lose_nothing(tmp_path: Path) -> None:
    began = time.monotonic()
    first = random.Random(SEED).sample(range(FIRST_STATEMENTS), FIRST_KILLS)
    with ThreadPoolExecutor(2) as pool:
        kept = [pool.submit(is_kept, tmp_path / f"kept-{n}", n) for n in range(BOUNDARIES)]
        anew = [pool.submit(is_made_anew, tmp_path / f"new-{n}", n) for n in first]
        served = [pool.submit(is_served, old(tmp_path / f"old-{n}", n)) for n in golden_versions()]
        refused = pool.submit(is_refused_untouched, tmp_path / "refused")
        torn = pool.submit(is_kept, tmp_path / "torn", len(STATEMENTS), "torn")
    outcomes = [each.result() for each in (*kept, *anew, *served, refused)]

    publish(
        Figure(
            test="T7",
            title="upgrade and downgrade",
            promises=("C1", "C4"),
            seed=SEED,
            what="files",
            tries=len(outcomes),
            bad=outcomes.count(False),
            bar="every released schema opens with all it had; a kill at every statement of a migration leaves the old file; a newer schema is refused, untouched",
            seconds=time.monotonic() - began,
            control=f"a migration without a transaction was {'missed' if torn.result() else 'caught'}",
            numbers={
                "released_schemas": len(served),
                "kills_in_migration": len(kept),
                "kills_in_first_start": len(anew),
            },
        )
    )
    assert outcomes.count(False) == 0, (outcomes, f"PROOF_SEED={SEED}; kept in {tmp_path}")
    assert not torn.result()


def test_every_released_schema_has_a_golden_file() -> None:
    assert golden_versions() == [migration.version for migration in schema.migrations()], (
        "run: python -m tests.proof.crash.golden_files"
    )
