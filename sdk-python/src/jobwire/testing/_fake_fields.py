"""
The fields that each operation of the fake server accepts, as spec/wire.yaml lists them; a test compares the two.

Pure. `check` answers with the fields to use: null ones left out, times as milliseconds, ids in their one spelling.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from jobwire.testing._fake_job import Refused, invalid, parse_instant
from jobwire.testing._fake_json import dumps, plain

Check = Callable[[Any, str], Any]

NAME_PATTERN: Final = re.compile(r"[A-Za-z0-9._-]+")
JSON_DEPTH: Final = 128
DURATION: Final = 3_155_760_000_000
KEY: Final = 1024
BATCH: Final = 1000
DATA: Final = 1_048_576
METADATA: Final = 65_536
# What is checked here and in the queue beside the limits that the client knows; hello and capabilities announce both.
SERVER_LIMITS: Final[dict[str, int]] = {
    "data_bytes": DATA,
    "result_bytes": DATA,
    "metadata_bytes": METADATA,
    "json_depth": JSON_DEPTH,
    "name_bytes": 1024,
    "queue_bytes": 256,
    "key_bytes": KEY,
    "tags": 32,
    "tag_bytes": 256,
    "depends_on": 256,
    "dag_depth": 100,
    "logs": 100,
    "errors": 20,
    "backoff_schedule": 64,
    "max_attempts": 10_000,
    "token_bytes": KEY,
    "unauthenticated_line_bytes": 65_536,
}


class BadItem(NamedTuple):
    """A job of a batch that is refused for its fields, with the id that it named."""

    id: str | None
    refusal: Refused


class Field(NamedTuple):
    """How a value is checked, and whether it must be there."""

    check: Check
    required: bool = False


def _misshapen(pointer: str, expected: str) -> Exception:
    return invalid(pointer, f"{pointer} must be {expected}", status=422, expected=expected)


def text(
    max_bytes: int, *, named: bool = False, empty: bool = True, enum: tuple[str, ...] = ()
) -> Check:
    """A string of at most *max_bytes*; `named` ones are queue and job names."""

    def check(value: Any, pointer: str) -> str:
        if not isinstance(value, str):
            raise _misshapen(pointer, "a string")
        if len(value.encode()) > max_bytes:
            message = f"{pointer} is longer than {max_bytes} bytes"
            raise invalid(pointer, message, limit=max_bytes)
        if (named and not NAME_PATTERN.fullmatch(value)) or not (empty or value):
            raise invalid(pointer, f"{pointer} must match [A-Za-z0-9._-]+")
        if enum and value not in enum:
            raise invalid(pointer, f"{pointer} must be one of {', '.join(enum)}", expected=enum)
        return value

    return check


def integer(low: int, high: int) -> Check:
    def check(value: Any, pointer: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _misshapen(pointer, "an integer")
        if not low <= value <= high:
            raise invalid(pointer, f"{pointer} must be {low} to {high}", limit=high)
        return value

    return check


def number(low: float, high: float) -> Check:
    def check(value: Any, pointer: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise _misshapen(pointer, "a number")
        if not low <= value <= high:
            raise invalid(pointer, f"{pointer} must be {low} to {high}")
        return float(value)

    return check


def flag(value: Any, pointer: str) -> bool:
    if not isinstance(value, bool):
        raise _misshapen(pointer, "a boolean")
    return value


def moment(value: Any, pointer: str) -> int:
    """A time; milliseconds since the epoch from here on."""
    if not isinstance(value, str):
        raise _misshapen(pointer, "a time")
    try:
        return parse_instant(value)
    except ValueError:
        raise invalid(pointer, f"{pointer} is no RFC 3339 time with an offset") from None


def uuid_text(value: Any, pointer: str) -> str:
    if not isinstance(value, str):
        raise _misshapen(pointer, "a UUID")
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise invalid(pointer, f"{pointer} is no UUID") from None


def _worker_id(value: Any, pointer: str) -> str:
    worker_id: str = text(KEY)(value, pointer)
    if not worker_id:
        raise invalid(pointer, "the worker's id is empty")
    return worker_id


def metadata(value: Any, pointer: str) -> Any:
    """JSON without RustQueue's follow_ups, which nobody would carry out (JW-PUSH-17)."""
    checked = payload(METADATA)(value, pointer)
    said = plain(checked)
    if isinstance(said, dict) and "follow_ups" in said:
        raise invalid(f"{pointer}/follow_ups", "follow_ups are not supported by this server")
    return checked


def parent_ids(value: Any, pointer: str) -> list[str]:
    """Ids of jobs, each once."""
    return list(dict.fromkeys(list_of(uuid_text, 256)(value, pointer)))


def payload(max_bytes: int) -> Check:
    """Any JSON value within its size and depth."""

    def check(value: Any, pointer: str) -> Any:
        size = len(dumps(value))
        if size > max_bytes:
            message = f"{pointer} ({size} bytes) exceeds maximum of {max_bytes} bytes"
            raise invalid(pointer, message, limit=max_bytes)
        if _depth(plain(value)) > JSON_DEPTH:
            message = f"Invalid JSON: {pointer} is nested more than {JSON_DEPTH} levels deep"
            raise Refused("PARSE_ERROR", message)
        return value

    return check


def _depth(value: Any) -> int:
    level, deepest = [value], 0
    while level:
        containers = [v for v in level if isinstance(v, dict | list)]
        level = [x for v in containers for x in (v.values() if isinstance(v, dict) else v)]
        deepest += bool(containers)
    return deepest


def list_of(item: Check, max_items: int) -> Check:
    def check(value: Any, pointer: str) -> list[Any]:
        if not isinstance(value, list):
            raise _misshapen(pointer, "a list")
        if len(value) > max_items:
            raise invalid(pointer, f"{pointer} has over {max_items} items", limit=max_items)
        return [item(x, f"{pointer}/{i}") for i, x in enumerate(value)]

    return check


def record(fields: Mapping[str, Field]) -> Check:
    """An object with these fields and no others."""

    def check(value: Any, pointer: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _misshapen(pointer, "an object")
        for name in value.keys() - fields.keys():
            raise invalid(f"{pointer}/{name}", f"unknown field '{name}'", status=422)
        for name, field in fields.items():
            if field.required and value.get(name) is None:
                raise invalid(f"{pointer}/{name}", f"missing field '{name}'", status=422)
        return {
            name: fields[name].check(x, f"{pointer}/{name}")
            for name, x in value.items()
            if x is not None or name in _NULL_MEANS_NULL
        }

    return check


# A null in one of these is a value of its own, not a field left out.
_NULL_MEANS_NULL: Final = frozenset({"data", "result"})

_DURATION: Final = Field(integer(0, DURATION))
_QUEUE: Final = Field(text(256, named=True), required=True)
_ANY_QUEUE: Final = Field(text(256), required=True)
_ID: Final = Field(uuid_text, required=True)
_KEY: Final = Field(text(KEY))
_LEASE_MS: Final = Field(integer(1000, 43_200_000))
_FLAG: Final = Field(flag)

JOB_OPTIONS: Final = {
    "priority": Field(integer(-(2**31), 2**31 - 1)),
    "delay_ms": _DURATION,
    "run_at": Field(moment),
    "max_attempts": Field(integer(0, 10_000)),
    "backoff": Field(text(KEY, enum=("fixed", "linear", "exponential"))),
    "backoff_delay_ms": _DURATION,
    "backoff_schedule_ms": Field(list_of(integer(0, DURATION), 64)),
    "backoff_max_ms": _DURATION,
    "jitter": Field(number(0, 1)),
    "ttl_ms": _DURATION,
    "timeout_ms": Field(integer(1, DURATION)),
    "unique_key": _KEY,
    "unique_for_ms": Field(integer(1, DURATION)),
    "on_conflict": Field(text(KEY, enum=("reject", "ignore", "replace"))),
    "tags": Field(list_of(text(256), 32)),
    "group_id": _KEY,
    "lifo": _FLAG,
    "remove_on_complete": _FLAG,
    "remove_on_fail": _FLAG,
    "custom_id": _KEY,
    "metadata": Field(metadata),
    "depends_on": Field(parent_ids),
    "flow_id": _KEY,
}
PUSH_ITEM: Final = {
    "id": Field(uuid_text),
    "name": Field(text(1024, named=True), required=True),
    "data": Field(payload(DATA)),
    "options": Field(record(JOB_OPTIONS)),
    **JOB_OPTIONS,
}


def push_item(value: Any, pointer: str) -> dict[str, Any]:
    """A PushItem with its options flat, and the rules between its fields."""
    item: dict[str, Any] = record(PUSH_ITEM)(value, pointer)
    options = item.pop("options", {})
    for name in options.keys() & item.keys():
        raise invalid(f"{pointer}/options/{name}", f"'{name}' is given twice")
    flat = {**item, **options}
    if "delay_ms" in flat and "run_at" in flat:
        raise invalid(f"{pointer}/run_at", "run_at and delay_ms exclude each other")
    for name in {"unique_for_ms", "on_conflict"} & flat.keys():
        if "unique_key" not in flat:
            raise invalid(f"{pointer}/{name}", f"{name} needs unique_key")
    return flat


ACK_ITEM: Final = {"id": _ID, "lease": _KEY, "result": Field(payload(DATA))}
FAIL_ITEM: Final = {
    "id": _ID,
    "lease": _KEY,
    "error": Field(text(10_240)),
    "retry_in_ms": _DURATION,
    "discard": _FLAG,
}
HEARTBEAT_ITEM: Final = {"id": _ID, "lease": _KEY, "lease_ms": _LEASE_MS}
WORKER_REPORT: Final = {
    "id": Field(_worker_id, required=True),
    "queues": Field(list_of(text(256), 64)),
    "concurrency": Field(integer(1, 100_000)),
    "free": Field(integer(0, 100_000)),
    "state": Field(text(KEY, enum=("running", "quiet"))),
    "last_pull_ms": _DURATION,
}
_DLQ_CHOICE: Final = {
    "queue": _ANY_QUEUE,
    "ids": Field(list_of(uuid_text, BATCH)),
    "limit": Field(integer(1, BATCH)),
}
_STATES: Final = ("waiting", "delayed", "blocked", "active", "completed", "dlq", "cancelled")

FIELDS: Final[dict[str, dict[str, Field]]] = {
    "push": {"queue": _QUEUE, **PUSH_ITEM},
    "push_batch": {
        "queue": _QUEUE,
        "jobs": Field(list_of(push_item, BATCH), required=True),
        "atomic": _FLAG,
    },
    "pull": {
        "queue": Field(text(256)),
        "queues": Field(list_of(text(256), 64)),
        "weights": Field(list_of(integer(1, 1_000_000), 64)),
        "count": Field(integer(0, 1000)),
        "wait_ms": Field(integer(0, 60_000)),
        "lease_ms": _LEASE_MS,
        "names": Field(list_of(text(1024), 64)),
        "worker_id": _KEY,
        "request_id": _KEY,
    },
    "ack": ACK_ITEM,
    "ack_batch": {
        "items": Field(list_of(record(ACK_ITEM), BATCH)),
        "ids": Field(list_of(uuid_text, BATCH)),
    },
    "fail": FAIL_ITEM,
    "fail_batch": {"items": Field(list_of(record(FAIL_ITEM), BATCH), required=True)},
    "release": {"id": _ID, "lease": _KEY, "delay_ms": _DURATION},
    "heartbeat": HEARTBEAT_ITEM,
    "heartbeat_batch": {
        "items": Field(list_of(record(HEARTBEAT_ITEM), BATCH)),
        "worker": Field(record(WORKER_REPORT)),
        "wait_ms": Field(integer(0, 60_000)),
    },
    "progress": {
        "id": _ID,
        "lease": _KEY,
        "progress": Field(integer(0, 255), required=True),
        "message": Field(text(1024)),
    },
    "cancel": {"id": _ID},
    "retry": {"id": _ID},
    "promote": {"id": _ID},
    "get": {"id": _ID},
    "delete": {"id": _ID},
    "find": {
        "queue": Field(text(256)),
        "state": Field(list_of(text(KEY, enum=_STATES), 7)),
        "name": Field(text(1024)),
        "tag": Field(text(256)),
        "group_id": _KEY,
        "flow_id": _KEY,
        "custom_id": _KEY,
        "created_after": Field(moment),
        "created_before": Field(moment),
        "limit": Field(integer(1, 1000)),
        "cursor": _KEY,
    },
    "queues": {},
    "queue": {"queue": _ANY_QUEUE},
    "queue_update": {
        "queue": _QUEUE,
        "lease_ms": _LEASE_MS,
        "max_length": Field(integer(1, 1_000_000_000)),
        "retention_completed_ms": _DURATION,
        "retention_dlq_ms": _DURATION,
        "retention_cancelled_ms": _DURATION,
    },
    "stats": {"queue": _ANY_QUEUE},
    "queue_pause": {"queue": _QUEUE, "mode": Field(text(KEY, enum=("push", "pull", "both")))},
    "queue_resume": {"queue": _QUEUE},
    "dlq": {"queue": _ANY_QUEUE, "limit": Field(integer(0, 1000)), "cursor": _KEY},
    "dlq_retry": _DLQ_CHOICE,
    "dlq_discard": _DLQ_CHOICE,
    "flow": {"flow_id": Field(text(KEY), required=True)},
    "workers": {},
    "health": {},
    "ready": {},
    "live": {},
    "capabilities": {},
    "hello": {
        "v": Field(list_of(integer(0, 2**31), 16), required=True),
        "client": Field(record({"name": _KEY, "version": _KEY})),
        "token": Field(text(KEY)),
        "worker": Field(record(WORKER_REPORT)),
    },
    "auth": {"token": Field(text(KEY), required=True)},
    "ping": {},
    "abort": {"target": Field(integer(0, 2**53 - 1), required=True)},
    "bye": {},
}


def check(operation: str, fields: Any) -> dict[str, Any]:
    """The fields of a request, checked; raises VALIDATION_ERROR with the pointer of the first bad one."""
    if operation == "push":
        return _checked_push(fields)
    if operation == "push_batch" and isinstance(fields, dict) and fields.get("atomic") is False:
        return _checked_each(fields)
    checked: dict[str, Any] = record(FIELDS[operation])(fields, "")
    if (
        operation == "queue_update"
    ):  # where null is a value: back to the server's default (JW-QUEUE-7)
        checked.update({name: None for name, value in fields.items() if value is None})
    rule = _RULES.get(operation)
    if rule is not None:
        rule(checked)
    return checked


def _checked_push(fields: Any) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise _misshapen("", "an object")
    queue = record({"queue": _QUEUE})({k: v for k, v in fields.items() if k == "queue"}, "")
    item = push_item({k: v for k, v in fields.items() if k != "queue"}, "")
    return {**item, **queue}


def _checked_each(fields: dict[str, Any]) -> dict[str, Any]:
    """A batch that is not atomic: a bad job is its own affair, the rest of the request is not (JW-PUSH-7, JW-PUSH-18)."""
    batch = {**FIELDS["push_batch"], "jobs": Field(list_of(_as_it_is, BATCH), required=True)}
    checked: dict[str, Any] = record(batch)(fields, "")
    jobs = enumerate(checked["jobs"])
    return {**checked, "jobs": [_item_or_refusal(job, f"/jobs/{at}") for at, job in jobs]}


def _as_it_is(value: Any, pointer: str) -> Any:
    return value


def _item_or_refusal(value: Any, pointer: str) -> dict[str, Any] | BadItem:
    try:
        return push_item(value, pointer)
    except Refused as refusal:
        if refusal.code != "VALIDATION_ERROR":
            raise
        return BadItem(_id_in(value), refusal)


def _id_in(item: Any) -> str | None:
    try:
        return uuid_text(item.get("id"), "") if isinstance(item, dict) else None
    except Refused:
        return None


def _pull_rule(fields: dict[str, Any]) -> None:
    if ("queue" in fields) == ("queues" in fields):
        raise invalid("/queue", "give queue or queues, and not both", status=422)
    if "weights" in fields and len(fields["weights"]) != len(fields.get("queues", ())):
        raise invalid("/weights", "weights needs one weight for each entry of 'queues'")
    if not fields.setdefault("queues", [fields.pop("queue", "")]):
        raise invalid("/queues", "queues must not be empty", limit=1)


def _ack_batch_rule(fields: dict[str, Any]) -> None:
    if "items" not in fields and "ids" not in fields:
        raise invalid("/items", "missing field 'items' or 'ids'", status=422)


def _heartbeat_batch_rule(fields: dict[str, Any]) -> None:
    if fields.get("wait_ms") and "worker" not in fields:
        raise invalid("/wait_ms", "wait_ms needs worker")


_RULES: Final[dict[str, Callable[[dict[str, Any]], None]]] = {
    "pull": _pull_rule,
    "ack_batch": _ack_batch_rule,
    "heartbeat_batch": _heartbeat_batch_rule,
}
