"""
Requests: every command's fields, as spec/wire.yaml lists them, and the only place where they are checked.

`parse_line` serves the TCP door, `from_http` the HTTP door; both end in the same structs and the same verdicts. An error names the field by JSON
pointer (RFC 6901) and says what to do.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from jobwire_server.errors import JobwireError, invalid, misshapen
from jobwire_server.wire import answers, checks, compat, limits, strict_json
from jobwire_server.wire.shape_errors import explain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# --- the kinds of field ------------------------------------------------------------------------------------------

Duration = Annotated[int, Meta(ge=0, le=limits.DURATION_MS)]
Span = Annotated[int, Meta(ge=1, le=limits.DURATION_MS)]
Lease = Annotated[int, Meta(ge=limits.LEASE_MS_MIN, le=limits.LEASE_MS_MAX)]
Wait = Annotated[int, Meta(ge=0, le=limits.WAIT_MS)]
Int32 = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Instant = Annotated[datetime, Meta(tz=True)]
Tags = Annotated[list[str], Meta(max_length=limits.TAGS)]
Queues = Annotated[list[str], Meta(min_length=1, max_length=limits.QUEUES_PER_PULL)]
Ids = Annotated[list[str], Meta(max_length=limits.BATCH_ITEMS)]
Rid = Annotated[int, Meta(ge=0, le=limits.RID_MAX)]

NO_DATA: Final = Raw(b"{}")
# JSON null means the same; checks.py makes None of both, since a union with Raw cannot be decoded.
ABSENT: Final = Raw(b"")


class Request(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """
    What every TCP line may have besides its command's own fields; refused in a body over HTTP.

    A struct has one base, so the commands whose fields are shared with a batch's items name these two again.
    """

    cmd: str | None = None
    rid: Rid | None = None


class Options(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """JobOptions of spec/wire.yaml; None is "left out"."""

    priority: Int32 | None = None
    delay_ms: Duration | None = None
    run_at: Instant | None = None
    max_attempts: Annotated[int, Meta(ge=0, le=limits.MAX_ATTEMPTS)] | None = None
    backoff: Literal["fixed", "linear", "exponential"] | None = None
    backoff_delay_ms: Duration | None = None
    backoff_schedule_ms: (
        Annotated[list[Duration], Meta(max_length=limits.BACKOFF_SCHEDULE)] | None
    ) = None
    backoff_max_ms: Duration | None = None
    jitter: Annotated[float, Meta(ge=0, le=1)] | None = None
    ttl_ms: Duration | None = None
    timeout_ms: Span | None = None
    unique_key: str | None = None
    unique_for_ms: Span | None = None
    on_conflict: Literal["reject", "ignore", "replace"] | None = None
    tags: Tags | None = None
    group_id: str | None = None
    lifo: bool | None = None
    remove_on_complete: bool | None = None
    remove_on_fail: bool | None = None
    custom_id: str | None = None
    metadata: Raw = ABSENT
    depends_on: Annotated[list[str], Meta(max_length=limits.DEPENDS_ON)] | None = None
    flow_id: str | None = None


OPTION_FIELDS: Final = Options.__struct_fields__


class PushItem(Options, kw_only=True, forbid_unknown_fields=True):
    """A job to push; options stand flat or in `options`."""

    id: str | None = None
    name: str | UnsetType = UNSET
    data: Raw = NO_DATA
    options: Options | None = None  # checks.py moves them out


class Push(PushItem, kw_only=True, forbid_unknown_fields=True):
    cmd: str | None = None
    rid: Rid | None = None
    queue: str | UnsetType = UNSET


class PushBatch(Request, kw_only=True, forbid_unknown_fields=True):
    """With `atomic` false an answers.Unpushed stands in place of a job that is refused for its fields: its outcome (JW-PUSH-7)."""

    queue: str | UnsetType = UNSET
    jobs: Annotated[list[PushItem], Meta(max_length=limits.BATCH_ITEMS)] | UnsetType = UNSET
    atomic: bool | None = None

    # Where the items stand in the body, as the start of a JSON pointer.
    pointer: ClassVar[str] = "/jobs"


class PushArray(PushBatch, kw_only=True, forbid_unknown_fields=True):
    """RustQueue's batch: the body of POST /queues/{queue}/jobs is the array itself."""

    pointer: ClassVar[str] = ""


class UnreadBatch(Request, kw_only=True, forbid_unknown_fields=True):
    """A push_batch whose jobs are still to be read, each by itself."""

    queue: str | UnsetType = UNSET
    jobs: Annotated[list[Raw], Meta(max_length=limits.BATCH_ITEMS)] | UnsetType = UNSET
    atomic: bool | None = None


class Pull(Request, kw_only=True, forbid_unknown_fields=True):
    queue: str | None = None
    queues: Queues | None = None
    weights: (
        Annotated[
            list[Annotated[int, Meta(ge=1, le=1_000_000)]], Meta(max_length=limits.QUEUES_PER_PULL)
        ]
        | None
    ) = None
    count: Annotated[int, Meta(ge=0, le=limits.PULL_COUNT)] | None = None
    wait_ms: Wait | None = None
    lease_ms: Lease | None = None
    names: Annotated[list[str], Meta(max_length=limits.NAMES_PER_PULL)] | None = None
    worker_id: str | None = None
    request_id: str | None = None

    @property
    def wanted(self) -> int:
        return 1 if self.count is None else self.count


class Leased(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    id: str | UnsetType = UNSET
    lease: str | None = None


class AckItem(Leased, kw_only=True, forbid_unknown_fields=True):
    result: Raw = ABSENT


class FailItem(Leased, kw_only=True, forbid_unknown_fields=True):
    error: str | None = None
    retry_in_ms: Duration | None = None
    discard: bool | None = None


class HeartbeatItem(Leased, kw_only=True, forbid_unknown_fields=True):
    lease_ms: Lease | None = None


class Ack(AckItem, kw_only=True, forbid_unknown_fields=True):
    cmd: str | None = None
    rid: Rid | None = None


class Fail(FailItem, kw_only=True, forbid_unknown_fields=True):
    cmd: str | None = None
    rid: Rid | None = None


class Heartbeat(HeartbeatItem, kw_only=True, forbid_unknown_fields=True):
    cmd: str | None = None
    rid: Rid | None = None


class Release(Leased, kw_only=True, forbid_unknown_fields=True):
    cmd: str | None = None
    rid: Rid | None = None
    delay_ms: Duration | None = None


class Progress(Leased, kw_only=True, forbid_unknown_fields=True):
    cmd: str | None = None
    rid: Rid | None = None
    progress: Annotated[int, Meta(ge=0, le=255)] | UnsetType = UNSET
    message: str | None = None


class AckBatch(Request, kw_only=True, forbid_unknown_fields=True):
    items: Annotated[list[AckItem], Meta(max_length=limits.BATCH_ITEMS)] | None = None
    ids: Ids | None = None

    item_type: ClassVar[type[AckItem]] = AckItem


class FailBatch(Request, kw_only=True, forbid_unknown_fields=True):
    items: Annotated[list[FailItem], Meta(max_length=limits.BATCH_ITEMS)] | UnsetType = UNSET


class WorkerReport(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a worker process says of itself."""

    id: str
    queues: Annotated[list[str], Meta(max_length=limits.QUEUES_PER_PULL)] | None = None
    concurrency: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    free: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    state: Literal["running", "quiet"] | None = None
    last_pull_ms: Duration | None = None


class HeartbeatBatch(Request, kw_only=True, forbid_unknown_fields=True):
    items: Annotated[list[HeartbeatItem], Meta(max_length=limits.BATCH_ITEMS)] | None = None
    worker: WorkerReport | None = None
    wait_ms: Wait | None = None


class OneJob(Request, kw_only=True, forbid_unknown_fields=True):
    """cancel, retry, promote, get and delete."""

    id: str | UnsetType = UNSET


class Find(Request, kw_only=True, forbid_unknown_fields=True):
    queue: str | None = None
    state: (
        Annotated[
            list[
                Literal["waiting", "delayed", "blocked", "active", "completed", "dlq", "cancelled"]
            ],
            Meta(max_length=7),
        ]
        | None
    ) = None
    name: str | None = None
    tag: str | None = None
    group_id: str | None = None
    flow_id: str | None = None
    custom_id: str | None = None
    created_after: Instant | None = None
    created_before: Instant | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.FIND_LIMIT)] | None = None
    cursor: str | None = None


class OneQueue(Request, kw_only=True, forbid_unknown_fields=True):
    """queue, stats and queue_resume."""

    queue: str | UnsetType = UNSET


class QueuePause(OneQueue, kw_only=True, forbid_unknown_fields=True):
    mode: Literal["push", "pull", "both"] | None = None


class QueueUpdate(OneQueue, kw_only=True, forbid_unknown_fields=True):
    """A field that is left out stays (UNSET); None goes back to the default."""

    lease_ms: Lease | UnsetType | None = UNSET
    max_length: Annotated[int, Meta(ge=1, le=1_000_000_000)] | UnsetType | None = UNSET
    retention_completed_ms: Duration | UnsetType | None = UNSET
    retention_dlq_ms: Duration | UnsetType | None = UNSET
    retention_cancelled_ms: Duration | UnsetType | None = UNSET


class Dlq(OneQueue, kw_only=True, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=0, le=limits.FIND_LIMIT)] | None = None
    cursor: str | None = None


class DlqBulk(OneQueue, kw_only=True, forbid_unknown_fields=True):
    """dlq_retry and dlq_discard."""

    ids: Ids | None = None
    limit: Annotated[int, Meta(ge=1, le=limits.BATCH_ITEMS)] | None = None


class Flow(Request, kw_only=True, forbid_unknown_fields=True):
    flow_id: str | UnsetType = UNSET


class Nothing(Request, kw_only=True, forbid_unknown_fields=True):
    """A command without fields."""


class ClientInfo(msgspec.Struct, kw_only=True):
    """Who connects; members that are not known are ignored, for newer clients."""

    name: str = ""
    version: str = ""


class Hello(Request, kw_only=True, forbid_unknown_fields=True):
    v: Annotated[list[Rid], Meta(min_length=1, max_length=16)] | UnsetType = UNSET
    client: ClientInfo | None = None
    token: str | None = None
    worker: WorkerReport | None = None


class Auth(Request, kw_only=True, forbid_unknown_fields=True):
    token: str | UnsetType = UNSET


class Abort(Request, kw_only=True, forbid_unknown_fields=True):
    target: Rid | UnsetType = UNSET


# --- the table ---------------------------------------------------------------------------------------------------

TYPES: Final[dict[str, type[msgspec.Struct]]] = {
    "push": Push,
    "push_batch": PushBatch,
    "pull": Pull,
    "ack": Ack,
    "ack_batch": AckBatch,
    "fail": Fail,
    "fail_batch": FailBatch,
    "release": Release,
    "heartbeat": Heartbeat,
    "heartbeat_batch": HeartbeatBatch,
    "progress": Progress,
    "cancel": OneJob,
    "retry": OneJob,
    "promote": OneJob,
    "get": OneJob,
    "delete": OneJob,
    "find": Find,
    "queues": Nothing,
    "queue": OneQueue,
    "queue_update": QueueUpdate,
    "stats": OneQueue,
    "queue_pause": QueuePause,
    "queue_resume": OneQueue,
    "dlq": Dlq,
    "dlq_retry": DlqBulk,
    "dlq_discard": DlqBulk,
    "flow": Flow,
    "workers": Nothing,
    "health": Nothing,
    "ready": Nothing,
    "live": Nothing,
    "capabilities": Nothing,
    "hello": Hello,
    "auth": Auth,
    "ping": Nothing,
    "abort": Abort,
    "bye": Nothing,
}
HTTP_ONLY: Final = frozenset({"ready", "live"})
TCP_COMMANDS: Final = frozenset(TYPES) - HTTP_ONLY

# Consecutive requests of one of these may run as one call of the store.
BATCHABLE: Final = frozenset({"push", "ack", "fail", "heartbeat", "progress", "release", "get"})

# Of a batch that is not atomic, so many jobs are told which known field an unknown one is nearest to; a thousand would hold everyone up.
HINTED_JOBS: Final = 20

_DECODERS: Final = {name: msgspec.json.Decoder(kind) for name, kind in TYPES.items()}
_OPENING: Final = len('{"cmd":"')
_OPENINGS: Final = {f'{{"cmd":"{name}"'.encode(): name for name in sorted(TCP_COMMANDS)}
_WHOLE_IN_QUERY: Final = frozenset({"count", "limit"})
_DIGITS: Final = re.compile(r"-?[0-9]+")
_PUSH_LIST: Final = msgspec.json.Decoder(
    Annotated[list[PushItem], Meta(max_length=limits.BATCH_ITEMS)]
)


_push_item = msgspec.json.Decoder(PushItem).decode
_unread_batch = msgspec.json.Decoder(UnreadBatch).decode


class _Id(msgspec.Struct):
    id: str | None = None


class _Head(msgspec.Struct):
    cmd: str | UnsetType = UNSET
    rid: Rid | None = None


class _Rid(msgspec.Struct):
    rid: Rid | None = None


_head = msgspec.json.Decoder(_Head).decode
_rid = msgspec.json.Decoder(_Rid).decode
_id = msgspec.json.Decoder(_Id).decode


class Command(NamedTuple):
    """A request that may be carried out: its fields are within bounds and ids are in their canonical spelling."""

    name: str
    request: Any
    rid: int | None = None


class BadRequest(Exception):  # noqa: N818 - named for what it is, not for being raised
    """A line that cannot be carried out; `rid` and `name` are set as far as the line could be read."""

    def __init__(
        self, error: JobwireError, rid: int | None = None, name: str | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.rid = rid
        self.name = name


# --- parsing -----------------------------------------------------------------------------------------------------


def parse_line(line: bytes) -> Command:
    """One TCP line, without its newline. Raises BadRequest."""
    rid = name = None
    try:
        strict_json.check(line)
        plain = _plain(line)
        if plain is not None:
            return plain
        head = _shaped(_head, line, _Head)
        rid = head.rid
        if head.cmd is UNSET:
            raise misshapen(
                "/cmd", "Missing or invalid 'cmd' field; every line names its command in \"cmd\""
            )
        if head.cmd not in TCP_COMMANDS:
            raise compat.unknown_command(head.cmd, TCP_COMMANDS)
        name = head.cmd
        request = _read(name, line)
        checks.check(name, request)
    except JobwireError as error:
        known = rid if error.code == "PARSE_ERROR" or rid is not None else _rid_of(line)
        raise BadRequest(error, known, name) from error
    return Command(name, request, rid)


def _plain(line: bytes) -> Command | None:
    """
    The command of a line that opens with its name, as every SDK writes it: saves the decode of the head, half a microsecond.

    None when there is anything to say against the line; then it goes the long way, which knows what to say.
    """
    name = _OPENINGS.get(line[: line.find(b'"', _OPENING) + 1])
    if name is None:
        return None
    try:
        request: Any = _DECODERS[name].decode(line)
        checks.check(name, request)
    except (msgspec.DecodeError, RecursionError, JobwireError):
        return None
    return Command(name, request, request.rid)


def _rid_of(line: bytes) -> int | None:
    """The rid of a line that may be wrong in other ways; None where there is no good one (JW-TCP-19)."""
    try:
        return _rid(line).rid
    except (msgspec.DecodeError, RecursionError):
        return None


def from_http(
    name: str,
    body: bytes | None,
    given: Mapping[str, str],
    query: Mapping[str, str],
) -> Command:
    """
    A request over HTTP: path parameters in `given`, the query string, and the body (None or blank when there is none).

    An array as the body of push is a push_batch. Raises JobwireError.
    """
    if query:
        request = _from_query(name, query)
    elif body is None or not body.strip():
        request = TYPES[name]()
    else:
        strict_json.check(body)
        if name == "push" and body.lstrip()[:1] == b"[":
            name, request = "push_batch", PushArray(jobs=_shaped(_PUSH_LIST.decode, body, PushItem))
        else:
            request = _read(name, body)
        _refuse_line_fields(request)
    _take_path(request, given)
    checks.check(name, request)
    if name == "fail":
        compat.require_error_text(request)
    return Command(name, request)


def _read(name: str, text: bytes) -> Any:
    try:
        return _shaped(_DECODERS[name].decode, text, TYPES[name])
    except JobwireError as error:
        each = _read_each(text) if name == "push_batch" else None
        if each is None or error.code != "VALIDATION_ERROR":
            raise
        return each


def _read_each(text: bytes) -> PushBatch | None:
    """The push_batch in `text`, with an outcome in place of each job of a wrong shape; None unless `atomic` is false."""
    batch = _shaped(_unread_batch, text, PushBatch)
    if batch.atomic is not False or batch.jobs is UNSET:
        return None
    jobs: list[Any] = [_job_or_outcome(job, at) for at, job in enumerate(batch.jobs)]
    return PushBatch(cmd=batch.cmd, rid=batch.rid, queue=batch.queue, jobs=jobs, atomic=False)


def _job_or_outcome(text: Raw, index: int) -> PushItem | answers.Unpushed:
    try:
        return _push_item(text)
    except msgspec.ValidationError as exc:
        hint = index < HINTED_JOBS
        return checks.refused(
            _id_of(text), explain(str(exc), PushItem, at=f"/jobs/{index}", hint=hint)
        )


def _id_of(text: Raw) -> str | None:
    """The id that a job names, which may be wrong in other ways."""
    try:
        return _id(text).id
    except msgspec.ValidationError:
        return None


def _shaped(decode: Callable[[bytes], Any], text: bytes, kind: type[msgspec.Struct]) -> Any:
    try:
        return decode(text)
    except msgspec.ValidationError as exc:
        raise explain(str(exc), kind) from exc
    except RecursionError as exc:
        raise strict_json.parse_error(
            f"Invalid JSON: nested more than {limits.JSON_DEPTH} levels deep"
        ) from exc
    except msgspec.DecodeError as exc:
        raise strict_json.parse_error(f"Invalid JSON: {exc}") from exc


def _from_query(name: str, query: Mapping[str, str]) -> Any:
    """Query values are text; numbers and lists (comma separated) are read from it."""
    kind = TYPES[name]
    values: dict[str, Any] = dict(query)
    if "state" in values and name == "find":
        values["state"] = [part for part in values["state"].split(",") if part]
    for line_field in ("cmd", "rid"):
        if line_field in values:
            raise misshapen(f"/{line_field}", f"unknown query parameter '{line_field}'")
    for field in _WHOLE_IN_QUERY & values.keys():  # msgspec would take `null` and 1e1 too
        if not _DIGITS.fullmatch(values[field]):
            raise invalid(f"/{field}", f"'{field}' is a whole number in digits", expected="int")
    for field in ("created_after", "created_before"):
        if field in values and "T" not in values[field].upper():
            raise invalid(f"/{field}", "an instant is RFC 3339, such as 2030-01-31T12:00:00Z")
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as exc:
        raise explain(str(exc), kind, status=400) from exc


def _refuse_line_fields(request: Any) -> None:
    for field in ("cmd", "rid"):
        if getattr(request, field) is not None:
            raise misshapen(f"/{field}", f"unknown field '{field}' (it belongs to the TCP wire)")


def _take_path(request: Any, given: Mapping[str, str]) -> None:
    for field, value in given.items():
        said = getattr(request, field)
        if said is not UNSET and said is not None and said != value:
            raise invalid(
                f"/{field}",
                f"'{field}' in the body differs from the path; leave it out of the body",
            )
        setattr(request, field, value)
