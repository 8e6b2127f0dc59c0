"""
The rules that types alone cannot say: alphabets, sizes in bytes, ids, fields that need or exclude each other.

`check` leaves a request whose ids are in canonical spelling; it raises VALIDATION_ERROR with the JSON pointer of the first field that breaks a rule.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from msgspec import UNSET

from jobwire_server.errors import JobwireError, invalid, misshapen
from jobwire_server.wire import answers, compat, limits, strict_json
from jobwire_server.wire.spelling import LAST_MS, ms_of, parse_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ALPHABET = re.compile(r"[A-Za-z0-9._-]+")
_ALPHABET_RULE = (
    "must be non-empty and contain only alphanumeric characters, dashes, underscores, or dots"
)

# Strings with a limit in bytes, by field name; the same name has the same limit everywhere.
_BYTES: Final[dict[str, int]] = {
    "unique_key": limits.KEY_BYTES,
    "group_id": limits.KEY_BYTES,
    "custom_id": limits.KEY_BYTES,
    "flow_id": limits.KEY_BYTES,
    "worker_id": limits.KEY_BYTES,
    "request_id": limits.KEY_BYTES,
    "lease": limits.KEY_BYTES,
    "cursor": limits.KEY_BYTES,
    "queue": limits.QUEUE_BYTES,
    "name": limits.NAME_BYTES,
    "tag": limits.TAG_BYTES,
    "token": limits.TOKEN_BYTES,
    "error": limits.ERROR_BYTES,
    "message": limits.MESSAGE_BYTES,
}
_OPTION_STRINGS: Final = ("unique_key", "group_id", "custom_id", "flow_id")
_PULL_STRINGS: Final = ("queue", "worker_id", "request_id")
_FIND_STRINGS: Final = ("queue", "name", "tag", "group_id", "flow_id", "custom_id", "cursor")


_ABSENT: Final = frozenset({b"", b"null"})
_NONE: Final[frozenset[str]] = frozenset()


def check(command: str, request: Any) -> None:
    """Raise VALIDATION_ERROR for the first broken rule; normalise ids in place."""
    rule = _RULES.get(command)
    if rule is not None:
        rule(request)


# --- jobs --------------------------------------------------------------------------------------------------------


def _push(request: Any) -> None:
    _queue_to_write(request)
    _item(request, "")


def _push_batch(request: Any) -> None:
    _queue_to_write(request)
    _required(request.jobs, "/jobs")
    if request.atomic is False:
        request.jobs = [_judged(item, f"/jobs/{index}") for index, item in enumerate(request.jobs)]
        return
    for index, item in enumerate(request.jobs):
        _item(item, f"{request.pointer}/{index}")


def _judged(item: Any, at: str) -> Any:
    """The job, or its outcome when it breaks a rule, which is then no concern of the others (JW-PUSH-7)."""
    if type(item) is answers.Unpushed:  # its shape was wrong
        return item
    try:
        _item(item, at)
    except JobwireError as error:
        if error.code != "VALIDATION_ERROR":
            raise
        return refused(item.id, error)
    return item


def refused(job_id: str | None, error: JobwireError) -> answers.Unpushed:
    """The outcome of a job of a batch that is not pushed for `error`, and that named `job_id`."""
    return answers.Unpushed(id=parse_id(job_id or ""), error=error)


def _item(item: Any, at: str) -> None:
    if item.name is UNSET or not _is_name(item.name, limits.NAME_BYTES):
        _required(item.name, f"{at}/name")
        _alphabet("Job name", item.name, limits.NAME_BYTES, f"{at}/name")
    if item.id is not None:
        item.id = _uuid(item.id, f"{at}/id")
    if len(item.data) > limits.JSON_DEPTH:  # shorter data is neither too large nor too deep
        _json(item.data, limits.DATA_BYTES, "Job data payload", f"{at}/data")
    _option_fields(item, at)
    nested = _NONE
    if item.options is not None:
        _option_fields(item.options, f"{at}/options")
        nested = compat.take_options(item, at)
    _options_together(item, at, nested)


def _option_fields(options: Any, at: str) -> None:
    """What can be said of each option by itself. Most pushes have none, so that each is looked at before it costs a call."""
    if options.unique_key or options.group_id or options.custom_id or options.flow_id:
        _strings(options, _OPTION_STRINGS, at)
    if options.run_at is not None and ms_of(options.run_at) > LAST_MS:
        raise invalid(f"{at}/run_at", "run_at is after the year 9999")
    if options.tags:
        for index, tag in enumerate(options.tags):
            _size("Tag", tag, limits.TAG_BYTES, f"{at}/tags/{index}")
    if options.depends_on:
        options.depends_on = _uuids(options.depends_on, f"{at}/depends_on")
    options.metadata = _json_or_none(options.metadata)
    if options.metadata is not None:
        _json(options.metadata, limits.METADATA_BYTES, "Job metadata", f"{at}/metadata")
        compat.refuse_follow_ups(options.metadata, f"{at}/metadata")


def _options_together(item: Any, at: str, nested: frozenset[str]) -> None:
    """Options that need or exclude each other, wherever they stand; `nested` are those that stood in `options`."""
    if item.run_at is item.unique_for_ms is item.on_conflict is None:  # what nearly every push is
        return
    if item.run_at is not None and item.delay_ms is not None:
        said = "run_at and delay_ms exclude each other; send one of them"
        raise invalid(_place("run_at", at, nested), said)
    if item.unique_key is not None:
        return
    for field, value in (("unique_for_ms", item.unique_for_ms), ("on_conflict", item.on_conflict)):
        if value is not None:
            raise invalid(_place(field, at, nested), f"{field} needs a unique_key")


def _place(field: str, at: str, nested: frozenset[str]) -> str:
    return f"{at}/options/{field}" if field in nested else f"{at}/{field}"


def _pull(request: Any) -> None:
    if (request.queue is None) == (request.queues is None):
        raise misshapen("/queue", "name one 'queue', or several in 'queues', not both")
    _strings(request, _PULL_STRINGS, "")
    for index, queue in enumerate(request.queues or ()):
        _size("Queue name", queue, limits.QUEUE_BYTES, f"/queues/{index}")
    for index, name in enumerate(request.names or ()):
        _size("Job name", name, limits.NAME_BYTES, f"/names/{index}")
    weights, queues = request.weights, request.queues
    if weights is not None and (queues is None or len(weights) != len(queues)):
        raise invalid("/weights", "weights needs one weight for each entry of 'queues'")


def _leased(request: Any, at: str = "") -> None:
    _job_id(request, at)
    if request.lease is not None:
        _size("lease", request.lease, limits.KEY_BYTES, f"{at}/lease")


def _ack(item: Any, at: str = "") -> None:
    _leased(item, at)
    item.result = _json_or_none(item.result)
    if item.result is not None:
        _json(item.result, limits.RESULT_BYTES, "Result", f"{at}/result")


def _fail(item: Any, at: str = "") -> None:
    _leased(item, at)
    if item.error is not None:
        _size("Error message", item.error, limits.ERROR_BYTES, f"{at}/error")


def _progress(request: Any) -> None:
    _leased(request)
    _required(request.progress, "/progress")
    _strings(request, ("message",), "")


def _ack_batch(request: Any) -> None:
    ids = [_uuid(job_id, "/ids", at) for at, job_id in enumerate(request.ids or ())]
    if compat.take_ids_as_items(request, ids):
        return
    for index, item in enumerate(request.items):
        _ack(item, f"/items/{index}")


def _fail_batch(request: Any) -> None:
    _required(request.items, "/items")
    for index, item in enumerate(request.items):
        _fail(item, f"/items/{index}")


def _heartbeat_batch(request: Any) -> None:
    request.items = request.items or []
    for index, item in enumerate(request.items):
        _leased(item, f"/items/{index}")
    _worker(request.worker)
    if request.wait_ms and request.worker is None:
        raise invalid("/wait_ms", "wait_ms needs 'worker', whose jobs are waited for")


def _worker(report: Any) -> None:
    if report is None:
        return
    if not report.id:
        raise invalid("/worker/id", "the worker's id is empty")
    _size("Worker id", report.id, limits.KEY_BYTES, "/worker/id")
    for index, queue in enumerate(report.queues or ()):
        _size("Queue name", queue, limits.QUEUE_BYTES, f"/worker/queues/{index}")


def _find(request: Any) -> None:
    _strings(request, _FIND_STRINGS, "")


# --- queues, dead letters, the session ---------------------------------------------------------------------------


def _queue_to_write(request: Any) -> None:
    """A queue that is written to has a name of the alphabet; reading an odd one just finds nothing."""
    _required(request.queue, "/queue")
    _alphabet("Queue name", request.queue, limits.QUEUE_BYTES, "/queue")


def _queue_to_read(request: Any) -> None:
    _required(request.queue, "/queue")
    _size("Queue name", request.queue, limits.QUEUE_BYTES, "/queue")


def _dlq(request: Any) -> None:
    _queue_to_read(request)
    _strings(request, ("cursor",), "")


def _dlq_bulk(request: Any) -> None:
    _queue_to_read(request)
    if request.ids is not None:
        request.ids = _uuids(request.ids, "/ids")


def _flow(request: Any) -> None:
    _required(request.flow_id, "/flow_id")
    _strings(request, ("flow_id",), "")


def _hello(request: Any) -> None:
    _required(request.v, "/v")
    _strings(request, ("token",), "")
    _worker(request.worker)


def _auth(request: Any) -> None:
    if request.token is UNSET:
        raise misshapen("/token", "Missing 'token' field in auth command")
    _strings(request, ("token",), "")


def _abort(request: Any) -> None:
    _required(request.target, "/target")


_RULES: Final[dict[str, Callable[[Any], None]]] = {
    "push": _push,
    "push_batch": _push_batch,
    "pull": _pull,
    "ack": _ack,
    "ack_batch": _ack_batch,
    "fail": _fail,
    "fail_batch": _fail_batch,
    "release": _leased,
    "heartbeat": _leased,
    "heartbeat_batch": _heartbeat_batch,
    "progress": _progress,
    "cancel": lambda request: _job_id(request, ""),
    "retry": lambda request: _job_id(request, ""),
    "promote": lambda request: _job_id(request, ""),
    "get": lambda request: _job_id(request, ""),
    "delete": lambda request: _job_id(request, ""),
    "find": _find,
    "queue": _queue_to_read,
    "queue_update": _queue_to_write,
    "stats": _queue_to_read,
    "queue_pause": _queue_to_write,
    "queue_resume": _queue_to_write,
    "dlq": _dlq,
    "dlq_retry": _dlq_bulk,
    "dlq_discard": _dlq_bulk,
    "flow": _flow,
    "hello": _hello,
    "auth": _auth,
    "abort": _abort,
}


# --- the single rules --------------------------------------------------------------------------------------------


def _required(value: Any, pointer: str) -> None:
    if value is UNSET:
        raise misshapen(pointer, f"Missing '{pointer.rsplit('/', 1)[-1]}' field")


def _job_id(request: Any, at: str) -> None:
    _required(request.id, f"{at}/id")
    request.id = _uuid(request.id, f"{at}/id")


def _uuid(text: str, pointer: str, index: int | None = None) -> str:
    found = parse_id(text)
    if found is None:
        at = pointer if index is None else f"{pointer}/{index}"
        raise invalid(at, "Invalid job ID format; an id is a UUID")
    return found


def _uuids(texts: Sequence[str], pointer: str) -> list[str]:
    """Canonical and each once, in the order given."""
    return list(dict.fromkeys(_uuid(text, pointer, index) for index, text in enumerate(texts)))


def _alphabet(what: str, text: str, limit: int, pointer: str) -> None:
    if not _is_name(text, limit):
        _size(what, text, limit, pointer)
        raise invalid(pointer, f"{what} {_ALPHABET_RULE}")


@lru_cache(maxsize=4096)
def _is_name(text: str, limit: int) -> bool:
    return len(text) <= limit and _ALPHABET.fullmatch(text) is not None


def _strings(holder: Any, fields: Sequence[str], at: str) -> None:
    for field in fields:
        text = getattr(holder, field)
        if text is not None and len(text) * 4 > _BYTES[field]:
            _size(field, text, _BYTES[field], f"{at}/{field}")


def _size(what: str, text: str, limit: int, pointer: str) -> None:
    if len(text) * 4 <= limit:  # no character takes more than four bytes
        return
    size = len(text.encode())
    if size > limit:
        raise invalid(pointer, f"{what} exceeds maximum length of {limit} bytes", limit=limit)


def _json_or_none(value: Any) -> Any:
    """The JSON text, None where the field is absent or null."""
    return None if bytes(value) in _ABSENT else value


def _json(value: Any, limit: int, what: str, pointer: str) -> None:
    text = bytes(value)
    if len(text) > limit:
        said = f"{what} ({len(text)} bytes) exceeds maximum of {limit} bytes"
        raise invalid(pointer, said, limit=limit)
    strict_json.check_depth(text, pointer)
