"""
What the gremlin says when its script does not say otherwise: the plain answer to each command, as bytes of either door.

As RustQueue 0.3 it leaves out what that server does not have; each quirk stands here with its source in /spec's contract of
compatibility (section numbers of "RustQueue 0.3.0: the wire and behaviour we stay compatible with").
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.specification import specification

if TYPE_CHECKING:
    from conformance.runner.sdk_wire import Seen

_AT: Final = "2026-01-01T00:00:00.000Z"
_COUNTS: Final = dict.fromkeys(
    ("waiting", "active", "delayed", "completed", "failed", "dlq", "blocked", "cancelled"), 0
)
_OK_ITEM: Final = {"ok": True}

Answer = Callable[[Mapping[str, Any]], dict[str, Any]]


def _items(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"id": item["id"], **_OK_ITEM} for item in fields.get("items", ())]


def _ids(fields: Mapping[str, Any]) -> dict[str, Any]:
    ids = [job["id"] for job in fields["jobs"]]
    return {"ids": ids, "outcomes": ["created"] * len(ids)}


def _nothing_to_do(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"job": None} if fields.get("count", 1) == 1 else {"jobs": []}


ANSWERS: Final[Mapping[str, Answer]] = {
    "hello": lambda _: {
        "v": 2,
        "server": {"name": "gremlin", "version": "0"},
        "capabilities": [],
        "limits": {},
        "defaults": {},
        "heartbeat_ms": 10000,
    },
    "push": lambda fields: {"id": fields["id"], "outcome": "created"},
    "push_batch": _ids,
    "pull": _nothing_to_do,
    "ack": lambda _: {},
    "ack_batch": lambda fields: {
        "acked": len(fields["items"]),
        "failed": 0,
        "results": _items(fields),
    },
    "fail": lambda _: {"retry": True, "will_retry": True, "next_attempt_at": _AT},
    "fail_batch": lambda fields: {
        "failed": len(fields["items"]),
        "refused": 0,
        "results": _items(fields),
    },
    "release": lambda _: {"state": "waiting"},
    "heartbeat": lambda _: {"lease_expires_at": _AT},
    "heartbeat_batch": lambda fields: {
        "results": _items(fields),
        "lost": [],
        "cancelled": [],
        "deaf": False,
    },
    "cancel": lambda _: {"state": "cancelled"},
    "retry": lambda _: {"state": "waiting"},
    "promote": lambda _: {"state": "waiting"},
    "get": lambda fields: {"job": job(fields)},
    "find": lambda _: {"jobs": [], "next_cursor": None},
    "queues": lambda _: {"queues": []},
    "stats": lambda _: {"counts": _COUNTS, "paused": None, "oldest_waiting_ms": None},
    "dlq": lambda _: {"jobs": [], "next_cursor": None},
    "workers": lambda _: {"workers": []},
    "abort": lambda _: {"aborted": True},
}

# Status by command where it is not 200.
_CREATED: Final = frozenset({"push", "push_batch"})


def job(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A job with this id and nothing that a client could not do without."""
    return {"id": fields["id"], "queue": "q", "name": "n", "data": {}, "state": "waiting"}


# --- RustQueue 0.3 ------------------------------------------------------------------------------------------------------

RUSTQUEUE: Final[Mapping[str, Answer]] = {
    "push": lambda fields: {"id": fields["id"]},  # 2.3: no outcome
    "push_batch": lambda fields: {"ids": [each["id"] for each in fields["jobs"]]},  # 2.3
    "pull": _nothing_to_do,  # 1.7, 2.3: answers at once, there is no wait
    "ack": lambda _: {},
    "ack_batch": ANSWERS["ack_batch"],
    # 2.3: will_retry, without retry; 0: printed with +00:00 and nanoseconds
    "fail": lambda _: {
        "will_retry": True,
        "next_attempt_at": "2026-01-01T00:00:01.123456789+00:00",
    },
    "cancel": lambda _: {},  # 2.3: without a state
    "heartbeat": lambda _: {},  # 2.3: without lease_expires_at
    "progress": lambda _: {},
    "stats": lambda _: {"counts": _COUNTS},  # 2.3: no paused, no oldest_waiting_ms
    "queue_pause": lambda _: {},
    "queue_resume": lambda _: {},
}


def rustqueue_answer(seen: Seen, token: str | None, *, shown: bool) -> dict[str, Any]:
    """
    The body with which RustQueue 0.3 answers a TCP command. `token` is what it wants, `shown` whether it was shown already.

    2.2: with a token, all but auth is UNAUTHORIZED before it; without one, and after it, auth is an unknown command.
    2.1: a code and a message, never details; 2.3: eighteen commands, and hello is none of them.
    """
    if token is not None and not shown:
        if seen.command == "auth" and seen.fields.get("token") == token:
            return {"ok": True}
        return _rust_error("UNAUTHORIZED", "Invalid authentication token")
    answer = RUSTQUEUE.get(seen.command)
    if answer is None:
        return _rust_error("UNKNOWN_COMMAND", f"Unknown command: {seen.command}")
    return {**answer(seen.fields), "ok": True}


def _rust_error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}, "ok": False}


# --- as bytes -----------------------------------------------------------------------------------------------------------


def line(body: Mapping[str, Any], rid: int | None = None) -> bytes:
    """A line of TCP; `rid` stands in front, as the server writes it."""
    head = {} if rid is None or "rid" in body else {"rid": rid}
    return json.dumps({**head, **body}, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def error_body(code: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a refusal; `extra` are members of the error besides its code."""
    retryable = specification().codes.get(code, {}).get("retryable", False)
    shown = {"code": code, "message": f"the gremlin says {code}", "retryable": retryable}
    return {"ok": False, "error": {**shown, **extra}}


def status_of(command: str, body: Mapping[str, Any]) -> int:
    """The status that goes with an answer over HTTP."""
    if "error" not in body:
        return 201 if command in _CREATED else 200
    error = body["error"] if isinstance(body["error"], dict) else {}
    code = error.get("code", "")
    status = specification().codes.get(code, {}).get("status", 400)
    return int(status[0] if isinstance(status, list) else status)


def response(
    status: int,
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    framing: str = "length",
    media_type: str = "application/json",
) -> bytes:
    """An HTTP response. `framing` is length, chunked, gzip or close (the end of the connection ends the body)."""
    shown = {"Content-Type": media_type, "X-Request-Id": "gremlin", **(headers or {})}
    if framing == "gzip":
        body = gzip.compress(body, mtime=0)
        shown["Content-Encoding"] = "gzip"
    if framing == "chunked":
        shown["Transfer-Encoding"] = "chunked"
        half = len(body) // 2
        parts = [part for part in (body[:half], body[half:]) if part]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    elif framing != "close" and status != 204:
        shown["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in shown.items())
    return f"HTTP/1.1 {status} Gremlin\r\n{head}\r\n".encode() + body


def retry_after(error: Any) -> dict[str, str]:
    """The header that goes with retry_after_ms."""
    wait = error.get("retry_after_ms") if isinstance(error, dict) else None
    return {} if wait is None else {"Retry-After": str(math.ceil(wait / 1000))}
