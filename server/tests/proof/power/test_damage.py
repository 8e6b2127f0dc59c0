"""T5: bytes of the files change while no server runs, and no wrong payload is given out (guarantees C10).

PROOF_SEED and PROOF_SCALE choose other places or more of them. What the harness sees and the product does not promise is in the
figure: members of a job other than its payload have no checksum, and a WAL does not tell that its end is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.proof.knobs import AGAIN, SEED, patience, scaled
from tests.proof.power.damage import (
    FAILED,
    GONE,
    NAME,
    PAYLOAD,
    REFUSED,
    WAL,
    Store,
    damage_often,
    filled,
    without_checksum,
)
from tests.proof.power.figures_of_power import figure_of_damages
from tests.proof.power.launching import Launcher, Plan, WatchedServer, shimmed
from tests.proof.power.opening import lay_out
from tests.proof.report import publish

pytestmark = pytest.mark.slow

PLACES = {NAME: scaled(120), WAL: scaled(40)}
CONTROL_PLACES = 120


@pytest.fixture
def launcher() -> Iterator[Launcher]:
    with shimmed() as launcher:
        yield launcher


@pytest.mark.slow
@pytest.mark.timeout(patience(10))
async def test_damaged_bytes_give_no_wrong_payload(tmp_path: Path) -> None:
    began = time.monotonic()
    done = {
        file: await damage_often(
            await filled(tmp_path / file, in_wal=file == WAL),
            file,
            tmp_path / "damaged",
            number=number,
            seed=SEED,
        )
        for file, number in PLACES.items()
    }

    publish(figure_of_damages(list(done.values()), SEED, time.monotonic() - began))
    for file, outcome in done.items():
        assert outcome.tries == PLACES[file]
        for what in (PAYLOAD, GONE):
            assert outcome.seen[what] == 0, f"{AGAIN}\n{outcome.examples[what]}"
        assert outcome.seen[REFUSED] + outcome.seen[FAILED] > PLACES[file] // 3


@pytest.mark.slow
async def test_a_store_without_checksums_is_caught(tmp_path: Path) -> None:
    """The control: a wrong payload is given out, and seen."""
    with without_checksum():
        store = await filled(tmp_path / "store", in_wal=False)
        outcome = await damage_often(
            store, NAME, tmp_path / "damaged", number=CONTROL_PLACES, seed=SEED
        )

    assert outcome.seen[PAYLOAD] > 0


@pytest.mark.acceptance
async def test_a_server_says_that_its_file_is_damaged(tmp_path: Path, launcher: Launcher) -> None:
    """A page in the middle is no page any more: exit code 1, and a line that names the file."""
    store = await filled(tmp_path / "store", in_wal=False)
    content = bytearray(store.image[NAME])
    content[4_096 * 9 : 4_096 * 10] = b"\xff" * 4_096

    server = served(tmp_path / "served", store, content, launcher)

    assert not server.has_started()
    assert server.wait() == 1
    assert f"{server.database} is damaged" in server.log


@pytest.mark.acceptance
async def test_a_server_stops_at_a_damaged_payload(tmp_path: Path, launcher: Launcher) -> None:
    """Found when it is read: an answer that is none of the payload, exit code 1, and a line that names the job."""
    store = await filled(tmp_path / "store", in_wal=False)
    big = max(store.jobs.values(), key=lambda job: len(job.data))
    content = bytearray(store.image[NAME])
    place = content.index(big.data[1:60])
    content[place] ^= 1

    server = served(tmp_path / "served", store, content, launcher)
    try:
        assert server.has_started(), server.log
        status, answer = server.get(f"/jobs/{big.id}")
        assert (status, answer["error"]["code"]) == (503, "STORAGE_UNAVAILABLE")
        assert server.wait() == 1
    finally:
        server.end()
    assert f"the payload of job {big.id} does not match its checksum" in server.log


def served(folder: Path, store: Store, content: bytearray, launcher: Launcher) -> WatchedServer:
    folder.mkdir()
    server = WatchedServer(folder, launcher, Plan())
    lay_out({**store.image, NAME: bytes(content)}, server.database.parent)
    return server
