"""Steps of a case for SDKs that are no calls: handlers of workers, the server behind the SDK's back, the wire, the proxy."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.driver_messages import pack, unpack
from conformance.runner.model import SuiteError
from conformance.runner.paths import MISSING, select
from conformance.runner.proxy import Toxics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from conformance.runner.sdk_steps import Steps

    Body = Mapping[str, Any]

_UNTIL: Final = 5.0  # seconds in which `until` and `within` look again
_AGAIN: Final = 0.02  # seconds between two looks
_TOLD: Final = frozenset(
    {"progress", "log", "burn", "check"}
)  # told back when done; others end or hold the handler


# --- handlers ---------------------------------------------------------------------------------------------------------


async def _job(steps: Steps, body: Body) -> None:
    """Wait until a handler of the worker is entered."""
    worker = body["of"]
    said = await steps.driver.next(
        lambda message: message["t"] == "job" and message["worker"] == worker, f"a job for {worker}"
    )
    job = unpack(said["job"])
    steps.jobs[body["job"]] = said["token"]
    steps.variables[body["job"]] = job
    steps.paths(body.get("expect", {}), job)


async def _resolve(steps: Steps, body: Body) -> None:
    token, how = steps.jobs[body["resolve"]], body["as"]
    value = pack(body.get("value")) if how == "ok" else body.get("value")
    await steps.driver.tell("job.resolve", token=token, **{"as": how}, value=value)
    if how in _TOLD:
        await _event(steps, token, how)
        if how != "burn":
            steps.caller.record(f"job.{how}", "ok")


async def _event(steps: Steps, token: str, what: str) -> dict[str, Any]:
    def wanted(message: dict[str, Any]) -> bool:
        return (message["t"], message.get("token")) == ("event", token)

    return await steps.driver.next(wanted, f"{what} of {token}")


async def _stopped(steps: Steps, body: Body) -> None:
    """
    Wait until a handler that hangs is told to stop, and why.

    Where the language ends the handler itself (a cancelled task), that is all; else it goes on to `then`: check, which gives up,
    or ok, whose result must be dropped.
    """
    token = steps.jobs[body["stopped"]]
    event = await _event(steps, token, "being told to stop")
    steps.fits(body["reason"], event["reason"], "$.reason")
    if event["event"] == "done":
        then = body.get("then", "check")
        await steps.driver.tell("job.resolve", token=token, **{"as": then}, value=None)
        if then == "check":
            steps.caller.record("job.check", "Stopped")


# --- the server, behind the SDK's back ----------------------------------------------------------------------------------


async def _do(steps: Steps, body: Body) -> None:
    server = steps.server
    assert server is not None

    async def look() -> None:
        answer = await server.do(body["do"], body.get("with", {}))
        if not answer.ok:
            raise SuiteError(f"{body['do']} was refused: {answer.as_result()}")
        steps.paths(body.get("expect", {}), dict(answer.fields))
        for name, path in body.get("save", {}).items():
            steps.variables[name] = select(path, dict(answer.fields))

    await _again(look, wait=bool(body.get("until")))


async def _again(look: Callable[[], Awaitable[None]], *, wait: bool) -> None:
    """Look until it is right, for a while when *wait*."""
    end = asyncio.get_running_loop().time() + (_UNTIL if wait else 0.0)
    while True:
        try:
            return await look()
        except AssertionError:
            if asyncio.get_running_loop().time() >= end:
                raise
        await asyncio.sleep(_AGAIN)


# --- what crossed -------------------------------------------------------------------------------------------------------


async def _wire(steps: Steps, body: Body) -> None:
    """Requests of one operation since the case began: how many, what the last had, what all had, what was the same in all."""

    async def look() -> None:
        seen = [each.fields for each in steps.wire.of(body["wire"])]
        if "count" in body:
            steps.fits(body["count"], len(seen), f"requests of {body['wire']}")
        if "has" in body:
            assert seen, f"there was no {body['wire']}"
            steps.paths(body["has"], seen[-1])
        for fields in seen:
            steps.paths(body.get("all", {}), fields)
        for path in body.get("same", ()):
            values = [select(path, fields) for fields in seen]
            steps.assertions += 1
            assert MISSING not in values, f"{path} is missing in a {body['wire']}"
            assert len(set(map(str, values))) == 1, f"{path} differs: {values}"
        if "connections" in body:
            steps.fits(
                body["connections"], len({one.connection for one in steps.wire.of(body["wire"])})
            )

    await _again(look, wait=bool(body.get("within")))


async def _assert(steps: Steps, body: Body) -> None:
    steps.fits(body["is"], body["assert"])


# --- the way between ----------------------------------------------------------------------------------------------------


async def _proxy(steps: Steps, body: Body) -> None:
    assert steps.proxy is not None
    steps.proxy.spoil(Toxics.of(body["proxy"]), body.get("times", -1))


async def _break(steps: Steps, body: Body) -> None:
    assert steps.proxy is not None
    steps.proxy.break_all(body["break"])


async def _signal(steps: Steps, body: Body) -> None:
    steps.signals.set(body["signal"])


async def _await(steps: Steps, body: Body) -> None:
    await steps.signals.wait(body["await"])


async def _pause(_: Steps, body: Body) -> None:
    await asyncio.sleep(body["pause"] / 1000)


async def _hold(steps: Steps, body: Body) -> None:
    """So many virtual sleeps end at once; the next one lasts until `wake`."""
    steps.driver.hold(body["hold"])


async def _asleep(steps: Steps, _: Body) -> None:
    """Until the SDK is in a sleep that is held."""
    await steps.driver.asleep()


async def _wake(steps: Steps, _: Body) -> None:
    await steps.driver.wake()


SURROUNDINGS: Final[Mapping[str, Callable[[Steps, Body], Awaitable[None]]]] = {
    "job": _job,
    "resolve": _resolve,
    "stopped": _stopped,
    "do": _do,
    "wire": _wire,
    "assert": _assert,
    "proxy": _proxy,
    "break": _break,
    "signal": _signal,
    "await": _await,
    "pause": _pause,
    "hold": _hold,
    "asleep": _asleep,
    "wake": _wake,
}
