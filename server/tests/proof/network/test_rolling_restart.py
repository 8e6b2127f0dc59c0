"""T25: a server that is restarted under load is a short delay for the SDK: no call fails, no lease is lost (guarantees C1, C2; JW-HEALTH-5).

PROOF_SEED and PROOF_SCALE choose another run; a failure prints both.
"""

from __future__ import annotations

import random
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.acceptance.processes import until
from tests.proof.knobs import SCALE, SEED
from tests.proof.launched import Launched, launched
from tests.proof.network.lost_replies import jobs_in
from tests.proof.network.sdk_load import EACH, Consumer, Producer, Run, end_all, handled_again
from tests.proof.report import Figure, p99, publish

pytestmark = [pytest.mark.acceptance, pytest.mark.paced]

RESTARTS = max(2, round(3 * SCALE))
BETWEEN_S = (0.3, 1.0)
SECONDS = (0.01, 0.05, 0.2, 1.5)  # of a handler; the longest outlast a restart
DRAIN_TIMEOUT_S = 5.0
BACK_IN_S = 2.0
SETTINGS = f"[server]\ndrain_timeout_ms = {round(DRAIN_TIMEOUT_S * 1_000)}\n"
QUEUE = "rolling"


@dataclass(slots=True)
class Report:
    """What one run came to."""

    drained_s: list[float] = field(default_factory=list)
    down_s: list[float] = field(default_factory=list)
    back_s: list[float] = field(default_factory=list)  # one a worker and restart
    pushed: int = 0
    failed: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)  # jobs that were handled more than once
    unfinished: list[str] = field(default_factory=list)

    @property
    def bad(self) -> int:
        return len(self.failed) + len(self.again) + len(self.unfinished)


@pytest.mark.timeout(60 + round(60 * SCALE))
def test_a_restart_under_load_fails_no_call_and_loses_no_lease(tmp_path: Path) -> None:
    began = time.monotonic()
    with ThreadPoolExecutor() as aside:
        impatient = aside.submit(run, tmp_path / "impatient", 1, retries=0)
        report = run(tmp_path / "kept", RESTARTS)
        control = impatient.result()

    figure = publish(
        Figure(
            test="T25",
            title="rolling restart under SDK load",
            promises=("C1", "C2"),
            seed=SEED,
            what="pushes",
            tries=report.pushed,
            bad=report.bad,
            bar="failed client calls 0, jobs handled twice 0, drained ≤ its timeout, workers consume ≤ 2 s p99 after ready",
            seconds=time.monotonic() - began,
            control=f"producers without retries: {len(control.failed)} failed calls in 1 restart",
            numbers={
                "restarts": len(report.drained_s),
                "drained_max_s": round(max(report.drained_s), 3),
                "down_p50_s": round(statistics.median(report.down_s), 3),
                "consuming_p50_s": round(statistics.median(report.back_s), 3),
                "consuming_p99_s": round(p99(report.back_s), 3),
            },
        )
    )
    assert figure.bad == 0, told(report)
    assert len(report.back_s) == RESTARTS * len(EACH)
    assert figure.tries >= 20 * RESTARTS
    assert max(report.drained_s) <= DRAIN_TIMEOUT_S
    assert p99(report.back_s) <= BACK_IN_S, report.back_s
    assert control.failed, "calls without retries must fail"


def run(folder: Path, restarts: int, **options: int) -> Report:
    chance, report = random.Random(f"rolling-{SEED}"), Report()
    with launched(folder, settings=SETTINGS) as server, ExitStack() as stack:
        producers = [
            stack.enter_context(
                Producer(
                    kind,
                    server.url(door),
                    QUEUE,
                    seed=SEED,
                    seconds=lambda chance: chance.choice(SECONDS),
                    **options,
                )
            )
            for kind, door in EACH
        ]
        consumers = [
            stack.enter_context(
                Consumer(
                    kind, server.url(door), [f"{kind}-{door}", QUEUE], concurrency=30, lease=10
                )
            )
            for kind, door in EACH
        ]
        probed(server, consumers)  # every worker works
        for _ in range(restarts):
            time.sleep(chance.uniform(*BETWEEN_S))  # the load between two restarts
            restart(server, consumers, report)
        end_all(producers)
        server.wait_until_done(QUEUE, 20)
        end_all(consumers)
        conclude(server, producers, consumers, report)
    return report


def restart(server: Launched, consumers: list[Consumer], report: Report) -> None:
    began = time.monotonic()
    ended, ready = server.restart()
    report.drained_s.append(ended - began)
    report.down_s.append(ready - ended)
    report.back_s += [run.began - ready for run in probed(server, consumers)]


def probed(server: Launched, consumers: list[Consumer]) -> list[Run]:
    """Push a job that only it may take for each worker; how each of them ran it."""
    probes = [
        server.post(f"/queues/{one.queues[0]}/jobs", {"name": "proof", "data": {"seconds": 0}})
        for one in consumers
    ]
    asked = {answer["id"] for _, answer in probes}

    def runs() -> list[Run]:
        return [run for one in consumers for run in list(one.runs) if run.job_id in asked]

    until(lambda: len(runs()) == len(consumers), 20, "every worker consumes again")
    return runs()


def conclude(
    server: Launched, producers: list[Producer], consumers: list[Consumer], report: Report
) -> None:
    states = {job["id"]: job["state"] for job in jobs_in(server, QUEUE)}
    pushed = [job_id for one in producers for job_id in one.pushed]
    report.pushed = len(pushed)
    report.failed = [text for one in producers for text in one.failed]
    report.again = handled_again(consumers)
    report.unfinished = [job_id for job_id in pushed if states.get(job_id) != "completed"]


def told(report: Report) -> str:
    again = f"PROOF_SEED={SEED} PROOF_SCALE={SCALE:g}"
    return f"{again}\nfailed {report.failed[:5]}\nagain {report.again[:5]}\nunfinished {report.unfinished[:5]}"
