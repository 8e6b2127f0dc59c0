"""
Spellings that exist for RustQueue's clients, and nowhere else.

Each function names what it keeps compatible; what differs on purpose is in docs/compatibility.md.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec

from jobwire_server.errors import JobwireError, invalid, misshapen

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


def take_options(item: Any, at: str) -> frozenset[str]:
    """
    Options stand flat (RustQueue over HTTP) or in `options` (RustQueue over TCP), on both doors: move them all to `item`.

    RustQueue silently drops one of the two; here an option that stands in both places is an error (JW-PUSH-10). The options that were moved.
    """
    options, item.options = item.options, None
    moved = [name for name in options.__struct_fields__ if getattr(options, name) is not None]
    for field in moved:
        if getattr(item, field) is not None:
            raise invalid(f"{at}/{field}", f"'{field}' stands here and in 'options'; send it once")
        setattr(item, field, getattr(options, field))
    return frozenset(moved)


def refuse_follow_ups(metadata: Any, at: str) -> None:
    """RustQueue runs metadata.follow_ups after an ack. This server does not, so it refuses them rather than lose them."""
    text = bytes(metadata)
    if b"follow_ups" not in text and b"\\u" not in text:
        return
    value = msgspec.json.decode(text)
    if isinstance(value, dict) and "follow_ups" in value:
        raise invalid(
            f"{at}/follow_ups",
            "follow_ups are not supported by this server; push the next job yourself, or push it now with depends_on",
        )


def take_ids_as_items(request: Any, ids: Sequence[str]) -> bool:
    """ack_batch takes `items`, or RustQueue's shorter `ids`, given here in canonical spelling; items win. Whether it took the ids."""
    if request.items is not None:
        return False
    if request.ids is None:
        raise misshapen("/items", "Missing 'items' or 'ids' field for ack_batch")
    request.items = [request.item_type(id=job_id, result=None) for job_id in ids]
    return True


def unknown_command(command: str | Any, known: Collection[str]) -> JobwireError:
    """UNKNOWN_COMMAND, with the nearest command there is; of a long one only the start is said back."""
    said = str(command)[:64]
    # A comparison takes some 15 µs, and who sends bad lines may send many; the first letter is hardly ever the wrong one.
    alike = [name for name in sorted(known) if name[0] == said[:1]]
    near = get_close_matches(said, alike, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ""
    return JobwireError("UNKNOWN_COMMAND", f"Unknown command: {said}{hint}", {"cmd": said})


def require_error_text(request: Any) -> None:
    """RustQueue's POST /jobs/{id}/fail wants `error`; over TCP it may be left out."""
    if request.error is None:
        raise misshapen("/error", "Missing 'error' field")


def partial_failure(answer: dict[str, Any]) -> dict[str, Any]:
    """In wire version 1 an ack_batch with a failed item is not ok; RustQueue's clients show the code, ours the results."""
    failed = answer["failed"]
    if failed:
        answer["ok"] = False
        answer["error"] = {
            "code": "PARTIAL_FAILURE",
            "message": f"{failed} of {failed + answer['acked']} acks failed; see results",
            "details": {"failed": failed},
        }
    return answer


def code_of(command: str, code: str, wire: int) -> str:
    """RustQueue's Node and Go clients turn NOT_FOUND, not JOB_NOT_FOUND, of `get` into null."""
    return "NOT_FOUND" if wire == 1 and command == "get" and code == "JOB_NOT_FOUND" else code


def error_members(error: dict[str, Any]) -> dict[str, Any]:
    """In wire version 1 an error has the members that it has in RustQueue, and the time to wait where there is one."""
    return {member: value for member, value in error.items() if member != "retryable"}
