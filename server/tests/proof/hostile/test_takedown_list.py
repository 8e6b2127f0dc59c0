"""
The list of all ways in which RustQueue can be taken down or stalled (contract §8.2, #22 to #32), each with the tests that try it here.

A way may have several parts, and a part several tests: one on a real server, one at the place where the defence is. The tests below are
those of the parts that had none elsewhere.
"""

from __future__ import annotations

import ast
import time
import tracemalloc
from pathlib import Path

import pytest
from tests.proof.hostile.attacked import say
from tests.proof.hostile.process_memory import MIB
from tests.proof.knobs import SEED
from tests.proof.launched import launched
from tests.proof.report import Figure, publish

from jobwire_server.metrics import Metrics
from jobwire_server.wire.commands import COMMANDS

TESTS = Path(__file__).parents[2]
SURVIVES = "acceptance/test_takedowns.py::test_the_server_and_its_housekeeper_survive"

# (number in the contract, what is done) → the tests that do it, below server/tests. `[x]` is the parameter x of the test.
WAYS: dict[tuple[int, str], tuple[str, ...]] = {
    (22, "a huge count of a pull"): (f"{SURVIVES}[huge_count]",),
    (23, "a huge delay"): (f"{SURVIVES}[huge_delay]",),
    (24, "a huge interval of a schedule"): ("proof/hostile/test_takedown_list.py::test_there_is_no_schedule_to_harm_the_housekeeper",),
    (24, "a huge backoff of a job that fails"): (f"{SURVIVES}[huge_backoff]",),
    (24, "a huge timeout or time to live"): (f"{SURVIVES}[huge_timeout]",),
    (24, "a step of the housekeeper that fails each time"): ("test_maintenance.py::test_a_step_that_always_fails_is_tried_again_a_tick_later",),
    (25, "a backoff that wraps"): (
        "engine/test_backoff.py::test_the_delay_of_the_vector",
        "engine/test_backoff.py::test_the_delay_is_never_negative_and_never_over_its_cap",
    ),
    (26, "a cron that never comes"): ("proof/hostile/test_takedown_list.py::test_there_is_no_schedule_to_harm_the_housekeeper",),
    (27, "an interval of 0, or a schedule of an invalid queue"): ("proof/hostile/test_takedown_list.py::test_there_is_no_schedule_to_harm_the_housekeeper",),
    (28, "a line without end"): (f"{SURVIVES}[endless_line]",),
    (28, "frames without end"): (
        "tcp_api/test_connection.py::test_no_more_is_read_than_may_be_in_flight",
        "tcp_api/test_connection.py::test_a_peer_that_does_not_read_is_not_read_from",
    ),
    (28, "connections without end"): (
        "tcp_api/test_server.py::test_a_connection_over_the_limit_is_told_so",
        "tcp_api/test_server.py::test_refused_connections_do_not_pile_up",
        "http_api/test_door.py::test_a_connection_too_many_is_told_so",
        f"{SURVIVES}[half_requests]",
    ),
    (28, "connections that say nothing, also before a token"): (
        "tcp_api/test_server.py::test_an_idle_connection_is_closed",
        "proof/hostile/test_slowloris.py::test_slow_clients_are_cut_and_the_others_go_on",
    ),
    (29, "log messages without end"): (
        f"{SURVIVES}[endless_logs]",
        "engine/test_decide.py::test_only_the_last_log_lines_are_kept",
    ),
    (29, "a huge result"): (f"{SURVIVES}[huge_result]",),
    (30, "cancelled jobs that stay"): ("test_maintenance.py::test_a_finished_job_is_removed_when_its_retention_is_over",),
    (30, "blocked jobs that stay"): (
        "test_maintenance.py::test_a_job_that_is_blocked_by_nothing_is_freed",
        "operations/test_dependencies.py::test_a_cancel_or_a_delete_cancels_all_below",
    ),
    (30, "names without end: queues"): (
        f"{SURVIVES}[many_names]",
        "test_metrics.py::test_a_queue_that_is_gone_has_no_gauge",
        "test_metrics.py::test_the_number_of_queues_is_bounded",
    ),
    (30, "names without end: addresses that failed"): ("test_auth.py::test_the_table_of_addresses_is_bounded",),
    (31, "latencies that pile up until someone scrapes"): (
        "proof/hostile/test_takedown_list.py::test_measurements_that_nobody_scrapes_take_no_memory",
        "test_metrics.py::test_durations_are_histograms_with_buckets",
    ),
    (32, "a tick of 0"): ("acceptance/test_takedowns.py::test_a_tick_of_0_is_refused_with_the_name_of_the_setting",),
}  # fmt: skip
NUMBERS = range(22, 33)


def missing(node: str) -> bool:
    """Whether there is no such test, or no such parameter of it."""
    path, _, name = node.partition("::")
    function, _, parameter = name.rstrip("]").partition("[")
    file = TESTS / path
    if not file.exists():
        return True
    names = {
        found.name
        for found in ast.walk(ast.parse(file.read_text()))
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return not {function, *([f"_{parameter}"] if parameter else [])} <= names


def test_every_way_is_tried() -> None:
    began = time.monotonic()
    nodes = {node for tests in WAYS.values() for node in tests}
    gone = sorted(node for node in nodes if missing(node))
    untried = sorted(set(NUMBERS) - {number for number, _ in WAYS})
    publish(
        Figure(
            test="T34-takedowns",
            title="ways to take RustQueue down or to stall it, tried here",
            promises=("C9",),
            seed=SEED,
            what="ways and their parts",
            tries=len(WAYS),
            bad=len(gone) + len(untried),
            bar="each has a test that tries it",
            seconds=time.monotonic() - began,
            control="a test and a parameter that are not there were missed",
            numbers={"numbers": len(NUMBERS), "tests": len(nodes)},
        )
    )
    assert gone == []
    assert untried == []


def test_a_test_that_is_not_there_is_missed() -> None:
    """The control."""
    assert missing(f"{SURVIVES}[nothing_of_this_name]")
    assert missing("acceptance/test_takedowns.py::test_nothing_of_this_name")
    assert missing("acceptance/test_nothing.py::test_a")
    assert not missing(SURVIVES)


@pytest.mark.acceptance
def test_there_is_no_schedule_to_harm_the_housekeeper(tmp_path: Path) -> None:
    """This product has no schedules yet. The day it has, #24, #26 and #27 want tests of their own, and this one fails."""
    assert [name for name in COMMANDS if "schedule" in name] == []
    bad = {"name": "s", "queue": "q", "job_name": "n"}
    with launched(tmp_path) as server:
        for extra in (
            {"cron": "0 0 30 2 *"},
            {"every_ms": 0},
            {"every_ms": 2**63 - 1},
            {"queue": "../x", "every_ms": 1},
        ):
            assert server.post("/schedules", {**bad, **extra})[0] == 404
            [answer] = say(server.tcp, {"cmd": "schedule_create", **bad, **extra})
            assert answer["error"]["code"] == "UNKNOWN_COMMAND"
        assert server.get("/queues")[1]["queues"] == []


@pytest.mark.slow
def test_measurements_that_nobody_scrapes_take_no_memory() -> None:
    metrics = Metrics()
    metrics.http_request("GET", 200, 0.1)
    tracemalloc.start()
    try:
        for number in range(20_000):
            metrics.http_request(f"X{number}", 200 + number % 400, number / 1000)
            metrics.command("push", number / 1000)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert grown < MIB // 4
