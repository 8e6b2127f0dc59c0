"""Every command of wire.yaml × error code × wire version, as cases: cell C3 but for the successes and what needs a drain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conformance.generator import setups
from conformance.generator.http_cells import COVERS
from conformance.generator.http_requests import TOKEN
from conformance.generator.spec import has_details, operations, retryable

if TYPE_CHECKING:
    from collections.abc import Iterator

Case: TypeAlias = dict[str, Any]
Steps: TypeAlias = list[dict[str, Any]]

RID: Final = 7
HELLO: Final[dict[str, Any]] = {"cmd": "hello", "v": [1, 2]}
HELLO_TEXT: Final = '{"cmd":"hello","v":[1,2]}\n'
GREETED: Final[dict[str, Any]] = {"$.ok": True, "$.v": 2}
# What the session answers by itself, before any operation runs: a fault of an operation cannot meet it.
OF_THE_SESSION: Final = frozenset({"hello", "auth", "ping", "abort", "bye"})
COMMON_FAULTS: Final = ("INTERNAL_ERROR", "OVERLOADED", "SHUTTING_DOWN", "STORAGE_UNAVAILABLE")
WRITTEN_BY_HAND: Final = frozenset(
    {"UNSUPPORTED_VERSION", "RATE_LIMITED"}
)  # cases/tcp/{hello,auth}.yaml
GUARDED: Final = {"auth.tokens": [TOKEN]}


def suites() -> dict[str, list[Case]]:
    """The cases by the version that the connection speaks."""
    return {
        f"tcp/cells-v{wire}": [case for name in commands() for case in _cases(name, wire)]
        for wire in (1, 2)
    }


def commands() -> list[str]:
    """Every command of the TCP wire."""
    return [name for name, row in operations().items() if "wire" in row]


def _cases(command: str, wire: int) -> Iterator[Case]:
    row = operations()[command]
    if wire < row["wire"]:
        yield _case(command, wire, "UNKNOWN_COMMAND", _unknown(command), covers=["JW-TCP-16"])
        return
    for code in _codes(command, row, wire):
        setup, steps = _met(command, code, wire)
        yield _case(
            command,
            wire,
            code,
            [*_before(setup), *steps],
            covers=_covers(command, code),
            settings=_settings(code, setup),
        )


def _codes(command: str, row: dict[str, Any], wire: int) -> list[str]:
    """Its own codes, those of a connection without its token, and those of a fault; without what the version cannot meet."""
    own = [code for code in row["errors"] if code not in WRITTEN_BY_HAND]
    other = {1: "JOB_NOT_FOUND", 2: "NOT_FOUND"}[wire] if command == "get" else None
    guarded = ["UNAUTHORIZED"] if row.get("auth", True) and "UNAUTHORIZED" not in own else []
    faults = [code for code in COMMON_FAULTS if command not in OF_THE_SESSION and code not in own]
    past = (
        {"UNAUTHORIZED"} if command == "hello" and wire == 2 else set()
    )  # a second hello is refused as such
    return [code for code in (*own, *guarded, *faults) if code != other and code not in past]


def _case(
    command: str,
    wire: int,
    code: str,
    steps: Steps,
    *,
    covers: list[str],
    settings: dict[str, Any] | None = None,
) -> Case:
    case: Case = {
        "id": f"TCP-{command}-v{wire}-{code}",
        "title": f"{command} can be refused with {code} in version {wire}",
        "covers": sorted({"JW-ERR-1", *(["JW-ERR-2"] if wire == 2 else []), *covers}),
        "transports": ["raw-tcp"],
    }
    if settings:
        case["server"] = {"settings": settings}
    return {**case, "steps": steps}


def _covers(command: str, code: str) -> list[str]:
    own = {
        "VALIDATION_ERROR": ["JW-ERR-5", "JW-ERR-6"],
        "UNAUTHORIZED": ["JW-AUTH-2", "JW-TCP-35"],
        "NOT_FOUND": ["JW-TCP-18"],
        "PARSE_ERROR": ["JW-ERR-4", "JW-TCP-7"],
    }
    if code == "DUPLICATE_KEY":
        return ["JW-RETRY-5" if command == "retry" else "JW-UNIQ-2"]
    return own.get(
        code,
        []
        if code == "RATE_LIMITED"
        else [name for name in COVERS.get(code, ()) if not name.startswith("JW-HTTP")],
    )


def _settings(code: str, setup: setups.Setup | None) -> dict[str, Any]:
    return GUARDED if code == "UNAUTHORIZED" else setup.settings if setup else {}


def _before(setup: setups.Setup | None) -> Steps:
    """The steps of a setup as lines of a connection of their own, which speaks version 2."""
    if setup is None or not setup.steps:
        return []
    lines = [HELLO, *({"cmd": step["do"], **step["with"]} for step in setup.steps)]
    expected = [GREETED, *({"$.ok": True} for _ in setup.steps)]
    return [{"tcp": {"connect": "setup", "send": lines}, "expect": expected}]


def _met(command: str, code: str, wire: int) -> tuple[setups.Setup | None, Steps]:
    """The setup that brings the code about, if it needs one, and the steps that meet the code."""
    if code == "PARSE_ERROR":
        twice = f'{{"cmd":"{command}","rid":{RID},"rid":8}}\n'
        return None, [_step(wire, {"send_text": twice}, [_refused(code, wire, rid=None)])]
    if code == "VALIDATION_ERROR":
        return None, [_validation(command, wire)]
    if code in setups.FAULTS:
        fault = {"fault": {"op": command, "times": 1, "action": "error", "code": code}}
        return None, [fault, _asked(command, wire, {}, _refused(code, wire))]
    if code == "UNAUTHORIZED" and command in ("hello", "auth"):
        return None, [_asked(command, wire, {"token": TOKEN.upper()}, _refused(code, wire))]
    setup = setups.of(command, code)
    fields, details = (setup.fields, setup.details) if setup else ({}, {})
    return setup, [_asked(command, wire, fields, _refused(code, wire, details))]


def _validation(command: str, wire: int) -> dict[str, Any]:
    """A field that is not known, and a value that breaks its rule."""
    wrong: list[tuple[dict[str, Any], str]] = [({"nonsense": 1}, "/nonsense")]
    if command in setups.BROKEN:
        wrong.append(setups.BROKEN[command])
    second_hello = command == "hello" and wire == 2
    lines = [_line(command, fields) for fields, _ in wrong]
    expected = [_refused("VALIDATION_ERROR", wire, {"pointer": pointer}) for _, pointer in wrong]
    if second_hello:
        lines, expected = (
            [*lines, _line("hello", {})],
            [*expected, _refused("VALIDATION_ERROR", wire, {"pointer": "/cmd"})],
        )
    return _step(wire, {"send": lines}, expected)


def _unknown(command: str) -> Steps:
    return [_asked(command, 1, {}, _refused("UNKNOWN_COMMAND", 1, {"cmd": command}))]


def _asked(
    command: str, wire: int, fields: dict[str, Any], expected: dict[str, Any]
) -> dict[str, Any]:
    return _step(wire, {"send": [_line(command, fields)]}, [expected])


def _line(command: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {"cmd": command, **setups.LEAST[command], **fields, "rid": RID}


def _step(wire: int, sent: dict[str, Any], expected: Steps) -> dict[str, Any]:
    """The lines on a connection of that version; its hello goes along with them, without a token."""
    if wire == 2:
        sent = (
            {"send_text": HELLO_TEXT + sent["send_text"]}
            if "send_text" in sent
            else {"send": [HELLO, *sent["send"]]}
        )
        expected = [GREETED, *expected]
    return {"tcp": {"connect": "c", **sent}, "expect": expected}


def _refused(
    code: str, wire: int, details: dict[str, Any] | None = None, *, rid: int | None = RID
) -> dict[str, Any]:
    """The line of an error; version 1 need not say whether it may be tried again."""
    body: dict[str, Any] = {
        "$.ok": False,
        "$.error.code": code,
        "$.error.message": {"type": "string"},
    }
    if wire == 2:
        body["$.error.retryable"] = retryable(code)
    if rid is not None:
        body["$.rid"] = rid
    if details:
        return body | {f"$.error.details.{name}": value for name, value in details.items()}
    return body if has_details(code) else body | {"$.error.details": None}
