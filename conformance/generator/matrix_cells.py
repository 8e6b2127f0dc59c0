"""
The matrix of lifecycle.yaml as cases: every operation in every state, with and without a lease, and what time does in every state.

A cell says what the table says and nothing more; what an operation does besides moving the job has cases of its own.
"""

from __future__ import annotations

from typing import Any, Final

from conformance.generator.setups import DEAD_LEASE, JOB, LEASED, LEAST
from conformance.generator.spec import document, operations

LIFECYCLE: Final = document("lifecycle")
PARENT: Final = "{{uuid:P}}"
ELSEWHERE: Final = "{{queue:2}}"
STATES: Final = tuple(LIFECYCLE["states"])
# The requirement that an operation's row belongs to, besides JW-JOB-12.
_RULES: Final = {
    "pull": "JW-PULL-1",
    "ack": "JW-ACK-1",
    "fail": "JW-FAIL-1",
    "release": "JW-LEASE-6",
    "heartbeat": "JW-HB-1",
    "progress": "JW-PROG-1",
    "cancel": "JW-CANCEL-1",
    "retry": "JW-RETRY-1",
    "promote": "JW-RETRY-4",
    "delete": "JW-DEL-1",
    "due": "JW-TIME-5",
    "ttl": "JW-TIME-6",
    "lease_expired": "JW-LEASE-8",
    "timeout": "JW-FAIL-8",
}
# Where a job with the default options goes when the table names several states.
_GOES: Final = {
    ("fail", "active"): "delayed",
    ("release", "active"): "waiting",
    ("retry", "cancelled"): "waiting",
    ("lease_expired", "active"): "waiting",
    ("timeout", "active"): "delayed",
}
# What a push needs for a passing of time, and how long until it has passed.
_TIMED: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "due": ({}, "1h"),
    "ttl": ({"ttl_ms": 5000}, "5s"),
    "lease_expired": ({}, "30s"),
    "timeout": ({"timeout_ms": 5000}, "5s"),
}


# How the lease of a job in a state had ended: the options of the push, and the steps after the pull.
_DISCARD: Final = {"do": "fail", "with": {"id": JOB, "error": "boom", "discard": True}}
_ASKED: Final = {"do": "cancel", "with": {"id": JOB}}
_ENDS: Final[dict[tuple[str, str], tuple[dict[str, Any], list[dict[str, Any]]]]] = {
    ("completed", "ack"): ({}, [{"do": "ack", "with": {"id": JOB}}]),
    ("waiting", "fail"): ({"backoff_delay_ms": 0}, [{"do": "fail", "with": LEAST["fail"]}]),
    ("delayed", "fail"): ({}, [{"do": "fail", "with": LEAST["fail"]}]),
    ("dlq", "fail"): ({}, [_DISCARD]),
    ("cancelled", "fail"): ({}, [_ASKED, {"do": "fail", "with": LEAST["fail"]}]),
    ("waiting", "release"): ({}, [{"do": "release", "with": {"id": JOB}}]),
    ("delayed", "release"): ({}, [{"do": "release", "with": {"id": JOB, "delay_ms": 60_000}}]),
    ("cancelled", "release"): ({}, [_ASKED, {"do": "release", "with": {"id": JOB}}]),
    ("waiting", "lease_expired"): ({}, [{"advance": "30s"}]),
    ("dlq", "lease_expired"): ({"max_attempts": 1}, [{"advance": "30s"}]),
    ("cancelled", "lease_expired"): ({}, [_ASKED, {"advance": "30s"}]),
    ("waiting", "timeout"): ({"timeout_ms": 5000, "backoff_delay_ms": 0}, [{"advance": "5s"}]),
    ("delayed", "timeout"): ({"timeout_ms": 5000}, [{"advance": "5s"}]),
    ("dlq", "timeout"): ({"timeout_ms": 5000, "max_attempts": 1}, [{"advance": "5s"}]),
    ("cancelled", "timeout"): ({"timeout_ms": 5000}, [_ASKED, {"advance": "5s"}]),
}


def suites() -> dict[str, list[dict[str, Any]]]:
    """The suites by name, each with its cases."""
    asked = [name for name, row in LIFECYCLE["operations"].items() if name in operations()]
    ended = [_ended(name, state, end) for name in LEASED for state, end in _ENDS]
    return {
        "behaviour/matrix": [case for name in asked for case in _asked(name)],
        "behaviour/matrix-ended-leases": [case for case in ended if "time" not in case],
        "time/matrix": [_timed(name, state) for name in _TIMED for state in STATES],
        "time/matrix-ended-leases": [case for case in ended if "time" in case],
    }


def _ended(name: str, state: str, end: str) -> dict[str, Any]:
    """The lease of the last delivery is shown again after it has ended."""
    options, steps = _ENDS[state, end]
    again = end == LIFECYCLE["operations"][name].get("already_same_lease")
    said = {"expect": {"$.already": True}} if again else {"expect_error": {"code": "LEASE_LOST"}}
    case: dict[str, Any] = {
        "id": f"MATRIX-{name}-{state}-after-{end}",
        "title": f"{name} with the lease that {end} has ended, of a job that is {state}, is "
        + ("answered already" if again else "LEASE_LOST"),
        "covers": sorted({"JW-LEASE-3", "JW-LEASE-11"} if again else {"JW-LEASE-3"}),
        "transports": _transports("release" if end == "release" else name),
    }
    if any("advance" in step for step in steps):
        case["time"] = True
    case["steps"] = [
        _do("push", id=JOB, **options),
        _do("pull") | {"save": {"lease": "$.job.lease"}},
        *steps,
        _seen("before"),
        _do(name, lease="{{lease}}") | said,
        _unchanged(),
    ]
    return case


def _asked(name: str) -> list[dict[str, Any]]:
    if name == "pull":
        return [_pulled(state) for state in STATES]
    cells = [_cell(name, state, lease=False) for state in STATES]
    if name in LEASED:
        cells += [_cell(name, state, lease=True) for state in STATES]
    return cells


def into(state: str, **options: Any) -> list[dict[str, Any]]:
    """The steps that bring a new job to a state."""
    push = _do("push", id=JOB, **options)
    taken = [push, _do("pull")]
    later = {**push, "with": {**push["with"], "delay_ms": 3_600_000}}
    parent = {"do": "push", "with": {"queue": ELSEWHERE, "name": "n", "id": PARENT}}
    waits = {**push, "with": {**push["with"], "depends_on": [PARENT]}}
    return {
        "waiting": [push],
        "delayed": [later],
        "blocked": [parent, waits],
        "active": taken,
        "completed": [*taken, _do("ack")],
        "dlq": [*taken, _do("fail", discard=True)],
        "cancelled": [push, _do("cancel")],
    }[state]


def _cell(name: str, state: str, *, lease: bool) -> dict[str, Any]:
    rule = _rule(name, state)
    refused = rule.get("error") or ("LEASE_LOST" if lease else None)
    code = "LEASE_LOST" if lease else refused
    more = {"lease": DEAD_LEASE} if lease else {}
    steps = [*into(state), _seen("before")]
    if code is not None:
        details = {"$.details.id": JOB, "$.details.state": state}
        steps += [_do(name, **more) | {"expect_error": {"code": code, **details}}, _unchanged()]
    elif rule["effect"] == "already":
        steps += [_do(name) | {"expect": {"$.already": True}}, _unchanged()]
    else:
        steps += [_do(name), *_after(name, state, rule)]
    how = f" with another lease is {code}" if lease else f" {_verb(rule, name, state)}"
    return {
        "id": f"MATRIX-{name}-{state}" + ("-lease" if lease else ""),
        "title": f"{name} of a job that is {state}{how}",
        "covers": sorted({"JW-JOB-12", "JW-LEASE-3" if lease else _RULES[name]}),
        "transports": _transports(name),
        "steps": steps,
    }


def _rule(name: str, state: str) -> dict[str, Any]:
    """The cell of the table. The loader is one of YAML 1.1, which takes the key `on` for true."""
    row = LIFECYCLE["operations"][name]
    found: dict[str, Any] = row[True][state]
    return found


def _verb(rule: dict[str, Any], name: str, state: str) -> str:
    if rule["effect"] == "refuse":
        return f"is {rule['error']}"
    if rule["effect"] == "move":
        return f"makes it {_goal(name, state, rule)}"
    return {"stay": "leaves it there", "already": "is answered already", "skip": "leaves it"}[
        rule["effect"]
    ]


def _goal(name: str, state: str, rule: dict[str, Any]) -> str:
    goal: str = _GOES.get((name, state)) or rule["to"][0]
    assert goal in rule["to"], f"{name} of a job that is {state} goes to {rule['to']}, not {goal}"
    return goal


def _after(name: str, state: str, rule: dict[str, Any]) -> list[dict[str, Any]]:
    goal = state if rule["effect"] != "move" else _goal(name, state, rule)
    if goal == "removed":
        return [_do("get") | {"expect_error": {"code": "JOB_NOT_FOUND"}}]
    return [_do("get") | {"expect": {"$.job.state": goal}}]


def _pulled(state: str) -> dict[str, Any]:
    taken = state == "waiting"
    got = {"$.job.id": JOB, "$.job.state": "active"} if taken else {"$.job": None}
    last = {"$.job.state": "active"} if taken else {"$.job": "{{before}}"}
    return {
        "id": f"MATRIX-pull-{state}",
        "title": f"a pull {'takes' if taken else 'leaves'} a job that is {state}",
        "covers": ["JW-PULL-1"],
        "transports": _transports("pull"),
        "steps": [
            *into(state),
            _seen("before"),
            _do("pull") | {"expect": got},
            _do("get") | {"expect": last},
        ],
    }


def _timed(name: str, state: str) -> dict[str, Any]:
    rule = _rule(name, state)
    options, after = _TIMED[name]
    moves = rule["effect"] == "move"
    last = {"$.job.state": _goal(name, state, rule)} if moves else {"$.job": "{{before}}"}
    return {
        "id": f"MATRIX-{name}-{state}",
        "title": f"{name} of a job that is {state} {_verb(rule, name, state)}",
        "covers": [_RULES[name]],
        "transports": _transports("get"),
        "time": True,
        "steps": [
            *_kept(name, state, into(state, **options)),
            _seen("before"),
            {"advance": after},
            _do("get") | {"expect": last},
        ],
    }


def _kept(name: str, state: str, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A lease that outlasts what the cell is about, so that an active job stays so for its own reasons."""
    if state != "active" or name == "lease_expired":
        return steps
    return [_do("pull", lease_ms=43_200_000) if s["do"] == "pull" else s for s in steps]


def _seen(name: str) -> dict[str, Any]:
    return _do("get") | {"save": {name: "$.job"}}


def _unchanged() -> dict[str, Any]:
    return _do("get") | {"expect": {"$.job": "{{before}}"}}


def _do(command: str, **fields: Any) -> dict[str, Any]:
    return {"do": command, "with": {**LEAST[command], **fields}}


def _transports(name: str) -> list[str]:
    return ["http", "tcp1", "tcp2"] if operations()[name]["wire"] == 1 else ["http", "tcp2"]
