"""Metrics: RustQueue's names beside our own, bounded labels, histograms, no global state."""

from __future__ import annotations

from collections.abc import Callable

import prometheus_client
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from jobwire_server.metrics import OTHER_QUEUES, QUEUES, Metrics, bounded

COUNTERS = ("jobs_pushed", "jobs_pulled", "jobs_completed", "jobs_failed", "http_requests")
HISTOGRAMS = (
    "push_duration_seconds",
    "pull_duration_seconds",
    "ack_duration_seconds",
    "http_request_duration_seconds",
)
GAUGES = (
    "queue_waiting_jobs",
    "queue_active_jobs",
    "queue_delayed_jobs",
    "queue_dlq_jobs",
    "http_connections",
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def _families(metrics: Metrics) -> dict[str, Metric]:
    found = list(text_string_to_metric_families(metrics.render().decode()))
    names = [family.name for family in found]
    assert len(names) == len(set(names)), "a family came twice"
    return {family.name: family for family in found}


def _value(metrics: Metrics, sample_name: str, **labels: str) -> float:
    [value] = [
        sample.value
        for family in _families(metrics).values()
        for sample in family.samples
        if (sample.name, sample.labels) == (sample_name, labels)
    ]
    return value


@pytest.mark.parametrize("prefix", ["jobwire", "rustqueue"])
def test_every_metric_has_its_name_and_type_from_the_start(metrics: Metrics, prefix: str) -> None:
    families = _families(metrics)

    for names, kind in ((COUNTERS, "counter"), (HISTOGRAMS, "histogram"), (GAUGES, "gauge")):
        for name in names:
            assert families[f"{prefix}_{name}"].type == kind


def test_there_is_no_other_metric(metrics: Metrics) -> None:
    expected = {
        f"{p}_{n}" for p in ("jobwire", "rustqueue") for n in COUNTERS + HISTOGRAMS + GAUGES
    }

    assert set(_families(metrics)) == expected


@pytest.mark.parametrize(
    ("count", "name"),
    [
        (Metrics.pushed, "jobs_pushed_total"),
        (Metrics.pulled, "jobs_pulled_total"),
        (Metrics.completed, "jobs_completed_total"),
        (Metrics.failed, "jobs_failed_total"),
    ],
)
def test_jobs_are_counted(metrics: Metrics, count: Callable[..., None], name: str) -> None:
    count(metrics)
    count(metrics, 41)

    assert _value(metrics, f"rustqueue_{name}") == 42
    assert _value(metrics, f"jobwire_{name}") == 42


def test_http_answers_are_counted_by_method_and_class(metrics: Metrics) -> None:
    for method, status in (
        ("GET", 200),
        ("GET", 204),
        ("POST", 503),
        ("<script>", 400),
        ("X", 405),
    ):
        metrics.http_request(method, status, 0.25)

    name = "rustqueue_http_requests_total"
    assert _value(metrics, name, method="GET", status_class="2xx") == 2
    assert _value(metrics, name, method="POST", status_class="5xx") == 1
    assert _value(metrics, name, method="OTHER", status_class="4xx") == 2
    assert _value(metrics, "rustqueue_http_request_duration_seconds_sum", method="GET") == 0.5


@pytest.mark.parametrize("name", ["push", "pull", "ack"])
def test_durations_are_histograms_with_buckets(metrics: Metrics, name: str) -> None:
    metrics.command(name, 0.003)
    metrics.command(name, 3.0)

    family = f"rustqueue_{name}_duration_seconds"
    assert _value(metrics, f"{family}_bucket", le="0.0025") == 0
    assert _value(metrics, f"{family}_bucket", le="0.005") == 1
    assert _value(metrics, f"{family}_bucket", le="+Inf") == 2
    assert _value(metrics, f"{family}_count") == 2


def test_other_commands_are_not_timed(metrics: Metrics) -> None:
    before = metrics.render()

    metrics.command("find", 1.0)

    assert metrics.render() == before


def test_queues_have_gauges_by_state(metrics: Metrics) -> None:
    metrics.queues({"emails": {"waiting": 3, "active": 1, "completed": 9}})

    assert _value(metrics, "rustqueue_queue_waiting_jobs", queue="emails") == 3
    assert _value(metrics, "rustqueue_queue_active_jobs", queue="emails") == 1
    assert _value(metrics, "rustqueue_queue_dlq_jobs", queue="emails") == 0


def test_a_queue_that_is_gone_has_no_gauge(metrics: Metrics) -> None:
    metrics.queues({"emails": {"waiting": 3}})
    metrics.queues({"reports": {"waiting": 1}})

    assert b"emails" not in metrics.render()


def test_the_number_of_queues_is_bounded(metrics: Metrics) -> None:
    counts = {f"q{n}": {"waiting": n, "dlq": 1, "completed": 5} for n in range(1_000)}

    metrics.queues(counts)

    kept = bounded(counts)
    assert len(kept) == QUEUES + 1
    assert "q999" in kept
    assert "q0" not in kept
    assert sum(states["waiting"] for states in kept.values()) == sum(range(1_000))
    assert kept[OTHER_QUEUES]["dlq"] == 1_000 - QUEUES
    assert len(metrics.render()) < 100_000


def test_a_queue_name_cannot_break_the_format(metrics: Metrics) -> None:
    metrics.queues({'a"b\\c\nd': {"waiting": 1}})

    assert _value(metrics, "jobwire_queue_waiting_jobs", queue='a"b\\c\nd') == 1


def test_two_servers_in_a_process_do_not_share_numbers() -> None:
    one, two = Metrics(), Metrics()

    one.pushed()

    assert _value(two, "jobwire_jobs_pushed_total") == 0
    assert b"jobwire" not in prometheus_client.generate_latest()
