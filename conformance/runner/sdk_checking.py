"""Smoke: is the driver any good? Ten plain exchanges with the gremlin, before anything is said of the SDK behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conformance.runner.driver import PATIENCE, Driver, Refused
from conformance.runner.driver_messages import DriverBroken
from conformance.runner.gremlin_script import Gremlin
from conformance.runner.sdk_guard import Lie, check_success
from conformance.runner.sdk_signals import Signals
from conformance.runner.sdk_wire import WireLog
from conformance.runner.values import Variables

if TYPE_CHECKING:
    from collections.abc import Sequence

_ID: Final = "0190b6e4-0000-7000-8000-000000000000"
METHODS: Final = ("push", "pull", "ack", "fail", "get_job", "ping", "list_queues")

# method, arguments, and a member of the value that must be there
_CALLS: Final[Sequence[tuple[str, dict[str, Any], str]]] = (
    ("push", {"queue": "q", "name": "n", "data": {"a": 1}, "id": _ID}, "id"),
    ("ack", {"job": {"$job": {"id": _ID, "lease": "1-a"}}}, ""),
    ("fail", {"job": _ID, "error": "x"}, "retry"),
    ("get_job", {"job": _ID}, "state"),
    ("list_queues", {}, ""),
    ("pull", {"queues": ["q"], "count": 2}, ""),
)


async def smoke(command: Sequence[str]) -> list[str]:
    """What is wrong with the driver, one line each; empty when it is good."""
    try:
        driver = await Driver.start(command, virtual=True, seed=7)
    except DriverBroken as error:
        return [f"it does not get ready: {error}"]
    problems = []
    try:
        problems += [
            f"it has no method {name}" for name in METHODS if name not in driver.ready["methods"]
        ]
        for transport in ("http", "tcp"):
            problems += await _exchanges(driver, transport)
        leaks = await driver.leaks()
        problems += [f"it leaves {leaks} open"] if leaks else []
    except (DriverBroken, Refused, Lie) as error:
        problems.append(f"{type(error).__name__}: {error}")
    code = await driver.stop()
    if code != 0 and not problems:
        problems.append(f"it ended with {code} at the end of its input")
    return problems


async def _exchanges(driver: Driver, transport: str) -> list[str]:
    log = WireLog()
    script: list[dict[str, Any]] = [{"serve": {}}]
    problems = []
    async with Gremlin(
        transport, script, Variables("smoke", 7, transport), log, Signals()
    ) as gremlin:
        await driver.ask(
            "new", obj="s", kind="client", args={"url": gremlin.url, "timeout_ms": PATIENCE * 500}
        )
        for method, args, member in _CALLS:
            since = len(log.seen)
            value = await driver.ask("call", obj="s", method=method, args=args)
            check_success(method, value, log, since)
            if member and not (isinstance(value, dict) and member in value):
                problems.append(
                    f"{transport}: {method} gave {str(value)[:200]}, without {member!r}"
                )
        await driver.ask("close", obj="s")
    return problems
