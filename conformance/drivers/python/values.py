"""
Values between the messages of the runner and the Python SDK: units, instants, and numbers that the JSON of some languages loses.

Messages speak the words of the wire: durations are `*_ms`, instants RFC 3339, a held job {"$job": {id, lease}}.
"""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import jobwire

JSON = frozenset({"data", "result", "metadata"})  # what users give; kept as it is
LOAD: Mapping[str, Callable[[Any], Any]] = {
    "$int": int,
    "$float": float,
    "$lit": lambda members: {key: load(each) for key, each in members.items()},
    "$job": lambda held: jobwire.Job(**held),
    "$time": datetime.fromisoformat,
    "$worker": lambda report: jobwire.WorkerReport(**arguments(report)),
}
ITEMS: Mapping[str, Callable[..., Any]] = {
    "ack_batch": lambda **item: tuple(item.values()) if "result" in item else item["job"],
    "fail_batch": jobwire.FailItem,
    "heartbeat_batch": lambda job, lease=None: (job, lease),
    "push_batch": jobwire.PushItem,
}
ENDINGS: Mapping[str, Callable[[Any], Exception]] = {
    "fail": RuntimeError,
    "discard": jobwire.Discard,
    "retry_in": lambda ms: jobwire.RetryIn(ms / 1000, "in a while"),
    "release": lambda ms: jobwire.Release(ms / 1000),
}


def load(value: Any) -> Any:
    """A value of a message: objects with a $ stand where the JSON of some languages is too weak."""
    if isinstance(value, list):
        return [load(each) for each in value]
    if not isinstance(value, dict):
        return value
    special = next(iter(value), "")
    return LOAD[special](value[special]) if special in LOAD else LOAD["$lit"](value)


def dump(value: Any) -> Any:
    """The inverse of load."""
    if isinstance(value, list):
        return [dump(each) for each in value]
    if isinstance(value, dict):
        members = {key: dump(each) for key, each in value.items()}
        return {"$lit": members} if next(iter(members), "").startswith("$") else members
    if isinstance(value, float):
        return {"$float": repr(value)}
    return {"$int": str(value)} if isinstance(value, int) and abs(value) > 2**53 else value


def scaled(value: Any, by: float) -> Any:
    if isinstance(value, (list, tuple)):
        return [scaled(each, by) for each in value]
    if value is None:
        return None
    return round(value * by) if by > 1 else value * by


def arguments(args: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.removesuffix("_ms"): scaled(value, 0.001) if name.endswith("_ms") else load(value)
        for name, value in args.items()
    }


def canonical(value: Any) -> Any:
    """What the SDK gave, in the words and units of the wire."""
    if isinstance(value, jobwire.JobwireError):
        return {"error": failure(value)}
    if dataclasses.is_dataclass(value):
        return dict(member(value, one) for one in dataclasses.fields(value))
    if isinstance(value, (list, tuple)):
        return [canonical(each) for each in value]
    if isinstance(value, Mapping):
        return {key: canonical(each) for key, each in value.items()}
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return getattr(value, "value", value)  # of an enum


def member(owner: Any, field: dataclasses.Field[Any]) -> tuple[str, Any]:
    value = getattr(owner, field.name)
    if field.name == "text":  # of a job; the texts of its values stand for it
        return "raw", {"data": owner.raw_data, "result": owner.raw_result}
    if "float" in str(field.type) and field.name != "jitter":
        return f"{field.name}_ms", scaled(value, 1000)
    return field.name, dump(value) if field.name in JSON else canonical(value)


def failure(exc: BaseException) -> dict[str, Any]:
    known = exc if isinstance(exc, jobwire.JobwireError) else jobwire.JobwireError("", str(exc))
    return {
        "class": type(exc).__name__,
        "code": known.code or None,
        "message": known.message,
        "retryable": known.retryable if known.code else None,
        "http_status": known.status,
        "details": dict(known.details),
        "retry_after_ms": scaled(known.retry_after, 1000),
        "shown": f"{exc} {exc!r} " + "".join(traceback.format_exception(exc)),
    }
