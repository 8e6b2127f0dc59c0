"""
What has to be so before an operation can answer with a code: the steps, the fields of the request that then meets the code,
and the `details` that it must have. Fields are those of wire.yaml, so that both doors use the same table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

QUEUE: Final = "{{queue}}"
JOB: Final = "{{uuid:J}}"
NOBODY: Final = "{{uuid:N}}"  # the id of a job that is never pushed
DEAD_LEASE: Final = "1-000000000000"

LEASED: Final = ("ack", "fail", "release", "heartbeat", "progress")
FAULTS: Final = (
    "INTERNAL_ERROR",
    "OVERLOADED",
    "SHUTTING_DOWN",
    "STORAGE_UNAVAILABLE",
    "STORAGE_FULL",
)

# The least that a command takes; `fail` names its error because HTTP wants it.
LEAST: Final[dict[str, dict[str, Any]]] = {
    "push": {"queue": QUEUE, "name": "n"},
    "push_batch": {"queue": QUEUE, "jobs": [{"name": "n"}]},
    "pull": {"queue": QUEUE},
    "ack": {"id": JOB},
    "ack_batch": {"ids": [JOB]},
    "fail": {"id": JOB, "error": "boom"},
    "fail_batch": {"items": [{"id": JOB}]},
    "release": {"id": JOB},
    "heartbeat": {"id": JOB},
    "heartbeat_batch": {},
    "progress": {"id": JOB, "progress": 40},
    "cancel": {"id": JOB},
    "retry": {"id": JOB},
    "promote": {"id": JOB},
    "get": {"id": JOB},
    "delete": {"id": JOB},
    "find": {},
    "queues": {},
    "queue": {"queue": QUEUE},
    "queue_update": {"queue": QUEUE},
    "stats": {"queue": QUEUE},
    "queue_pause": {"queue": QUEUE},
    "queue_resume": {"queue": QUEUE},
    "dlq": {"queue": QUEUE},
    "dlq_retry": {"queue": QUEUE},
    "dlq_discard": {"queue": QUEUE},
    "flow": {"flow_id": QUEUE},
    "workers": {},
    "health": {},
    "capabilities": {},
    "hello": {"v": [2]},
    "auth": {"token": "any"},
    "ping": {},
    "abort": {"target": 1},
    "bye": {},
}


@dataclass(frozen=True, slots=True)
class Setup:
    """`steps` before, `fields` of the request besides LEAST, `details` of the error, `settings` of the server."""

    steps: tuple[dict[str, Any], ...] = ()
    fields: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def _do(command: str, **fields: Any) -> dict[str, Any]:
    return {"do": command, "with": {**LEAST[command], **fields}}


WAITING: Final = (_do("push", id=JOB),)
ACTIVE: Final = (*WAITING, _do("pull"))
COMPLETED: Final = (*ACTIVE, _do("ack"))
# The state that refuses each command (lifecycle.yaml), and how a job gets there.
REFUSING: Final = {
    **dict.fromkeys(LEASED, ("waiting", WAITING)),
    "cancel": ("completed", COMPLETED),
    "retry": ("waiting", WAITING),
    "promote": ("active", ACTIVE),
    "delete": ("active", ACTIVE),
}
_KEY: Final = {"unique_key": "k"}
_KEY_TAKEN: Final = (_do("push", id=JOB, **_KEY),)
_FULL: Final = (_do("queue_update", max_length=1), _do("push"))
_PAUSED: Final = (_do("queue_pause", mode="push"),)


def _pushes(command: str) -> dict[str, Setup]:
    """The codes of push and of push_batch, which differ in where the job stands."""

    def job(**fields: Any) -> dict[str, Any]:
        item = {"name": "n", **fields}
        return {"jobs": [item]} if command == "push_batch" else item

    at = "/jobs/0" if command == "push_batch" else ""
    return {
        "DUPLICATE_KEY": Setup(_KEY_TAKEN, job(**_KEY), {"existing_id": JOB}),
        "ID_CONFLICT": Setup(WAITING, job(id=JOB, data={"other": True}), {"id": JOB}),
        "QUEUE_FULL": Setup(_FULL, job(), {"queue": QUEUE, "limit": 1}),
        "QUEUE_PAUSED": Setup(_PAUSED, job(), {"queue": QUEUE}),
        "VALIDATION_ERROR": Setup((), job(name="a b"), {"pointer": f"{at}/name"}),
    }


_RETRY_TAKEN: Final = Setup(
    (_do("push", id=JOB, **_KEY), _do("cancel"), _do("push", id="{{uuid:K}}", **_KEY)),
    {},
    {"existing_id": "{{uuid:K}}"},
)


def of(command: str, code: str) -> Setup | None:
    """How `command` comes to answer `code`; None when no state of jobs and queues brings that about."""
    if command in ("push", "push_batch") and code in _pushes(command):
        return _pushes(command)[code]
    if code in ("JOB_NOT_FOUND", "NOT_FOUND"):
        return Setup((), {"id": NOBODY}, {"id": NOBODY})
    if code == "INVALID_STATE" and command in REFUSING:
        state, steps = REFUSING[command]
        return Setup(steps, {}, {"id": JOB, "state": state})
    if code == "LEASE_LOST":
        return Setup(ACTIVE, {"lease": DEAD_LEASE}, {"id": JOB, "state": "active"})
    if code == "LEASE_REQUIRED":
        steps = (*WAITING, _do("pull"))
        return Setup(steps, {}, {"id": JOB}, {"auth.require_lease": True})
    if code == "DUPLICATE_KEY" and command == "retry":
        return _RETRY_TAKEN
    return None


# A value that breaks a rule, for each command that has fields: what is sent, and where it is wrong (JW-ERR-6).
_LONG: Final = {"$repeat": {"text": "q", "times": 257}}
_ONE_JOB: Final = ("cancel", "retry", "promote", "get", "delete", *LEASED)
BROKEN: Final[dict[str, tuple[dict[str, Any], str]]] = {
    **dict.fromkeys(_ONE_JOB, ({"id": "not-a-uuid"}, "/id")),
    "pull": ({"count": 1001}, "/count"),
    "ack_batch": ({"ids": ["not-a-uuid"]}, "/ids/0"),
    "fail_batch": ({"items": [{"id": "not-a-uuid"}]}, "/items/0/id"),
    "heartbeat_batch": ({"wait_ms": 60001}, "/wait_ms"),
    "find": ({"limit": 0}, "/limit"),
    "queue": ({"queue": _LONG}, "/queue"),
    "queue_update": ({"max_length": 0}, "/max_length"),
    "stats": ({"queue": _LONG}, "/queue"),
    "queue_pause": ({"mode": "all"}, "/mode"),
    "queue_resume": ({"queue": "a b"}, "/queue"),
    "dlq": ({"limit": 1001}, "/limit"),
    "dlq_retry": ({"limit": 0}, "/limit"),
    "dlq_discard": ({"limit": 0}, "/limit"),
    "flow": ({"flow_id": {"$repeat": {"text": "f", "times": 1025}}}, "/flow_id"),
    "hello": ({"v": []}, "/v"),
    "auth": ({"token": {"$repeat": {"text": "t", "times": 1025}}}, "/token"),
    "abort": ({"target": -1}, "/target"),
    **{
        command: (_pushes(command)["VALIDATION_ERROR"].fields, at)
        for command, at in (("push", "/name"), ("push_batch", "/jobs/0/name"))
    },
}
