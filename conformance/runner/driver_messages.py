"""The messages of schema/driver-1.schema.json, checked in both directions, and the values inside them."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Final

from jsonschema_rs import Draft202012Validator

SCHEMA: Final = Path(__file__).resolve().parents[1] / "schema" / "driver-1.schema.json"
_SAFE: Final = 2**53


class DriverBroken(Exception):  # noqa: N818 - what happened
    """The driver broke the protocol or ended; nothing is known of the SDK."""


@functools.cache
def _validators() -> dict[tuple[str, str, object], Draft202012Validator]:
    """(direction, t, ok) → the schema of one kind of message; `ok` is None where a message has none."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    found: dict[tuple[str, str, object], Draft202012Validator] = {}
    for direction in ("to", "from"):
        for kind in schema["$defs"][direction]["oneOf"]:
            members = kind["properties"]
            key = (direction, members["t"]["const"], members.get("ok", {}).get("const"))
            found[key] = Draft202012Validator({**kind, "$defs": schema["$defs"]})
    return found


def check(direction: str, message: Any) -> dict[str, Any]:
    """*message* when it is one of the protocol; DriverBroken says what is wrong with it."""
    if not isinstance(message, dict):
        raise DriverBroken(f"a message is an object, and not {message!r}")
    validator = _validators().get((direction, str(message.get("t")), message.get("ok")))
    if validator is None:
        raise DriverBroken(f"no such message: t={message.get('t')!r} ok={message.get('ok')!r}")
    for error in validator.iter_errors(message):
        at = "/".join(map(str, error.instance_path))
        raise DriverBroken(f"{message['t']}: /{at}: {error.message}")
    return message


def read(line: bytes) -> dict[str, Any]:
    """The message in a line of the driver."""
    try:
        message = json.loads(line)
    except ValueError as error:
        raise DriverBroken(f"a line that is no JSON: {line[:200]!r}") from error
    return check("from", message)


def write(message: dict[str, Any]) -> bytes:
    """A line for the driver."""
    return json.dumps(check("to", message), ensure_ascii=True).encode() + b"\n"


# --- values -----------------------------------------------------------------------------------------------------------


def pack(value: Any) -> Any:
    """A JSON value as a message carries it: what the numbers of some languages lose is spelled out."""
    if isinstance(value, list):
        return [pack(each) for each in value]
    if isinstance(value, dict):
        members = {key: pack(each) for key, each in value.items()}
        return {"$lit": members} if next(iter(members), "").startswith("$") else members
    if isinstance(value, float):
        return {"$float": repr(value)}
    return {"$int": str(value)} if isinstance(value, int) and abs(value) > _SAFE else value


def unpack(value: Any) -> Any:
    """The inverse of pack."""
    if isinstance(value, list):
        return [unpack(each) for each in value]
    if not isinstance(value, dict):
        return value
    match value:
        case {"$int": str(text)} if len(value) == 1:
            return int(text)
        case {"$float": str(text)} if len(value) == 1:
            return float(text)
        case {"$lit": dict(members)} if len(value) == 1:
            return {key: unpack(each) for key, each in members.items()}
    return {key: unpack(each) for key, each in value.items()}
