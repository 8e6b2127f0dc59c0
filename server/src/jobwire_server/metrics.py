"""
Numbers for Prometheus. Each metric has two names: `jobwire_…`, and `rustqueue_…` for the dashboards of RustQueue.

Rule 1: one Metrics object a server, with its own registry; nothing global.
Rule 2: labels are bounded: methods and status classes are fixed sets, and queues are the QUEUES largest plus the rest.
Rule 3: durations are histograms (RustQueue's summaries leave its own latency panels empty).
"""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.metrics import MetricWrapperBase

# Seconds from some instant, for differences only. A loop's own time counts whole milliseconds on uvloop.
stopwatch = time.perf_counter

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIXES: Final = ("jobwire", "rustqueue")
QUEUES: Final = 100
OTHER_QUEUES: Final = "(other)"  # no queue can have this name: parentheses are refused
QUEUE_STATES: Final = ("waiting", "active", "delayed", "dlq")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})

# From a tenth of a millisecond (a push into memory) to a minute (the longest wait of a pull).
BUCKETS: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
)  # fmt: skip


class Metrics:
    """What the server counts. Every method is cheap, never fails and belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._pushed = _counter("jobs_pushed", "Jobs accepted.")
        self._pulled = _counter("jobs_pulled", "Deliveries to workers.")
        self._completed = _counter("jobs_completed", "Jobs acknowledged.")
        self._failed = _counter("jobs_failed", "Failed attempts.")
        self._requests = _counter("http_requests", "HTTP answers.", "method", "status_class")
        self._connections = _gauge("http_connections", "Open HTTP connections.")
        self._request_seconds = _histogram(
            "http_request_duration_seconds", "From the headers to the end of the answer.", "method"
        )
        # labels() takes longer than counting; there are at most 8 methods times 5 classes.
        self._answered: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._command_seconds = {
            name: _histogram(f"{name}_duration_seconds", f"Time to carry out a {name}.")
            for name in ("push", "pull", "ack")
        }
        self._queues = _QueueGauges()
        self._counts: Callable[[], Mapping[str, Mapping[str, int]]] | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_TwoNames(self._all()))

    def _all(self) -> tuple[MetricWrapperBase | _QueueGauges, ...]:
        return (
            self._pushed,
            self._pulled,
            self._completed,
            self._failed,
            self._requests,
            self._connections,
            self._request_seconds,
            *self._command_seconds.values(),
            self._queues,
        )

    def pushed(self, jobs: int = 1) -> None:
        self._pushed.inc(jobs)

    def pulled(self, jobs: int = 1) -> None:
        self._pulled.inc(jobs)

    def completed(self, jobs: int = 1) -> None:
        self._completed.inc(jobs)

    def failed(self, attempts: int = 1) -> None:
        self._failed.inc(attempts)

    def command(self, name: str, seconds: float) -> None:
        """How long a call of push, pull or ack took, on either door; other commands are not kept. A pull includes its wait."""
        histogram = self._command_seconds.get(name)
        if histogram is not None:
            histogram.observe(seconds)

    def http_request(self, method: str, status: int, seconds: float) -> None:
        """One HTTP answer. A method outside METHODS is counted as OTHER."""
        label = method if method in METHODS else "OTHER"
        key = (label, status // 100)
        pair = self._answered.get(key)
        if pair is None:
            counter = self._requests.labels(label, f"{status // 100}xx")
            pair = self._answered[key] = (counter, self._request_seconds.labels(label))
        pair[0].inc()
        pair[1].observe(seconds)

    def http_connections(self, count: int) -> None:
        self._connections.set(count)

    def queues(self, counts: Mapping[str, Mapping[str, int]]) -> None:
        """
        The jobs of every queue there is, by name and then by state.

        A queue that is not named any more has no gauge any more. Keeps the QUEUES largest and sums up the others.
        """
        self._queues.counts = bounded(counts)

    def watch(self, counts: Callable[[], Mapping[str, Mapping[str, int]]]) -> None:
        """Where render() finds the jobs of every queue; without it the last queues() counts."""
        self._counts = counts

    def render(self) -> bytes:
        """The text format 0.0.4, CONTENT_TYPE. Gauges are of this moment."""
        if self._counts is not None:
            self.queues(self._counts())
        return generate_latest(self._registry)


def bounded(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """The QUEUES queues with the most jobs, and the sum of the others as OTHER_QUEUES."""
    by_size = sorted(counts, key=lambda name: (-_size(counts[name]), name))
    kept = {name: _states(counts[name]) for name in sorted(by_size[:QUEUES])}
    rest = by_size[QUEUES:]
    if rest:
        kept[OTHER_QUEUES] = {
            state: sum(counts[name].get(state, 0) for name in rest) for state in QUEUE_STATES
        }
    return kept


def _size(states: Mapping[str, int]) -> int:
    return sum(_states(states).values())


def _states(states: Mapping[str, int]) -> dict[str, int]:
    return {state: states.get(state, 0) for state in QUEUE_STATES}


# --- collectors --------------------------------------------------------------------------------------------------


class _QueueGauges:
    """Gauges made when they are asked for, so that a queue that is gone leaves nothing behind."""

    counts: Mapping[str, Mapping[str, int]] = MappingProxyType({})

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for state in QUEUE_STATES:
            family = GaugeMetricFamily(
                f"queue_{state}_jobs", f"Jobs in the state {state}.", labels=["queue"]
            )
            for queue, states in self.counts.items():
                family.add_metric([queue], states[state])
            yield family


class _TwoNames(Collector):
    """Gives every family once for each prefix, without the `_created` series, which nobody reads."""

    def __init__(self, metrics: Iterable[MetricWrapperBase | _QueueGauges]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterator[Metric]:
        for prefix in PREFIXES:
            for metric in self._metrics:
                for family in metric.collect():
                    yield _prefixed(family, prefix)


def _prefixed(family: Metric, prefix: str) -> Metric:
    family.name = f"{prefix}_{family.name}"
    family.samples = [
        Sample(f"{prefix}_{sample.name}", *sample[1:])
        for sample in family.samples
        if not sample.name.endswith("_created")
    ]
    return family


def _counter(name: str, documentation: str, *labels: str) -> Counter:
    return Counter(name, documentation, labels, registry=None)


def _gauge(name: str, documentation: str) -> Gauge:
    return Gauge(name, documentation, registry=None)


def _histogram(name: str, documentation: str, *labels: str) -> Histogram:
    return Histogram(name, documentation, labels, buckets=BUCKETS, registry=None)
