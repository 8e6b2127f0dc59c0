"""
The pure heart of the four clients: one function an operation, from Python arguments to a Request and back.

A Request knows its HTTP route, its TCP command and how to read its answer; whoever sends it knows sockets only.

Rule 1: no I/O, no clock, no chance; ids that must be made come as arguments.
Rule 2: what can be refused before sending is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote, urlencode

from jobwire import _errors as errors
from jobwire._instants import format_instant, parse_instant, to_ms
from jobwire._limits import ERROR_BYTES, LEASE_MS_MAX, LEASE_MS_MIN, MESSAGE_BYTES, WAIT_MS
from jobwire._models import (
    UNSET,
    BulkResult,
    Capabilities,
    FailItem,
    FailResult,
    Flow,
    Health,
    HeartbeatBatchResult,
    HeartbeatResult,
    ItemResult,
    Job,
    JobState,
    Page,
    PushItem,
    PushResult,
    QueueCounts,
    QueueInfo,
    QueueStats,
    StateResult,
    Unset,
    WorkerInfo,
    WorkerReport,
    optional_seconds,
    parse_state,
)
from jobwire._strict_json import JSONValue, dumps

if TYPE_CHECKING:
    from datetime import datetime

T = TypeVar("T")
Body: TypeAlias = Mapping[str, Any]
RetryClass = Literal["safe", "with_id", "never"]


class Route(NamedTuple):
    """A row of spec/wire.yaml: where the operation lives, and what may be done after a lost answer."""

    http: str
    retry: RetryClass
    cmd: str | None  # None: HTTP only


# A test compares this table with spec/wire.yaml.
ROUTES: Final[Mapping[str, Route]] = {
    "push": Route("POST /queues/{queue}/jobs", "with_id", "push"),
    "push_batch": Route("POST /queues/{queue}/jobs/batch", "with_id", "push_batch"),
    "pull": Route("POST /pull", "with_id", "pull"),
    "ack": Route("POST /jobs/{id}/ack", "with_id", "ack"),
    "ack_batch": Route("POST /jobs/ack", "with_id", "ack_batch"),
    "fail": Route("POST /jobs/{id}/fail", "with_id", "fail"),
    "fail_batch": Route("POST /jobs/fail", "with_id", "fail_batch"),
    "release": Route("POST /jobs/{id}/release", "with_id", "release"),
    "heartbeat": Route("POST /jobs/{id}/heartbeat", "safe", "heartbeat"),
    "heartbeat_batch": Route("POST /jobs/heartbeat", "safe", "heartbeat_batch"),
    "progress": Route("POST /jobs/{id}/progress", "safe", "progress"),
    "cancel": Route("POST /jobs/{id}/cancel", "safe", "cancel"),
    "retry": Route("POST /jobs/{id}/retry", "never", "retry"),
    "promote": Route("POST /jobs/{id}/promote", "safe", "promote"),
    "get": Route("GET /jobs/{id}", "safe", "get"),
    "delete": Route("DELETE /jobs/{id}", "never", "delete"),
    "find": Route("GET /jobs", "safe", "find"),
    "queues": Route("GET /queues", "safe", "queues"),
    "queue": Route("GET /queues/{queue}", "safe", "queue"),
    "queue_update": Route("PATCH /queues/{queue}", "safe", "queue_update"),
    "stats": Route("GET /queues/{queue}/stats", "safe", "stats"),
    "queue_pause": Route("POST /queues/{queue}/pause", "safe", "queue_pause"),
    "queue_resume": Route("POST /queues/{queue}/resume", "safe", "queue_resume"),
    "dlq": Route("GET /queues/{queue}/dlq", "safe", "dlq"),
    "dlq_retry": Route("POST /queues/{queue}/dlq/retry", "safe", "dlq_retry"),
    "dlq_discard": Route("POST /queues/{queue}/dlq/discard", "safe", "dlq_discard"),
    "flow": Route("GET /flows/{flow_id}", "safe", "flow"),
    "workers": Route("GET /workers", "safe", "workers"),
    "health": Route("GET /health", "safe", "health"),
    "live": Route("GET /health/live", "safe", None),
    "capabilities": Route("GET /capabilities", "safe", "capabilities"),
    "ping": Route("GET /health/live", "safe", "ping"),  # over HTTP the nearest thing to a ping
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Generic[T]):
    """One call, for either wire. Repeating it repeats the same ids, leases and request_id."""

    op: str
    fields: Body = field(repr=False)  # of the TCP command; holds payloads and leases
    body: Body | None = field(repr=False)  # of the HTTP request
    query: tuple[tuple[str, str], ...] = field(repr=False)
    path_fields: Body = field(repr=False)
    parse: Callable[[Body], T] = field(repr=False)
    wait: float = 0.0  # seconds that the server may hold the answer back by design

    @property
    def retry(self) -> RetryClass:
        return ROUTES[self.op].retry

    @property
    def method(self) -> str:
        return ROUTES[self.op].http.split(" ")[0]

    @property
    def target(self) -> str:
        """Path and query below /api/v1, quoted."""
        template = ROUTES[self.op].http.split(" ")[1]
        quoted = {key: quote(str(value), safe="") for key, value in self.path_fields.items()}
        path = template.format_map(quoted)
        return f"{path}?{urlencode(self.query, quote_via=quote)}" if self.query else path

    def http_body(self) -> bytes | None:
        """The JSON of the HTTP request; None for GET and DELETE."""
        return None if self.body is None else dumps(self.body)

    @property
    def cmd(self) -> str:
        """The TCP command."""
        return ROUTES[self.op].cmd or self.op

    def tcp_payload(self) -> bytes:
        """The JSON object of the TCP command's fields."""
        return dumps(self.fields)

    def without_wait(self) -> Request[T]:
        """The same request, answered at once."""
        fields = {key: value for key, value in self.fields.items() if key != "wait_ms"}
        body = self.body and {key: value for key, value in self.body.items() if key != "wait_ms"}
        return replace(self, fields=fields, body=body, wait=0.0)

    def read(self, reply: Reply) -> T:
        """What the caller gets for *reply*; raises what the server refused, or ProtocolError for a malformed answer."""
        check(reply)
        try:
            return self.parse(reply.body)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise errors.ProtocolError(
                "PROTOCOL_ERROR",
                f"the answer to {self.op} is malformed: {type(exc).__name__}: {exc}",
                request_id=reply.request_id,
                status=reply.status,
            ) from exc


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: the JSON object, and over HTTP the status and two headers."""

    body: Body
    status: int | None = None
    request_id: str | None = None
    retry_after: float | None = None


def check(reply: Reply) -> None:
    """Raise the error of a refused request; a partial failure of a batch is an answer, not an error."""
    ok = reply.body.get("ok")
    if ok is True or (ok is False and "results" in reply.body):
        return
    if ok is not False:
        raise errors.ProtocolError("PROTOCOL_ERROR", "the answer has no 'ok'", status=reply.status)
    raise errors.from_response(
        reply.body.get("error"),
        status=reply.status,
        request_id=reply.request_id,
        retry_after=reply.retry_after,
    )


def _request(
    op: str,
    parse: Callable[[Body], T],
    fields: Body,
    *,
    body: Body | None = None,
    wait: float = 0.0,
) -> Request[T]:
    """Split *fields* as the route asks; *body* stands in where HTTP wants another shape than TCP."""
    method, template = ROUTES[op].http.split(" ")
    in_path = set(re.findall(r"{(\w+)}", template))
    rest = {key: value for key, value in fields.items() if key not in in_path}
    has_body = method not in ("GET", "DELETE")
    return Request(
        op=op,
        fields=fields,
        body=(rest if body is None else body) if has_body else None,
        query=() if has_body else tuple((key, _query_text(value)) for key, value in rest.items()),
        path_fields={key: _path_text(key, fields[key]) for key in in_path},
        parse=parse,
        wait=wait,
    )


def _query_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _path_text(name: str, value: object) -> str:
    if not isinstance(value, str) or value in ("", ".", ".."):
        raise _invalid(f"{name} must be a name that can stand in a path, got {value!r}", name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _invalid(f"{name} contains a lone surrogate", name) from None
    return value


def _invalid(message: str, name: str | None = None) -> errors.ValidationError:
    details = {"pointer": f"/{name}"} if name else None
    return errors.ValidationError("VALIDATION_ERROR", message, details=details)


def _present(**members: object) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}


def _ms(seconds: float | None, name: str) -> int | None:
    return None if seconds is None else to_ms(seconds, name)


def _lease_ms(seconds: float | None) -> int | None:
    if seconds is None:
        return None
    ms = to_ms(seconds, "lease")
    if not LEASE_MS_MIN <= ms <= LEASE_MS_MAX:
        raise _invalid(
            f"lease must be 1 to {LEASE_MS_MAX // 1000} seconds, got {seconds!r}", "lease_ms"
        )
    return ms


def _wait_ms(seconds: float) -> int | None:
    ms = to_ms(seconds, "wait")
    if ms > WAIT_MS:
        raise _invalid(
            f"wait must be at most {WAIT_MS // 1000} seconds, got {seconds!r}", "wait_ms"
        )
    return ms or None


def cut_utf8(text: str, limit: int) -> str:
    """*text* cut to *limit* bytes of UTF-8, never inside a character; lone surrogates are written as escapes."""
    return text.encode("utf-8", "backslashreplace")[:limit].decode("utf-8", "ignore")


def _job_ref(job: Job | str) -> dict[str, Any]:
    """The id, and the lease when *job* was pulled."""
    if isinstance(job, Job):
        return _present(id=job.id, lease=job.lease)
    return {"id": job}


def job_id(job: Job | str) -> str:
    return job.id if isinstance(job, Job) else job


# --- pushing ----------------------------------------------------------------------------------------------------------


def _options(item: PushItem) -> dict[str, Any]:
    """The JobOptions of *item* on the wire, without those that were not given."""
    if item.delay is not None and item.run_at is not None:
        raise _invalid("give delay or run_at, not both", "run_at")
    return _present(
        priority=item.priority,
        delay_ms=_ms(item.delay, "delay"),
        run_at=None if item.run_at is None else format_instant(item.run_at, "run_at"),
        max_attempts=item.max_attempts,
        backoff=item.backoff,
        backoff_delay_ms=_ms(item.backoff_delay, "backoff_delay"),
        backoff_schedule_ms=_schedule(item.backoff_schedule),
        backoff_max_ms=_ms(item.backoff_max, "backoff_max"),
        jitter=item.jitter,
        ttl_ms=_ms(item.ttl, "ttl"),
        timeout_ms=_ms(item.timeout, "timeout"),
        unique_key=item.unique_key,
        unique_for_ms=_ms(item.unique_for, "unique_for"),
        on_conflict=item.on_conflict,
        tags=None if item.tags is None else list(item.tags),
        group_id=item.group_id,
        lifo=item.lifo,
        remove_on_complete=item.remove_on_complete,
        remove_on_fail=item.remove_on_fail,
        custom_id=item.custom_id,
        metadata=item.metadata,
        depends_on=None if item.depends_on is None else list(item.depends_on),
        flow_id=item.flow_id,
    )


def _schedule(delays: Sequence[float] | None) -> list[int] | None:
    return None if delays is None else [to_ms(delay, "backoff_schedule") for delay in delays]


def push(queue: str, item: PushItem, new_id: str) -> Request[PushResult]:
    # RustQueue reads options flat over HTTP and nested over TCP; Jobwire reads both on both.
    head = {"id": item.id or new_id, "name": item.name, "data": item.data}
    options = _options(item)
    fields = {"queue": queue, **head, **({"options": options} if options else {})}
    return _request("push", _parse_push, fields, body={**head, **options})


def _parse_push(body: Body) -> PushResult:
    return PushResult(id=str(body["id"]), outcome=str(body.get("outcome") or "created"))


_ITEM_FIELDS: Final = frozenset(one.name for one in fields(PushItem))


def push_item(item: PushItem | Mapping[str, Any]) -> PushItem:
    """*item* as a PushItem; a mapping has the names of the arguments of push."""
    if isinstance(item, PushItem):
        return item
    unknown = sorted(set(item) - _ITEM_FIELDS)
    if unknown or "name" not in item:
        raise _invalid(
            f"unknown fields: {', '.join(unknown)}" if unknown else "an item needs a name"
        )
    return PushItem(**item)


def push_batch(
    queue: str,
    jobs: Iterable[PushItem | Mapping[str, Any]],
    *,
    atomic: bool,
    new_id: Callable[[], str],
) -> Request[list[PushResult | errors.JobwireError]]:
    items = [_batch_item(push_item(job), new_id) for job in jobs]
    return _request(
        "push_batch", _parse_push_batch, {"queue": queue, "jobs": items, "atomic": atomic}
    )


def _batch_item(item: PushItem, new_id: Callable[[], str]) -> dict[str, Any]:
    options = _options(item)
    head = {"id": item.id or new_id(), "name": item.name, "data": item.data}
    return {**head, "options": options} if options else head


def _parse_push_batch(body: Body) -> list[PushResult | errors.JobwireError]:
    ids = body["ids"]
    outcomes = body.get("outcomes") or ["created"] * len(ids)
    results = body.get("results") or [{"ok": True}] * len(ids)
    return [
        PushResult(id=str(id_), outcome=str(outcome or "created"))
        if result["ok"] is True
        else errors.from_response(result.get("error"))
        for id_, outcome, result in zip(ids, outcomes, results, strict=True)
    ]


# --- working ----------------------------------------------------------------------------------------------------------


def pull(
    queues: str | Sequence[str],
    *,
    count: int,
    wait: float,
    lease: float | None,
    names: Sequence[str] | None,
    worker_id: str | None,
    request_id: str,
    weights: Sequence[int] | None,
) -> Request[list[Job]]:
    listed = [queues] if isinstance(queues, str) else list(queues)
    if not listed:
        raise _invalid("queues must name at least one queue", "queues")
    options = _present(
        count=count,
        wait_ms=_wait_ms(wait),
        lease_ms=_lease_ms(lease),
        names=None if names is None else list(names),
        worker_id=worker_id,
        request_id=request_id,
        weights=None if weights is None else list(weights),
    )
    # RustQueue knows `queue` alone; weights belong to `queues`.
    alone = len(listed) == 1 and weights is None
    where = {"queue": listed[0]} if alone else {"queues": listed}
    return _request("pull", _parse_pull, {**where, **options}, wait=wait)


def _parse_pull(body: Body) -> list[Job]:
    if "jobs" in body:
        return [Job.parse(job) for job in body["jobs"]]
    return [] if body["job"] is None else [Job.parse(body["job"])]


def ack(job: Job | str, result: JSONValue | Unset, *, lease: str | None) -> Request[bool]:
    return _request("ack", _parse_already, {**_ack_item(job, result), **_present(lease=lease)})


def _ack_item(job: Job | str, result: JSONValue | Unset = UNSET) -> dict[str, Any]:
    ref = _job_ref(job)
    return ref if result is UNSET else {**ref, "result": result}


def _parse_already(body: Body) -> bool:
    return body.get("already") is True


AckEntry: TypeAlias = "Job | str | tuple[Job | str, JSONValue]"


def ack_batch(items: Iterable[AckEntry]) -> Request[list[ItemResult]]:
    wire = [_ack_item(*item) if isinstance(item, tuple) else _ack_item(item) for item in items]
    return _request("ack_batch", _parse_results, {"items": wire})


def _parse_results(body: Body) -> list[ItemResult]:
    return [ItemResult.parse(result) for result in body["results"]]


def error_text(error: str | BaseException) -> str:
    """What fail sends for *error*, cut to the limit of the wire."""
    if isinstance(error, BaseException):
        text = str(error)
        error = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return cut_utf8(error, ERROR_BYTES)


def _fail_item(item: FailItem) -> dict[str, Any]:
    members = _present(retry_in_ms=_ms(item.retry_in, "retry_in"), discard=item.discard or None)
    return {**_job_ref(item.job), "error": error_text(item.error), **members}


def fail(item: FailItem) -> Request[FailResult]:
    return _request("fail", _parse_fail, _fail_item(item))


def _parse_fail(body: Body) -> FailResult:
    retry = body["retry"] if "retry" in body else body["will_retry"]
    at = body.get("next_attempt_at")
    return FailResult(
        retry=bool(retry),
        next_attempt_at=None if at is None else parse_instant(at),
        already=_parse_already(body),
    )


FailEntry: TypeAlias = "FailItem | tuple[Job | str, str | BaseException]"


def fail_batch(items: Iterable[FailEntry]) -> Request[list[ItemResult]]:
    wire = [_fail_item(item if isinstance(item, FailItem) else FailItem(*item)) for item in items]
    return _request("fail_batch", _parse_results, {"items": wire})


def release(job: Job | str, *, delay: float) -> Request[StateResult]:
    fields = {**_job_ref(job), **_present(delay_ms=to_ms(delay, "delay") or None)}
    return _request("release", _parse_state_result, fields)


def _parse_state_result(body: Body) -> StateResult:
    # RustQueue's cancel answers without a state.
    return StateResult(
        state=parse_state(str(body.get("state") or "")), already=_parse_already(body)
    )


def heartbeat(job: Job | str, *, lease: float | None) -> Request[HeartbeatResult]:
    return _request("heartbeat", _parse_heartbeat, _heartbeat_item(job, lease))


def _heartbeat_item(job: Job | str, lease: float | None = None) -> dict[str, Any]:
    return {**_job_ref(job), **_present(lease_ms=_lease_ms(lease))}


def _parse_heartbeat(body: Body) -> HeartbeatResult:
    at = body.get("lease_expires_at")
    return HeartbeatResult(
        lease_expires_at=None if at is None else parse_instant(at),
        cancelled=body.get("cancelled") is True,
    )


HeartbeatEntry: TypeAlias = "Job | str | tuple[Job | str, float | None]"


def heartbeat_batch(
    items: Iterable[HeartbeatEntry], *, worker: WorkerReport | None, wait: float
) -> Request[HeartbeatBatchResult]:
    wire = [
        _heartbeat_item(*item) if isinstance(item, tuple) else _heartbeat_item(item)
        for item in items
    ]
    if wait and worker is None:
        raise _invalid("wait needs worker", "wait_ms")
    report = None if worker is None else worker.to_wire()
    fields = _present(items=wire, worker=report, wait_ms=_wait_ms(wait))
    return _request("heartbeat_batch", _parse_heartbeat_batch, fields, wait=wait)


def _parse_heartbeat_batch(body: Body) -> HeartbeatBatchResult:
    return HeartbeatBatchResult(
        results=tuple(_parse_results(body)),
        lost=tuple(map(str, body.get("lost") or ())),
        cancelled=tuple(map(str, body.get("cancelled") or ())),
        deaf=body.get("deaf") is True,
    )


def progress(job: Job | str, percent: int, message: str | None) -> Request[None]:
    text = None if message is None else cut_utf8(message, MESSAGE_BYTES)
    fields = {**_job_ref(job), "progress": percent, **_present(message=text)}
    return _request("progress", _parse_nothing, fields)


def _parse_nothing(body: Body) -> None:
    return None


# --- jobs -------------------------------------------------------------------------------------------------------------


def cancel(job: Job | str) -> Request[StateResult]:
    return _request("cancel", _parse_state_result, {"id": job_id(job)})


def retry(job: Job | str) -> Request[StateResult]:
    return _request("retry", _parse_state_result, {"id": job_id(job)})


def promote(job: Job | str) -> Request[StateResult]:
    return _request("promote", _parse_state_result, {"id": job_id(job)})


def get_job(job: Job | str) -> Request[Job]:
    return _request("get", lambda body: Job.parse(body["job"]), {"id": job_id(job)})


def delete_job(job: Job | str) -> Request[None]:
    return _request("delete", _parse_nothing, {"id": job_id(job)})


def find(
    *,
    queue: str | None,
    state: JobState | str | Iterable[JobState | str] | None,
    name: str | None,
    tag: str | None,
    group_id: str | None,
    flow_id: str | None,
    custom_id: str | None,
    created_after: datetime | None,
    created_before: datetime | None,
    limit: int | None,
    cursor: str | None,
) -> Request[Page]:
    fields = _present(
        queue=queue,
        state=wanted_states(state),
        name=name,
        tag=tag,
        group_id=group_id,
        flow_id=flow_id,
        custom_id=custom_id,
        created_after=created_after and format_instant(created_after, "created_after"),
        created_before=created_before and format_instant(created_before, "created_before"),
        limit=limit,
        cursor=cursor,
    )
    return _request("find", _parse_page, fields)


def wanted_states(
    state: JobState | str | Iterable[JobState | str] | None,
) -> list[str] | None:
    """The states of a filter as a list; None is no filter."""
    if state is None:
        return None
    return [str(state)] if isinstance(state, str) else [str(one) for one in state]


def _parse_page(body: Body) -> Page:
    return Page(jobs=_jobs(body), next_cursor=body.get("next_cursor"))


def _jobs(body: Body) -> tuple[Job, ...]:
    return tuple(Job.parse(job) for job in body["jobs"])


# --- queues -----------------------------------------------------------------------------------------------------------


def list_queues() -> Request[list[QueueInfo]]:
    return _request("queues", lambda body: [QueueInfo.parse(one) for one in body["queues"]], {})


def _parse_queue(body: Body) -> QueueInfo:
    return QueueInfo.parse(body["queue"])


def get_queue(queue: str) -> Request[QueueInfo]:
    return _request("queue", _parse_queue, {"queue": queue})


def update_queue(
    queue: str,
    *,
    lease: float | Unset | None,
    max_length: int | Unset | None,
    retention_completed: float | Unset | None,
    retention_dlq: float | Unset | None,
    retention_cancelled: float | Unset | None,
) -> Request[QueueInfo]:
    settings: dict[str, Any] = {
        "lease_ms": lease if lease is UNSET else _lease_ms(lease),
        "max_length": max_length,
        "retention_completed_ms": _setting_ms(retention_completed, "retention_completed"),
        "retention_dlq_ms": _setting_ms(retention_dlq, "retention_dlq"),
        "retention_cancelled_ms": _setting_ms(retention_cancelled, "retention_cancelled"),
    }
    given = {key: value for key, value in settings.items() if value is not UNSET}
    return _request("queue_update", _parse_queue, {"queue": queue, **given})


def _setting_ms(seconds: float | Unset | None, name: str) -> int | Unset | None:
    return seconds if isinstance(seconds, Unset) else _ms(seconds, name)


def stats(queue: str) -> Request[QueueStats]:
    return _request("stats", _parse_stats, {"queue": queue})


def _parse_stats(body: Body) -> QueueStats:
    return QueueStats(
        counts=QueueCounts.parse(body["counts"]),
        paused=body.get("paused"),
        oldest_waiting=optional_seconds(body.get("oldest_waiting_ms")),
    )


def pause_queue(queue: str, mode: str) -> Request[None]:
    return _request("queue_pause", _parse_nothing, {"queue": queue, "mode": mode})


def resume_queue(queue: str) -> Request[None]:
    return _request("queue_resume", _parse_nothing, {"queue": queue})


def dlq(queue: str, *, limit: int | None, cursor: str | None) -> Request[Page]:
    return _request("dlq", _parse_page, {"queue": queue, **_present(limit=limit, cursor=cursor)})


def _bulk_fields(queue: str, ids: Iterable[Job | str] | None, limit: int | None) -> dict[str, Any]:
    listed = None if ids is None else [job_id(one) for one in ids]
    return {"queue": queue, **_present(ids=listed, limit=limit)}


def retry_dlq(
    queue: str, *, ids: Iterable[Job | str] | None, limit: int | None
) -> Request[BulkResult]:
    return _request("dlq_retry", _parse_bulk, _bulk_fields(queue, ids, limit))


def discard_dlq(
    queue: str, *, ids: Iterable[Job | str] | None, limit: int | None
) -> Request[BulkResult]:
    return _request("dlq_discard", _parse_bulk, _bulk_fields(queue, ids, limit))


def _parse_bulk(body: Body) -> BulkResult:
    return BulkResult(
        count=int(body["count"]),
        results=tuple(ItemResult.parse(result) for result in body.get("results") or ()),
        remaining=int(body.get("remaining") or 0),
    )


# --- flows, workers, the server ---------------------------------------------------------------------------------------


def get_flow(flow_id: str) -> Request[Flow]:
    return _request("flow", _parse_flow, {"flow_id": flow_id})


def _parse_flow(body: Body) -> Flow:
    return Flow(
        flow_id=str(body["flow_id"]), jobs=_jobs(body), summary=dict(body.get("summary") or {})
    )


def list_workers() -> Request[list[WorkerInfo]]:
    return _request("workers", lambda body: [WorkerInfo.parse(one) for one in body["workers"]], {})


def health() -> Request[Health]:
    return _request("health", _parse_health, {})


def _parse_health(body: Body) -> Health:
    return Health(
        status=str(body["status"]),
        version=str(body.get("version") or ""),
        uptime=float(body.get("uptime_seconds") or 0.0),
        durability=str(body.get("durability") or ""),
        storage=str(body.get("storage") or ""),
    )


def capabilities() -> Request[Capabilities]:
    return _request("capabilities", _parse_capabilities, {})


def _parse_capabilities(body: Body) -> Capabilities:
    server = body.get("server") or {}
    return Capabilities(
        name=str(server.get("name") or ""),
        version=str(server.get("version") or ""),
        wire=tuple(body.get("wire") or ()),
        capabilities=tuple(body.get("capabilities") or ()),
        limits=dict(body.get("limits") or {}),
        defaults=dict(body.get("defaults") or {}),
    )


def ping() -> Request[None]:
    return _request("ping", _parse_nothing, {})
