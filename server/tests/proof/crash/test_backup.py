"""T8: `jobwire backup` under load and kills gives whole and consistent copies, and a plain copy of the file is caught (guarantees C1, C12).

PROOF_SEED and PROOF_SCALE choose another run; a failure names the folder that holds the ledgers, the log and the copies.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import apsw
import pytest
from tests.acceptance.processes import Server
from tests.proof.crash.backups import Copier, Copy, by_command, by_plain_copy, problems_of
from tests.proof.crash.kill_loop import run
from tests.proof.facts import Facts
from tests.proof.history import Call
from tests.proof.knobs import SCALE, SEED
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

KILLS = max(3, round(5 * SCALE))
LEAST = max(6, round(15 * SCALE))  # backups
PLAIN = 4  # plain copies to look at
HELD_UP_S = 5  # a server that waits for a reader waits for 10


@pytest.mark.timeout(120 + 20 * KILLS)
def test_every_backup_under_kills_is_a_consistent_state(tmp_path: Path) -> None:
    began = time.monotonic()
    copier = Copier(tmp_path, (by_command, by_plain_copy), LEAST)
    report = run(tmp_path, seed=SEED, kills=KILLS, clients=2, beside=copier.beside)
    told = f"PROOF_SEED={SEED} PROOF_SCALE={SCALE}; kept in {tmp_path}"
    assert copier.error is None, (copier.error, told)
    copies, plain = copier.copies[by_command], copier.copies[by_plain_copy]

    found = judged(copies, report.calls)
    caught = sum(bool(problems) for problems in judged(plain[1 : 1 + PLAIN], report.calls))

    publish(
        Figure(
            test="T8",
            title="online backup under kills",
            promises=("C1", "C4", "C12"),
            seed=SEED,
            what="backups",
            tries=len(copies),
            bad=sum(bool(problems) for problems in found),
            bar="each opens, passes integrity_check, serves, and is a state between its beginning and its end",
            seconds=time.monotonic() - began,
            control=f"{caught} of {PLAIN} plain copies of the file were caught",
            numbers={
                "kills": report.kills.total(),
                "across_a_kill": sum(is_across_a_kill(copy, report.calls) for copy in copies),
                "bytes_p50": round(statistics.median(copy.bytes for copy in copies)),
                "seconds_p50": round(statistics.median(took(copy) for copy in copies), 2),
            },
        )
    )
    assert [problems for problems in found if problems] == [], told
    assert report.bad == 0, told  # the backups did the server no harm
    assert len(copies) >= LEAST, told
    assert caught > 0, told


def judged(copies: list[Copy], calls: list[Call]) -> list[list[str]]:
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(partial(problems_of, calls=calls), copies))


def is_across_a_kill(copy: Copy, calls: list[Call]) -> bool:
    return any(copy.t0 < kill.returned and kill.t0 < copy.t1 for kill in Facts(calls).kills)


def took(copy: Copy) -> float:
    return (copy.t1 - copy.t0) / 1e6


def test_a_reader_of_an_old_state_holds_up_no_start_and_no_stop(tmp_path: Path) -> None:
    """What a long backup is to the server. It has committed since, and was killed, so that a part of the WAL must stay."""
    server = Server(tmp_path).start()
    try:
        reader = apsw.Connection(str(tmp_path / "jobs.db"), flags=apsw.SQLITE_OPEN_READONLY)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM jobs").get == 0
        pushed = server.post("/queues/proof/jobs/batch", {"jobs": [{"name": "a"}] * 1_000})
        assert pushed[0] == 201
        server.kill()

        began = time.monotonic()
        server.start()
        assert server.get("/queues/proof/stats")[1]["counts"]["waiting"] == 1_000
        assert server.stop() == 0
        assert time.monotonic() - began < HELD_UP_S
        assert reader.execute("SELECT count(*) FROM jobs").get == 0
        reader.close()
    finally:
        server.end()
