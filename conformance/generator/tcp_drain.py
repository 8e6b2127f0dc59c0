"""Every command to a session of a server that has begun to stop: the last column of the table of wire.yaml's `sessions`."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from conformance.generator import setups
from conformance.generator.spec import document, operations, retryable
from conformance.generator.tcp_cells import GREETED, HELLO, commands

Case: TypeAlias = dict[str, Any]

HELD_MS: Final = (
    700  # how long the request in flight is held, which keeps the session open meanwhile
)
HELD_RID: Final = 1
FIRST_RID: Final = 100
SPECIAL: Final = frozenset({"hello", "auth", "ping", "abort", "bye"})


def suites() -> dict[str, list[Case]]:
    """One case for each version."""
    return {"tcp/cells-drain": [_case(wire) for wire in (1, 2)]}


def _case(wire: int) -> Case:
    held = {"cmd": "stats", "queue": "{{queue}}", "rid": HELD_RID}
    sent = [
        command
        for command in commands()
        if operations()[command]["wire"] <= wire and command != "bye"
    ]
    answers = [_answer(command, wire, FIRST_RID + number) for number, command in enumerate(sent)]
    lines = [
        {"cmd": command, **setups.LEAST[command], "rid": FIRST_RID + number}
        for number, command in enumerate(sent)
    ]
    held_answer = {"$.ok": True, "$.counts.waiting": 0, "$.rid": HELD_RID}
    # In version 1 the refusals wait for their turn behind what is held; in version 2 they do not.
    expected = [held_answer, *answers] if wire == 1 else [*answers, held_answer]
    hello = [HELLO] if wire == 2 else []
    talking = [
        {"tcp": {"connect": "watcher", "send": [HELLO]}, "expect": [GREETED]},
        {
            "tcp": {"connect": "c", "send": [*hello, {"cmd": "ping"}, held]},
            "expect": [*[GREETED for _ in hello], {"$.ok": True}],
        },
        # Whoever stops the server waits for this job.
        {
            "tcp": {
                "connect": "watcher",
                "send": [{"cmd": "push", "queue": "{{queue:2}}", "name": "n"}],
            },
            "expect": [{"$.ok": True}],
        },
        {"tcp": {"connect": "watcher"}, "expect": [{"$.notice": "goaway"}]},
        *(
            [{"tcp": {"connect": "c"}, "expect": [{"$.notice": "goaway", "$.last_rid": HELD_RID}]}]
            if wire == 2
            else []
        ),
        {
            "tcp": {"connect": "c", "send": lines},
            "expect": expected,
            "expect_close": {"within": "5s", "how": "any"},
        },
    ]
    stopping = [
        {
            "tcp": {
                "connect": "s",
                "send": [{"cmd": "pull", "queue": "{{queue:2}}", "wait_ms": 20000}],
            },
            "expect": [{"$.job.name": "n"}],
            "within": "20s",
        },
        {"restart": "term"},
    ]
    return {
        "id": f"TCP-DRAIN-v{wire}",
        "title": f"A session of version {wire} answers every command as the table says once the server stops",
        "covers": ["JW-HEALTH-5", "JW-PULL-16", "JW-TCP-33", "JW-TCP-34", "JW-TCP-35"],
        "transports": ["raw-tcp"],
        "steps": [
            {"fault": {"op": "stats", "times": 1, "action": "delay", "ms": HELD_MS}},
            {"parallel": {"branches": [talking, stopping]}},
        ],
    }


def _answer(command: str, wire: int, rid: int) -> dict[str, Any]:
    kind = (
        command
        if command in SPECIAL
        else "guarded"
        if operations()[command].get("auth", True)
        else "open"
    )
    verdict = document("wire")["sessions"][kind]["draining"]
    if verdict == "run":
        return {"$.ok": True, "$.rid": rid}
    said: dict[str, Any] = {"$.ok": False, "$.error.code": verdict, "$.rid": rid}
    return said | ({"$.error.retryable": retryable(verdict)} if wire == 2 else {})
