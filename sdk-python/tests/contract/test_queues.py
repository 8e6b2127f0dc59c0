"""Queues: counts, settings, pauses; and the server itself: workers, health, capabilities."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from tests.contract.target import Target, push_and_take, refused_at, state_of, take

from jobwire import Client, QueueCounts, WorkerReport

WIRE = yaml.safe_load((Path(__file__).parents[3] / "spec" / "wire.yaml").read_text())

# --- counts -----------------------------------------------------------------------------------------------------------


def test_counts_are_the_numbers_of_jobs_in_each_state(client: Client, queue: str) -> None:
    """JW-QUEUE-8."""
    completed, dead, active = (push_and_take(client, queue) for _ in range(3))
    client.ack(completed)
    client.fail(dead, "no", discard=True)
    client.cancel(client.push(queue, "job").id)
    client.push_batch(queue, [{"name": "job"}, {"name": "job", "delay": 60}] * 2)
    client.push(queue, "job", depends_on=[active.id])

    stats, info = client.stats(queue), client.get_queue(queue)

    assert stats.counts == info.counts
    assert stats.counts == QueueCounts(
        waiting=2, delayed=2, blocked=1, active=1, completed=1, dlq=1, cancelled=1
    )


def test_the_oldest_waiting_job_has_an_age(client: Client, target: Target, queue: str) -> None:
    """JW-QUEUE-8."""
    client.push(queue, "job", delay=60)
    assert client.stats(queue).oldest_waiting is None
    client.push(queue, "job")
    target.elapse(0.05)

    age = client.stats(queue).oldest_waiting

    assert age is not None
    assert 0.05 <= age < 60
    assert client.get_queue(queue).oldest_waiting is not None


def test_a_queue_is_listed_when_it_has_a_job_or_a_setting(
    client: Client, target: Target, queue: str
) -> None:
    """JW-QUEUE-10, JW-QUEUE-1."""
    with_setting, paused, unused = (target.new_queue() for _ in range(3))
    client.push(queue, "job")
    client.update_queue(with_setting, max_length=5)
    client.pause_queue(paused)
    client.pull(unused)
    client.stats(unused)

    listed = {one.name: one for one in client.list_queues()}

    assert list(listed) == sorted(listed)
    assert {queue, with_setting, paused} <= set(listed)
    assert unused not in listed
    assert (listed[queue].counts.waiting, listed[paused].paused) == (1, "pull")


def test_a_queue_that_was_never_used_has_counts_of_nothing(client: Client, queue: str) -> None:
    """JW-QUEUE-1."""
    assert set(asdict(client.stats(queue).counts).values()) == {0}
    assert (client.get_queue(queue).name, client.get_queue(queue).paused) == (queue, None)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_an_update_changes_what_it_names_and_null_is_the_default(
    client: Client, queue: str
) -> None:
    """JW-QUEUE-7, JW-ERR-7."""
    client.update_queue(queue, lease=60, max_length=5, retention_completed=0)
    changed = client.update_queue(queue, max_length=None, retention_dlq=1.5)

    assert changed == client.get_queue(queue)
    assert (changed.lease, changed.max_length) == (60, None)
    assert (changed.retention_completed, changed.retention_dlq) == (0, 1.5)
    assert changed.retention_cancelled is None


def test_a_setting_out_of_bounds_changes_nothing(client: Client, queue: str) -> None:
    """JW-LIMIT-1, JW-ERR-8."""
    code = refused_at(client.update_queue, queue, lease=60, max_length=0)

    assert code == ("VALIDATION_ERROR", "/max_length")
    assert client.get_queue(queue).lease is None


# --- pauses -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "accepts", "delivers"),
    [("pull", True, False), ("push", False, True), ("both", False, False)],
)
def test_a_pause_stops_what_its_mode_says(
    client: Client, queue: str, mode: str, accepts: bool, delivers: bool
) -> None:
    """JW-QUEUE-2, JW-QUEUE-3, JW-PULL-7."""
    client.push(queue, "job")

    client.pause_queue(queue, mode)

    assert client.stats(queue).paused == client.get_queue(queue).paused == mode
    assert bool(client.pull(queue)) is delivers
    if accepts:
        assert client.push(queue, "job").created
    else:
        assert refused_at(client.push, queue, "job")[0] == "QUEUE_PAUSED"


def test_a_pause_leaves_active_jobs_alone(client: Client, queue: str) -> None:
    """JW-QUEUE-4."""
    done, again, back = (push_and_take(client, queue) for _ in range(3))
    client.pause_queue(queue, "both")

    client.heartbeat(done)
    client.progress(done, 50)
    client.ack(done)
    client.fail(again, "no", retry_in=0)
    client.release(back)

    states = [state_of(client, job) for job in (done, again, back)]
    assert states == ["completed", "waiting", "waiting"]
    assert client.pull(queue) == []


def test_resuming_ends_any_pause(client: Client, queue: str) -> None:
    """JW-QUEUE-6."""
    for mode in ("pull", "push", "both"):
        client.pause_queue(queue, mode)
        client.resume_queue(queue)
        assert client.stats(queue).paused is None
        assert client.push(queue, mode).created
        assert take(client, queue).name == mode
    client.resume_queue(queue)


def test_a_pause_mode_that_there_is_not_is_refused(client: Client, queue: str) -> None:
    """JW-ERR-6."""
    assert refused_at(client.pause_queue, queue, "all") == ("VALIDATION_ERROR", "/mode")
    assert client.stats(queue).paused is None


# --- workers ----------------------------------------------------------------------------------------------------------


def test_a_worker_that_reports_is_listed_with_what_it_last_said(
    client: Client, target: Target, queue: str
) -> None:
    """JW-WORKER-2."""
    client.push(queue, "job")
    [job] = client.pull(queue, worker_id=queue)
    for free in (3, 2):
        report = WorkerReport(id=queue, queues=[queue, "b"], concurrency=4, free=free)
        assert client.heartbeat_batch([job], worker=report).deaf is False

    [worker] = [one for one in client.list_workers() if one.id == queue]

    assert (worker.queues, worker.concurrency, worker.free) == ((queue, "b"), 4, 2)
    assert (worker.held, worker.state, worker.transport) == (1, "alive", target.door)
    assert worker.client is not None
    assert worker.client.startswith("jobwire-python/")
    assert worker.last_pull_at is not None
    assert worker.first_seen_at is not None
    assert worker.last_seen_at is not None
    assert worker.first_seen_at <= worker.last_pull_at <= worker.last_seen_at


def test_a_quiet_worker_is_shown_as_quiet(client: Client, queue: str) -> None:
    """JW-WORKER-2."""
    client.heartbeat_batch([], worker=WorkerReport(id=queue, state="quiet"))

    assert [one.state for one in client.list_workers() if one.id == queue] == ["quiet"]
    listed = [one.id for one in client.list_workers()]
    assert listed == sorted(listed)


# --- the server -------------------------------------------------------------------------------------------------------


def test_a_healthy_server_says_so(client: Client) -> None:
    """JW-HEALTH-1, JW-HEALTH-2."""
    client.ping()
    health = client.health()

    assert health.status == "healthy"
    assert health.durability in ("fsync", "os-crash-loss", "memory")
    assert health.version
    assert health.uptime >= 0


def test_capabilities_hold_the_limits_and_defaults_of_the_wire(client: Client) -> None:
    """JW-LIMIT-6."""
    said = client.capabilities()

    assert said.limits == WIRE["limits"]
    assert {name: said.defaults[name] for name in WIRE["defaults"]} == WIRE["defaults"]
    assert said.wire == (1, 2)
    assert said.name
    assert said.capabilities
