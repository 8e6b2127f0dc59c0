"""
The operations of the fake server: checked fields in, the answer of spec/wire.yaml out. Both doors use this one table.

Pure, as the queue below it; who asks is told by a Caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jobwire._error_codes import ERROR_CODES
from jobwire._limits import DEFAULT_FIND_LIMIT, DEFAULT_HEARTBEAT_MS, DEFAULTS, LIMITS
from jobwire._version import VERSION
from jobwire.testing import _fake_fields as checks
from jobwire.testing._fake_fields import BadItem
from jobwire.testing._fake_job import FakeJob, Refused, instant_text, invalid, job_view
from jobwire.testing._fake_queue import SETTINGS, FakeQueue, WorkerState, circular, parents_first

if TYPE_CHECKING:
    from collections.abc import Callable

WIRE_VERSIONS: Final = (1, 2)
SERVER: Final = {"name": "jobwire-fake", "version": VERSION}
STATES: Final = (
    "waiting",
    "active",
    "delayed",
    "completed",
    "failed",
    "dlq",
    "blocked",
    "cancelled",
)
FLOW_LIMIT: Final = 1000
LEASE_GONE: Final = frozenset({"LEASE_LOST", "JOB_NOT_FOUND", "INVALID_STATE"})

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the door, the wire version of a TCP session, the session itself for its notices, and the client's name."""

    door: str = "http"
    version: int = 2
    session: Any = None
    client: str | None = None


class FakeOperations:
    """One method an operation, named after it; all of them under the lock of the shell."""

    def __init__(self, queue: FakeQueue) -> None:
        self.queue = queue
        self.draining = False
        self.started_at = queue.now

    def run(self, operation: str, fields: Any, caller: Caller) -> Answer:
        """Check the fields and carry the operation out; raises Refused, and then nothing has changed."""
        checked = checks.check(operation, fields)
        method: Callable[[dict[str, Any], Caller], Answer] = getattr(self, f"do_{operation}")
        return method(checked, caller)

    # --- pushing and pulling ---

    def do_push(self, fields: dict[str, Any], caller: Caller) -> Answer:
        item = {k: v for k, v in fields.items() if k != "queue"}
        job_id, outcome = self.queue.push(fields["queue"], item)
        return {"id": job_id, "outcome": outcome}

    def do_push_batch(self, fields: dict[str, Any], caller: Caller) -> Answer:
        queue, items = fields["queue"], fields["jobs"]
        if fields.get("atomic", True):
            pushed = self.queue.push_all(queue, items)
            return {"ids": [i for i, _ in pushed], "outcomes": [o for _, o in pushed]}
        results = self._push_each(queue, items)
        return {
            "ids": [r["id"] if r["ok"] else None for r in results],
            "outcomes": [r.get("outcome") for r in results],
            "results": results,
        }

    def _push_each(self, queue: str, items: list[dict[str, Any] | BadItem]) -> list[Answer]:
        """The outcome of each job, in their order; those with bad fields and those in a circle are refused (JW-PUSH-7)."""
        good = {i: item for i, item in enumerate(items) if not isinstance(item, BadItem)}
        places = list(good)
        order = [places[at] for at in parents_first(list(good.values()))]
        done = {index: self._push_one(queue, good[index], index) for index in order}
        for index, item in enumerate(items):
            if isinstance(item, BadItem):
                done[index] = _refused(item.id, item.refusal)
            elif index not in done:
                done[index] = _refused(item.get("id"), circular(index))
        return [done[index] for index in range(len(items))]

    def _push_one(self, queue: str, item: dict[str, Any], index: int) -> Answer:
        try:
            job_id, outcome = self.queue.push(queue, item, f"/jobs/{index}")
        except Refused as refusal:
            return _refused(item.get("id"), refusal)
        return {"id": job_id, "ok": True, "outcome": outcome}

    def do_pull(self, fields: dict[str, Any], caller: Caller) -> Answer:
        if self.draining:
            raise Refused("SHUTTING_DOWN", "The server is draining; nothing was done")
        worker_id, count = fields.get("worker_id"), fields.get("count", 1)
        if worker_id is not None:
            self._note_pull(worker_id, caller)
        jobs = self.queue.pull(
            fields["queues"],
            count=count,
            lease_ms=fields.get("lease_ms"),
            weights=fields.get("weights"),
            names=fields.get("names"),
            worker_id=worker_id,
            request_id=fields.get("request_id"),
            owner=caller.session,
        )
        views = [job_view(job, lease=True) for job in jobs]
        return {"job": views[0] if views else None} if count == 1 else {"jobs": views}

    def _note_pull(self, worker_id: str, caller: Caller) -> None:
        worker = self.queue.worker(worker_id, caller.door, caller.client)
        worker.last_pull_at, worker.deaf = self.queue.now, False

    # --- what a worker says about its jobs ---

    def do_ack(self, fields: dict[str, Any], caller: Caller) -> Answer:
        return _already(self.queue.ack(fields["id"], fields.get("lease"), fields.get("result")), {})

    def do_ack_batch(self, fields: dict[str, Any], caller: Caller) -> Answer:
        items = fields.get("items")
        if items is None:
            items = [{"id": job_id} for job_id in fields["ids"]]
        results = [self._item(self.do_ack, item, caller) for item in items]
        failed = sum(1 for result in results if not result["ok"])
        return {"acked": len(results) - failed, "failed": failed, "results": results}

    def do_fail(self, fields: dict[str, Any], caller: Caller) -> Answer:
        already = self.queue.fail(
            fields["id"],
            fields.get("lease"),
            fields.get("error", "unknown error"),
            fields.get("retry_in_ms"),
            fields.get("discard", False),
        )
        job = self.queue.jobs[fields["id"]]
        again = job.state in ("waiting", "delayed")
        at = instant_text(job.run_at) if job.state == "delayed" else None
        return _already(already, {"retry": again, "will_retry": again, "next_attempt_at": at})

    def do_fail_batch(self, fields: dict[str, Any], caller: Caller) -> Answer:
        results = [
            _without_null_time(self._item(self.do_fail, item, caller)) for item in fields["items"]
        ]
        refused = sum(1 for result in results if not result["ok"])
        return {"failed": len(results) - refused, "refused": refused, "results": results}

    def do_release(self, fields: dict[str, Any], caller: Caller) -> Answer:
        already = self.queue.release(fields["id"], fields.get("lease"), fields.get("delay_ms", 0))
        return _already(already, {"state": self.queue.jobs[fields["id"]].state})

    def do_heartbeat(self, fields: dict[str, Any], caller: Caller) -> Answer:
        job = self.queue.heartbeat(fields["id"], fields.get("lease"), fields.get("lease_ms"))
        answer: Answer = {"lease_expires_at": instant_text(job.lease_expires_at)}
        return {**answer, "cancelled": True} if job.cancel_requested_at is not None else answer

    def do_heartbeat_batch(self, fields: dict[str, Any], caller: Caller) -> Answer:
        results = [self._item(self.do_heartbeat, item, caller) for item in fields.get("items", [])]
        worker = self._report(fields.get("worker"), caller)
        gone = [r["id"] for r in results if not r["ok"] and r["error"]["code"] in LEASE_GONE]
        answer = {
            "results": results,
            "lost": gone,
            "cancelled": [r["id"] for r in results if r.get("cancelled")],
            "deaf": worker is not None and worker.deaf,
        }
        return self.add_news(answer, worker.id) if worker and fields.get("wait_ms") else answer

    def add_news(self, answer: Answer, worker_id: str) -> Answer:
        """The answer with what else this worker should know, which is told once: jobs to stop, and leases it lost."""
        worker = self.queue.workers[worker_id]
        lost = dict.fromkeys([*answer["lost"], *worker.lost])
        cancelled = dict.fromkeys([*answer["cancelled"], *worker.cancelled])
        worker.lost.clear()
        worker.cancelled.clear()
        return {**answer, "lost": list(lost), "cancelled": list(cancelled)}

    def _report(self, report: dict[str, Any] | None, caller: Caller) -> WorkerState | None:
        if report is None:
            return None
        worker = self.queue.worker(report["id"], caller.door, caller.client)
        worker.report = report
        return worker

    def do_progress(self, fields: dict[str, Any], caller: Caller) -> Answer:
        self.queue.progress(
            fields["id"], fields.get("lease"), fields["progress"], fields.get("message")
        )
        return {}

    def _item(
        self,
        operation: Callable[[dict[str, Any], Caller], Answer],
        item: dict[str, Any],
        caller: Caller,
    ) -> Answer:
        try:
            return {"id": item["id"], "ok": True, **operation(item, caller)}
        except Refused as refusal:
            return {"id": item["id"], "ok": False, "error": error_view(refusal)}

    # --- what a caller asks for ---

    def do_cancel(self, fields: dict[str, Any], caller: Caller) -> Answer:
        job, already = self.queue.cancel(fields["id"])
        return _already(already, {"state": job.state})

    def do_retry(self, fields: dict[str, Any], caller: Caller) -> Answer:
        return {"state": self.queue.retry(fields["id"]).state}

    def do_promote(self, fields: dict[str, Any], caller: Caller) -> Answer:
        job, already = self.queue.promote(fields["id"])
        return _already(already, {"state": job.state})

    def do_get(self, fields: dict[str, Any], caller: Caller) -> Answer:
        try:
            return {"job": job_view(self.queue.get(fields["id"]))}
        except Refused as refusal:
            if caller.door == "tcp" and caller.version == 1:
                refusal.code = "NOT_FOUND"  # what RustQueue's clients look for
            raise

    def do_delete(self, fields: dict[str, Any], caller: Caller) -> Answer:
        self.queue.delete(fields["id"])
        return {}

    def do_find(self, fields: dict[str, Any], caller: Caller) -> Answer:
        found = [job for job in self.queue.jobs.values() if _matches(job, fields)]
        newest_first = sorted(found, key=lambda job: job.sequence, reverse=True)
        return _page(newest_first, fields, key=lambda job: (job.sequence,))

    # --- queues ---

    def do_queues(self, fields: dict[str, Any], caller: Caller) -> Answer:
        used = {job.queue for job in self.queue.jobs.values() if job.state != "removed"}
        kept = {name for name, state in self.queue.queues.items() if not state.is_default}
        return {"queues": [self._entry(name) for name in sorted(used | kept)]}

    def _entry(self, name: str) -> Answer:
        return {
            "name": name,
            "counts": self._counts(self.queue.of_queue(name)),
            "paused": self.queue.state_of(name).paused,
        }

    def _counts(self, jobs: list[FakeJob]) -> dict[str, int]:
        return {state: sum(1 for job in jobs if job.state == state) for state in STATES}

    def do_queue(self, fields: dict[str, Any], caller: Caller) -> Answer:
        name = fields["queue"]
        settings = self.queue.state_of(name).settings
        waits = self._oldest_waiting_ms(self.queue.of_queue(name))
        return {"queue": {**self._entry(name), "settings": settings, "oldest_waiting_ms": waits}}

    def _oldest_waiting_ms(self, jobs: list[FakeJob]) -> int | None:
        waiting = [job.run_at for job in jobs if job.state == "waiting"]
        return self.queue.now - min(waiting) if waiting else None

    def do_queue_update(self, fields: dict[str, Any], caller: Caller) -> Answer:
        settings = self.queue.settings_of(fields["queue"]).settings
        settings.update({name: fields[name] for name in SETTINGS if name in fields})
        return self.do_queue(fields, caller)

    def do_stats(self, fields: dict[str, Any], caller: Caller) -> Answer:
        jobs = self.queue.of_queue(fields["queue"])
        return {
            "counts": self._counts(jobs),
            "paused": self.queue.state_of(fields["queue"]).paused,
            "oldest_waiting_ms": self._oldest_waiting_ms(jobs),
        }

    def do_queue_pause(self, fields: dict[str, Any], caller: Caller) -> Answer:
        state = self.queue.settings_of(fields["queue"])
        state.paused = fields.get("mode", "pull")
        return {"paused": state.paused}

    def do_queue_resume(self, fields: dict[str, Any], caller: Caller) -> Answer:
        self.queue.settings_of(fields["queue"]).paused = None
        return {"paused": None}

    def do_dlq(self, fields: dict[str, Any], caller: Caller) -> Answer:
        newest = self.queue.oldest_dead(fields["queue"])[::-1]
        return _page(newest, fields, key=lambda job: (job.finished_at or 0, job.sequence))

    def do_dlq_retry(self, fields: dict[str, Any], caller: Caller) -> Answer:
        return self._each_dead(fields, self.do_retry, caller)

    def do_dlq_discard(self, fields: dict[str, Any], caller: Caller) -> Answer:
        return self._each_dead(fields, self.do_delete, caller)

    def _each_dead(
        self,
        fields: dict[str, Any],
        operation: Callable[[dict[str, Any], Caller], Answer],
        caller: Caller,
    ) -> Answer:
        queue = fields["queue"]

        def change(item: dict[str, Any], caller: Caller) -> Answer:
            self.queue.dead_letter(queue, item["id"])
            return operation(item, caller)

        oldest = [job.id for job in self.queue.oldest_dead(queue)][: fields.get("limit", 1000)]
        chosen = fields.get("ids", oldest)
        results = [self._item(change, {"id": job_id}, caller) for job_id in chosen]
        return {
            "count": sum(1 for result in results if result["ok"]),
            "results": results,
            "remaining": len(self.queue.oldest_dead(queue)),
        }

    # --- flows, workers, the server ---

    def do_flow(self, fields: dict[str, Any], caller: Caller) -> Answer:
        wanted = {"flow_id": fields["flow_id"]}
        jobs = [job for job in self.queue.jobs.values() if _matches(job, wanted)]
        jobs.sort(key=lambda job: job.sequence)
        summary = {"total": len(jobs), **self._counts(jobs)}
        return {**wanted, "jobs": [job_view(j) for j in jobs[:FLOW_LIMIT]], "summary": summary}

    def do_workers(self, fields: dict[str, Any], caller: Caller) -> Answer:
        workers = sorted(self.queue.workers.values(), key=lambda worker: worker.id)
        return {"workers": [self._worker_view(worker) for worker in workers]}

    def _worker_view(self, worker: WorkerState) -> Answer:
        state = "quiet" if worker.report.get("state") == "quiet" else "alive"
        return {
            "id": worker.id,
            "queues": worker.report.get("queues", []),
            "concurrency": worker.report.get("concurrency"),
            "free": worker.report.get("free"),
            "held": len(self.queue.held_by(worker.id)),
            "state": "deaf" if worker.deaf else state,
            "client": worker.client,
            "transport": worker.transport,
            "first_seen_at": instant_text(worker.first_seen_at),
            "last_seen_at": instant_text(worker.last_seen_at),
            "last_pull_at": instant_text(worker.last_pull_at),
        }

    def do_health(self, fields: dict[str, Any], caller: Caller) -> Answer:
        return {
            "status": "draining" if self.draining else "healthy",
            "version": VERSION,
            "uptime_seconds": (self.queue.now - self.started_at) // 1000,
            "durability": "memory",
            "storage": "fake",
        }

    def do_ready(self, fields: dict[str, Any], caller: Caller) -> Answer:
        if self.draining:
            raise Refused("SHUTTING_DOWN", "The server is draining")
        return {"status": "ready"}

    def do_live(self, fields: dict[str, Any], caller: Caller) -> Answer:
        return {"status": "live"}

    def do_capabilities(self, fields: dict[str, Any], caller: Caller) -> Answer:
        return {"server": SERVER, "wire": list(WIRE_VERSIONS), **_announced()}

    def do_ping(self, fields: dict[str, Any], caller: Caller) -> Answer:
        return {}

    def hello(self, fields: dict[str, Any], caller: Caller) -> Answer:
        """The greeting of a TCP session; the door takes `v` from the answer."""
        checked = checks.check("hello", fields)
        common = set(checked["v"]) & set(WIRE_VERSIONS)
        if not common:
            supported = list(WIRE_VERSIONS)
            message = "hello named no wire version that this server speaks"
            raise Refused("UNSUPPORTED_VERSION", message, {"supported": supported})
        self._report(checked.get("worker"), caller)
        return {
            "v": max(common),
            "server": SERVER,
            **_announced(),
            "heartbeat_ms": DEFAULT_HEARTBEAT_MS,
        }


def error_view(refusal: Refused) -> dict[str, Any]:
    """The error object of an answer."""
    view = {
        "code": refusal.code,
        "message": str(refusal),
        "details": refusal.details,
        "retryable": ERROR_CODES[refusal.code].retryable,
    }
    wait_ms = refusal.retry_after_ms
    return view if wait_ms is None else {**view, "retry_after_ms": wait_ms}


def is_empty_handed(operation: str, answer: Answer) -> bool:
    """Whether a request that may wait has nothing to answer yet."""
    if operation == "pull":
        return not (answer.get("job") or answer.get("jobs"))
    return not (answer["lost"] or answer["cancelled"] or answer["deaf"])


def _without_null_time(result: Answer) -> Answer:
    """An item has next_attempt_at only with a time."""
    return {
        key: value for key, value in result.items() if (key, value) != ("next_attempt_at", None)
    }


def _already(already: bool, answer: Answer) -> Answer:
    return {**answer, "already": True} if already else answer


def _announced() -> Answer:
    return {
        "capabilities": ["wait", "notices"],
        "limits": {**LIMITS, **checks.SERVER_LIMITS},
        "defaults": dict(DEFAULTS),
    }


def _matches(job: FakeJob, wanted: dict[str, Any]) -> bool:
    same = ("queue", "name", "group_id", "flow_id", "custom_id")
    if job.state == "removed" or any(
        wanted.get(f, getattr(job, f)) != getattr(job, f) for f in same
    ):
        return False
    if "state" in wanted and job.state not in wanted["state"]:
        return False
    if "tag" in wanted and wanted["tag"] not in job.tags:
        return False
    after, before = wanted.get("created_after", 0), wanted.get("created_before", job.created_at + 1)
    return bool(after <= job.created_at < before)


def _refused(job_id: str | None, refusal: Refused) -> Answer:
    """The outcome of an item that was refused."""
    return {"id": job_id, "ok": False, "error": error_view(refusal)}


def _page(
    jobs: list[FakeJob], fields: dict[str, Any], *, key: Callable[[FakeJob], tuple[int, ...]]
) -> Answer:
    """
    One page of *jobs*, which stand with the greatest *key* first.

    The cursor is the key of the last job of the page before, which need not match any more (JW-FIND-2).
    """
    if "cursor" in fields:
        after = _key_of(fields["cursor"])
        jobs = [job for job in jobs if key(job) < after]
    limit = fields.get("limit", DEFAULT_FIND_LIMIT)
    page, rest = jobs[:limit], jobs[limit:]
    cursor = ".".join(map(str, key(page[-1]))) if page and rest else None
    return {"jobs": [job_view(job) for job in page], "next_cursor": cursor}


def _key_of(cursor: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in cursor.split("."))
    except ValueError:
        raise invalid("/cursor", "the cursor is not one of this server's") from None
