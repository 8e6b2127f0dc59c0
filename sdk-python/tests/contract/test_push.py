"""What a push makes of its fields, and when it is refused."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.contract.target import (
    Target,
    push_and_take,
    refused,
    refused_at,
    state_of,
)

from jobwire import (
    Client,
    ConflictError,
    Job,
    JobState,
    PushItem,
    PushResult,
    RateLimitedError,
    UnavailableError,
    ValidationError,
)

JOB_SCHEMA = Path(__file__).parents[3] / "spec" / "schemas" / "Job.yaml"


def new_id() -> str:
    return str(uuid.uuid4())


# --- fields -----------------------------------------------------------------------------------------------------------


def test_a_pushed_job_is_waiting_delayed_or_blocked(client: Client, queue: str) -> None:
    """JW-PUSH-1, JW-PUSH-2."""
    waiting = client.push(queue, "job").id
    delayed = client.push(queue, "job", delay=60).id
    blocked = client.push(queue, "job", depends_on=[waiting], delay=60).id

    jobs = [client.get_job(id_) for id_ in (waiting, delayed, blocked)]
    assert [job.state for job in jobs] == ["waiting", "delayed", "blocked"]
    assert [after_creation(job) for job in jobs] == [0, 60, 60]


def after_creation(job: Job) -> float:
    """Seconds from the push until the job may run."""
    assert job.run_at is not None
    assert job.created_at is not None
    return (job.run_at - job.created_at).total_seconds()


def test_run_at_says_when_and_one_in_the_past_means_now(client: Client, queue: str) -> None:
    """JW-PUSH-2."""
    now = client.get_job(client.push(queue, "job").id).created_at
    assert now is not None

    later = client.get_job(client.push(queue, "job", run_at=now + timedelta(hours=1)).id)
    past = client.get_job(client.push(queue, "job", run_at=now - timedelta(hours=1)).id)

    assert (later.state, later.run_at) == ("delayed", now + timedelta(hours=1))
    assert (past.state, after_creation(past)) == ("waiting", 0)


def test_delay_until_is_shown_while_it_matters(client: Client, queue: str) -> None:
    """JW-JOB-7."""
    parent = client.push(queue, "job").id
    delayed = client.get_job(client.push(queue, "job", delay=60).id)
    held_back = client.get_job(client.push(queue, "job", delay=60, depends_on=[parent]).id)
    blocked = client.get_job(client.push(queue, "job", depends_on=[parent]).id)

    assert client.get_job(parent).delay_until is None
    assert delayed.delay_until == delayed.run_at
    assert held_back.delay_until == held_back.run_at
    assert blocked.delay_until is None


OPTIONS: dict[str, Any] = {
    "priority": -7,
    "max_attempts": 9,
    "backoff": "linear",
    "backoff_delay": 1.5,
    "backoff_schedule": [0.001, 3600.0],
    "backoff_max": 86_400.0,
    "jitter": 0.25,
    "ttl": 1234.567,
    "timeout": 0.001,
    "unique_key": "ä/1",
    "unique_for": 5.0,
    "tags": ["a", "ü"],
    "group_id": "g",
    "flow_id": "f/1",
    "custom_id": "order 17",
    "lifo": True,
    "remove_on_complete": True,
    "remove_on_fail": True,
    "metadata": {"b": [1.0, None], "a": {}},
}


def test_every_option_comes_back_as_it_was_pushed(client: Client, queue: str) -> None:
    """JW-PUSH-1, JW-JOB-5."""
    job = client.get_job(client.push(queue, "job", **OPTIONS).id)

    shown = {name: getattr(job, name) for name in OPTIONS}
    assert shown == {**OPTIONS, "backoff_schedule": (0.001, 3600.0), "tags": ("a", "ü")}


def test_options_that_were_not_given_have_their_defaults(client: Client, queue: str) -> None:
    """JW-LIMIT-6, JW-ERR-7."""
    job = client.get_job(client.push(queue, "job").id)
    said = client.capabilities().defaults

    shown = json.loads(job.text)
    names = ("max_attempts", "backoff", "backoff_delay_ms", "backoff_max_ms", "jitter", "priority")
    assert {name: shown[name] for name in names} == {name: said[name] for name in names}
    assert (job.tags, job.unique_key, job.ttl, job.lifo) == ((), None, None, False)


def test_a_job_has_every_member_and_only_a_pulled_one_its_lease(client: Client, queue: str) -> None:
    """JW-JOB-6."""
    schema = yaml.safe_load(JOB_SCHEMA.read_text())
    plain = client.push(queue, "job").id
    [pulled] = client.pull(queue)
    full = client.push(queue, "job", metadata=0).id

    members = {
        name: set(json.loads(job.text))
        for name, job in {
            "pulled": pulled,
            "plain": client.get_job(plain),
            "full": client.get_job(full),
        }.items()
    }
    required = set(schema["required"])
    assert members == {
        "pulled": required | {"lease"},
        "plain": required,
        "full": required | {"metadata"},
    }


def test_an_id_may_be_spelled_in_several_ways(client: Client, queue: str) -> None:
    """JW-JOB-2."""
    id_ = new_id()
    pushed = client.push(queue, "job", id="{" + id_.upper() + "}")

    assert pushed.id == id_
    for spelling in (id_.replace("-", ""), id_.upper(), f"urn:uuid:{id_}"):
        assert client.get_job(spelling).id == id_


def test_max_attempts_of_nothing_means_one(client: Client, queue: str) -> None:
    """JW-FAIL-4."""
    job = push_and_take(client, queue, max_attempts=0)

    assert not client.fail(job, "no").retry
    assert state_of(client, job) == "dlq"


# --- ids --------------------------------------------------------------------------------------------------------------


def test_a_repeated_push_answers_existing_and_changes_nothing(client: Client, queue: str) -> None:
    """JW-PUSH-3."""
    id_ = new_id()
    first = client.push(queue, "job", {"n": 1}, id=id_, priority=1)
    before = client.get_job(id_).text

    again = client.push(queue, "job", {"n": 1}, id=id_, priority=2)

    assert (first.outcome, again) == ("created", PushResult(id=id_, outcome="existing"))
    assert client.get_job(id_).text == before


@pytest.mark.parametrize("changed", ["queue", "name", "data"])
def test_an_id_with_another_queue_name_or_data_is_a_conflict(
    client: Client, target: Target, queue: str, changed: str
) -> None:
    """JW-PUSH-4."""
    id_ = client.push(queue, "job", {"n": 1}).id
    before = client.get_job(id_).text
    another = {
        "queue": (target.new_queue(), "job", {"n": 1}),
        "name": (queue, "another", {"n": 1}),
        "data": (queue, "job", {"n": 2}),
    }

    error = refused(client.push, *another[changed], id=id_)

    assert isinstance(error, ConflictError)
    assert (error.code, error.details) == ("ID_CONFLICT", {"id": id_, "pointer": "/id"})
    assert client.get_job(id_).text == before


@pytest.mark.parametrize("end", ["deleted", "acked"])
def test_the_id_of_a_removed_job_is_remembered(client: Client, queue: str, end: str) -> None:
    """JW-PUSH-5, JW-DEL-2, JW-ACK-3."""
    job = push_and_take(client, queue, remove_on_complete=True)
    if end == "acked":
        client.ack(job)
    else:
        client.release(job)
        client.delete_job(job)

    assert client.push(queue, "job", id=job.id).outcome == "existing"
    assert refused(client.get_job, job).code == "JOB_NOT_FOUND"
    assert client.pull(queue) == []


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_answers_in_the_order_of_its_jobs(client: Client, queue: str) -> None:
    """JW-PUSH-8."""
    known = client.push(queue, "b").id
    held = client.push(queue, "k", unique_key="k").id
    items = [
        PushItem(name="a"),
        PushItem(name="b", id=known),
        PushItem(name="k", unique_key="k", on_conflict="ignore"),
        PushItem(name="c", id=(last := new_id())),
    ]

    results = [one for one in client.push_batch(queue, items) if isinstance(one, PushResult)]

    assert [one.outcome for one in results] == ["created", "existing", "existing", "created"]
    assert [one.id for one in results[1:]] == [known, held, last]


def test_an_empty_batch_is_answered_ok(client: Client, queue: str) -> None:
    """JW-PUSH-15."""
    assert client.push_batch(queue, []) == []
    assert client.push_batch(queue, [], atomic=False) == []


@pytest.mark.parametrize(
    ("bad", "code", "pointer"),
    [
        ({"name": "no good"}, "VALIDATION_ERROR", "/jobs/1/name"),
        ({"name": "job", "unique_key": "taken"}, "DUPLICATE_KEY", "/jobs/1/unique_key"),
        ({"name": "job", "depends_on": [new_id()]}, "VALIDATION_ERROR", "/jobs/1/depends_on/0"),
    ],
    ids=["shape", "key", "parent"],
)
def test_one_bad_job_refuses_an_atomic_batch(
    client: Client, queue: str, bad: dict[str, Any], code: str, pointer: str
) -> None:
    """JW-PUSH-6, JW-ERR-8."""
    client.push(queue, "job", unique_key="taken")

    assert refused_at(client.push_batch, queue, [{"name": "job"}, bad]) == (code, pointer)
    assert client.stats(queue).counts.waiting == 1


def test_a_batch_that_is_not_atomic_gives_each_job_its_own_outcome(
    client: Client, queue: str
) -> None:
    """JW-PUSH-7."""
    items = [
        {"name": "a", "unique_key": "k"},
        {"name": "b", "unique_key": "k"},
        {"name": "c", "depends_on": [new_id()]},
        {"name": "d"},
    ]

    first, second, third, fourth = client.push_batch(queue, items, atomic=False)

    assert isinstance(first, PushResult)
    assert isinstance(fourth, PushResult)
    assert isinstance(second, ConflictError)
    assert second.code == "DUPLICATE_KEY"
    assert (second.details["existing_id"], second.details["pointer"]) == (
        first.id,
        "/jobs/1/unique_key",
    )
    assert isinstance(third, ValidationError)
    assert third.details["pointer"] == "/jobs/2/depends_on/0"
    assert client.stats(queue).counts.waiting == 2


def test_bad_fields_of_one_job_do_not_sink_the_others_of_a_batch_that_is_not_atomic(
    client: Client, queue: str
) -> None:
    """JW-PUSH-7: also a circle is an affair of its own jobs."""
    one, two, named = new_id(), new_id(), new_id()
    items: list[dict[str, Any]] = [
        {"name": "a"},
        {"name": "no good", "id": named},
        {"name": "b", "priority": 2**31},
        {"name": "c", "id": one, "depends_on": [two]},
        {"name": "d", "id": two, "depends_on": [one]},
        {"name": "e", "id": "no UUID"},
        {"name": "f", "depends_on": [named]},
        {"name": "g"},
    ]

    first, *bad, last = client.push_batch(queue, items, atomic=False)

    assert isinstance(first, PushResult)
    assert isinstance(last, PushResult)
    assert all(isinstance(error, ValidationError) for error in bad)
    pointers = [error.details["pointer"] for error in bad if isinstance(error, ValidationError)]
    assert pointers == [
        "/jobs/1/name",
        "/jobs/2/options/priority",
        "/jobs/3/depends_on",
        "/jobs/4/depends_on",
        "/jobs/5/id",
        "/jobs/6/depends_on/0",
    ]
    assert client.stats(queue).counts.waiting == 2


def test_a_bad_queue_refuses_the_whole_batch_that_is_not_atomic(client: Client) -> None:
    """JW-PUSH-18."""
    assert refused_at(client.push_batch, "no good", [{"name": "a"}], atomic=False) == (
        "VALIDATION_ERROR",
        "/queue",
    )


@pytest.mark.parametrize("atomic", [True, False])
def test_a_batch_may_name_a_parent_before_it_stands(
    client: Client, queue: str, atomic: bool
) -> None:
    """JW-PUSH-16."""
    parent, child = new_id(), new_id()
    items = [
        PushItem(name="child", id=child, depends_on=[parent]),
        PushItem(name="parent", id=parent),
    ]

    results = client.push_batch(queue, items, atomic=atomic)

    assert results == [PushResult(id=child), PushResult(id=parent)]
    assert (state_of(client, child), state_of(client, parent)) == ("blocked", "waiting")


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_full_queue_takes_no_more(client: Client, queue: str) -> None:
    """JW-PUSH-13."""
    client.update_queue(queue, max_length=2)
    job = push_and_take(client, queue)
    client.push(queue, "job")

    error = refused(client.push, queue, "job")

    assert isinstance(error, RateLimitedError)
    assert error.code == "QUEUE_FULL"
    assert error.retryable
    assert error.retry_after is not None
    assert error.retry_after > 0
    assert (error.details["queue"], error.details["limit"]) == (queue, 2)
    client.ack(job)
    assert client.push(queue, "job").created


def test_the_first_reason_to_refuse_a_push_is_told(client: Client, queue: str) -> None:
    """JW-PUSH-14."""
    id_ = client.push(queue, "job", unique_key="k").id
    client.update_queue(queue, max_length=1)
    client.pause_queue(queue, "push")
    bad: dict[str, Any] = {"id": id_, "unique_key": "k", "depends_on": [new_id()]}

    codes = [refused(client.push, queue, "no good", **bad).code]
    codes += [refused(client.push, queue, "another", **bad).code]
    bad["id"] = new_id()
    codes += [refused(client.push, queue, "another", **bad).code]
    client.resume_queue(queue)
    codes += [refused(client.push, queue, "another", **bad).code]
    bad["unique_key"] = "free"
    codes += [refused(client.push, queue, "another", **bad).code]
    client.update_queue(queue, max_length=None)
    codes += [refused(client.push, queue, "another", **bad).code]

    assert codes == [
        "VALIDATION_ERROR",
        "ID_CONFLICT",
        "QUEUE_PAUSED",
        "DUPLICATE_KEY",
        "QUEUE_FULL",
        "VALIDATION_ERROR",
    ]


def test_a_queue_that_is_paused_for_pushes_says_so(client: Client, queue: str) -> None:
    """JW-QUEUE-3."""
    for mode in ("push", "both"):
        client.pause_queue(queue, mode)
        error = refused(client.push, queue, "job")
        assert isinstance(error, UnavailableError)
        assert (error.code, error.details["queue"], error.retryable) == (
            "QUEUE_PAUSED",
            queue,
            True,
        )


@pytest.mark.parametrize("option", ["unique_for", "on_conflict"])
def test_options_of_a_key_need_the_key(client: Client, queue: str, option: str) -> None:
    """JW-PUSH-12."""
    value, member = {
        "unique_for": (1, "unique_for_ms"),
        "on_conflict": ("ignore", "on_conflict"),
    }[option]

    code, pointer = refused_at(client.push, queue, "job", **{option: value})

    assert code == "VALIDATION_ERROR"
    assert pointer in (f"/{member}", f"/options/{member}")  # the SDK nests options over TCP


def test_follow_ups_are_refused_and_not_forgotten(client: Client, queue: str) -> None:
    """JW-PUSH-17."""
    error = refused(client.push, queue, "job", metadata={"follow_ups": []})

    assert error.code == "VALIDATION_ERROR"
    assert str(error.details["pointer"]).endswith("/metadata/follow_ups")
    assert client.push(queue, "job", metadata=["follow_ups"]).created


def test_states_and_instants_have_types_of_python(client: Client, queue: str) -> None:
    """JW-SDK-1."""
    job = push_and_take(client, queue)

    assert job.state is JobState.ACTIVE
    assert job.created_at is not None
    assert job.created_at.tzinfo == timezone.utc
