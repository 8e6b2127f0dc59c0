"""Faults in how a job is accepted, in whom it waits for, and in what a caller asks of it later."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import msgspec
from jobwire_server.engine import flows
from jobwire_server.model import Job, JobState
from jobwire_server.operations import pushing
from jobwire_server.store import images
from jobwire_server.store.sqlite import inserting
from jobwire_server.store.sqlite.session import Session
from jobwire_server.wire import checks, requests, strict_json
from msgspec.structs import replace

from conformance.mutants.fault import around, fault, put


def _accepted(**changed: Any) -> None:
    """Have every push accepted with other members; a callable is asked with the job."""

    def made(original: Any, *args: Any) -> Any:
        job = original(*args)
        return replace(job, **{k: v(job) if callable(v) else v for k, v in changed.items()})

    around(pushing, "_job", made)


# --- push ---------------------------------------------------------------------------------------------------------------


@fault("READY-002", "JW-TIME-5")
def delay_ends_early() -> None:
    """A delayed job is ready one millisecond before its time."""
    _accepted(due_at=lambda job: job.due_at - 1 if job.state == JobState.DELAYED else job.due_at)


@fault("READY-002", "JW-PUSH-2")
def run_at_is_ignored() -> None:
    """A push with run_at is ready at once."""

    def hasty(original: Any, core: Any, queue: str, item: Any, now: int) -> Any:
        item.run_at = None
        return original(core, queue, item, now)

    around(pushing, "_job", hasty)


@fault("JW-TIME-6")
def ttl_never_ends() -> None:
    """ttl_ms is kept and shown, but the job waits on."""
    put(Job, "expires_at", property(lambda job: None))
    _accepted(due_at=lambda job: job.run_at if job.state == JobState.DELAYED else None)


@fault("JW-PULL-4")
def lifo_is_ignored() -> None:
    """A job with lifo stands behind those that were ready before it."""
    _accepted(position=lambda job: job.run_at)


@fault("VALUE-001", "JW-JOB-5", "JW-ERR-10")
def numbers_become_floats() -> None:
    """data is written anew, and its numbers as floating point."""

    def rewritten(job: Job) -> bytes:
        return json.dumps(json.loads(job.data, parse_int=float), ensure_ascii=False).encode()

    _accepted(data=rewritten)


@fault("JW-JOB-3")
def ids_do_not_grow() -> None:
    """Ids that the server makes are random, version 4."""

    def chance(original: Any, core: Any, queue: str, item: Any, now: int) -> Any:
        item.id = item.id or str(uuid4())
        return original(core, queue, item, now)

    around(pushing, "_job", chance)


@fault("JW-PUSH-3")
def repeated_push_is_created() -> None:
    """The push of a job that is there is answered with `created`."""

    def fresh(original: Any, *args: Any) -> Any:
        answer = original(*args)
        if getattr(answer, "outcome", None) == "existing":
            answer.outcome = "created"
        return answer

    around(pushing, "_answer", fresh)


@fault("JW-PUSH-4")
def id_conflict_is_overlooked() -> None:
    """A push with the id of a job of other data is answered with that job."""
    put(inserting, "_is_same", lambda known, job: True)


@fault("BATCH-003", "JW-PUSH-6")
def batch_is_half_pushed() -> None:
    """Of an atomic batch with one bad job the others stay."""

    def lax(original: Any, session: Any, call: Any, known: Any) -> Any:
        items, _, now = call
        return original(session, (items, False, now), known)

    around(inserting, "_insert", lax)


@fault("BATCH-012")
def bad_job_sinks_its_batch() -> None:
    """A job of a wrong shape refuses the others of its batch, also with atomic false."""
    put(requests, "_read_each", lambda text: None)


@fault("JW-PUSH-9")
def unknown_fields_are_ignored() -> None:
    """A field that is not known is dropped in silence."""

    def lenient(original: Any, decode: Any, text: bytes, kind: Any) -> Any:
        known = set(getattr(kind, "__struct_fields__", ()))
        value = msgspec.json.decode(text)
        if kind is requests.Push and isinstance(value, dict):
            text = msgspec.json.encode({k: v for k, v in value.items() if k in known})
        return original(decode, text, kind)

    around(requests, "_shaped", lenient)


@fault("JW-PUSH-11")
def two_ready_times_are_taken() -> None:
    """A push with both delay_ms and run_at is accepted."""

    def lax(original: Any, name: str, request: Any) -> Any:
        for fields in (request, getattr(request, "options", None)):
            if (
                name == "push"
                and fields is not None
                and None not in (fields.delay_ms, fields.run_at)
            ):
                fields.delay_ms = None
        return original(name, request)

    around(checks, "check", lax)


@fault("HTTP-progress-400-PARSE_ERROR", "JW-ERR-4")
def keys_may_stand_twice() -> None:
    """JSON with a key twice is accepted; the last one wins."""
    put(strict_json, "_every_key_once", lambda pairs: pairs)


# --- unique keys --------------------------------------------------------------------------------------------------------


@fault("JW-UNIQ-6")
def unique_key_is_never_free() -> None:
    """A job that has ended keeps its unique key."""
    put(Session, "end_key", lambda self, job, now: None)


@fault("WINDOW-001", "JW-UNIQ-6")
def unique_window_is_ignored() -> None:
    """A unique key is free as soon as its job has ended, whatever unique_for_ms says."""
    put(Session, "end_key", lambda self, job, now: self.free_key(job))


@fault("JW-UNIQ-3")
def ignored_conflict_is_refused() -> None:
    """on_conflict ignore means reject."""
    around(
        pushing,
        "push_item",
        lambda original, *args: replace(original(*args), on_conflict="reject"),
    )


@fault("JW-UNIQ-5")
def active_job_is_replaced() -> None:
    """A push with on_conflict replace cancels also a job that a worker has."""
    put(images, "REPLACEABLE", images.REPLACEABLE | {JobState.ACTIVE})


# --- dependencies -------------------------------------------------------------------------------------------------------


@fault("JW-DEP-5")
def dead_parent_frees_its_children() -> None:
    """The jobs behind one that has failed for good run as if it had been completed."""

    def lax(original: Any, child: Job, parent: Job, now: int) -> Any:
        return flows._one_parent_less(child, now)

    around(flows, "_taken_down", lax)


@fault("DEP-001", "JW-DEP-1")
def first_parent_is_enough() -> None:
    """A job that waits for two runs when one of them has completed."""

    def hasty(original: Any, child: Job, now: int) -> Any:
        return original(replace(child, pending_parents=min(child.pending_parents, 1)), now)

    around(flows, "_one_parent_less", hasty)


@fault("JW-DEP-6", "JW-DEP-5")
def children_stay_blocked() -> None:
    """What waits for a job that was cancelled waits for ever."""

    def forgotten(original: Any, child: Job, parent: Job, now: int) -> Any:
        return None if parent.state == JobState.CANCELLED else original(child, parent, now)

    around(flows, "_taken_down", forgotten)


@fault("JW-PUSH-16")
def batch_has_no_order_of_its_own() -> None:
    """In a batch a job may wait only for those before it."""
    put(pushing, "insertion_order", lambda jobs: list(range(len(jobs))))
