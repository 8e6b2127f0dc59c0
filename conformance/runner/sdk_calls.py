"""Calls of an SDK through its driver: arguments as messages carry them, results held against the wire and recorded."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from conformance.runner import sdk_guard
from conformance.runner.coverage import SURFACE
from conformance.runner.driver import Driver, Refused
from conformance.runner.driver_messages import pack, unpack

if TYPE_CHECKING:
    import asyncio

    from conformance.runner.recorder import Recorder
    from conformance.runner.sdk_wire import WireLog

_JSON: Final = frozenset({"data", "result", "metadata"})
_WRAPPED: Final = {
    "worker": "$worker",
    "run_at": "$time",
    "created_after": "$time",
    "created_before": "$time",
}
_WORKER: Final = frozenset({"start", "stop", "run", "handler"})


def message_args(args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as a message carries them: user's JSON packed, jobs, workers and instants marked as what they are."""
    return {name: _argument(name, value) for name, value in args.items()}


def _argument(name: str, value: Any) -> Any:
    if name in _JSON:
        return pack(value)
    if name in ("items", "jobs"):
        return [message_args(each) for each in value]
    if name == "job" and isinstance(value, Mapping):
        return {"$job": {key: value[key] for key in ("id", "lease") if key in value}}
    if name in _WRAPPED and value is not None:
        return {_WRAPPED[name]: value}
    return value


@dataclass(slots=True)
class Call:
    """A call that was begun. `since` is how much the wire had seen by then."""

    number: int
    method: str
    future: asyncio.Future[Any]
    since: int
    slept: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gave: `value` when `error` is None."""

    value: Any
    error: Mapping[str, Any] | None
    sleeps: tuple[float, ...]

    def shown(self) -> str:
        if self.error is None:
            return f"the value {str(self.value)[:300]}"
        return f"{self.error['class']} {self.error['code']}: {self.error['message']}"


@functools.cache
def _classes(language: str) -> Mapping[str, str]:
    """Error class of a language → the name that cases have for it, Python's."""
    table = yaml.safe_load(SURFACE.read_text(encoding="utf-8"))["errors"]
    return {row[language]: row["python"] for row in table.values() if language in row}


def in_common_words(error: Mapping[str, Any], ready: Mapping[str, Any]) -> dict[str, Any]:
    """*error* with the class that cases name: a language has its own word for some."""
    language = ready.get("sdk", {}).get("lang", "")
    return {**error, "class": _classes(language).get(error["class"], error["class"])}


def _plain(ms: float) -> float:
    """Whole milliseconds as an int, as cases write them."""
    return round(ms) if round(ms, 3) == round(ms) else round(ms, 3)


class Caller:
    """Makes calls of one item through one driver."""

    def __init__(self, driver: Driver, log: WireLog, recorder: Recorder, sdk: str) -> None:
        self._driver = driver
        self._log = log
        self._recorder = recorder
        self._sdk = sdk

    async def begin(
        self, obj: str, method: str, args: Mapping[str, Any], opts: Mapping[str, Any] | None = None
    ) -> Call:
        members = {"opts": dict(opts)} if opts else {}
        since, slept = len(self._log.seen), len(self._driver.sleeps)
        number, future = await self._driver.begin(
            "call", obj=obj, method=method, args=message_args(args), **members
        )
        return Call(number, method, future, since, slept)

    async def end(self, call: Call) -> Result:
        """What the call came to, once the guard has looked at it. Lie, or DriverBroken."""
        try:
            value = unpack(await self._driver.result(call.future, call.method))
            error = None
            sdk_guard.check_success(call.method, value, self._log, call.since)
        except Refused as refused:
            value, error = None, in_common_words(refused.error, self._driver.ready)
            sdk_guard.check_error(call.method, error, self._log, call.since)
        self.record(call.method, "ok" if error is None else error["class"])
        return Result(value, error, tuple(map(_plain, self._driver.sleeps[call.slept :])))

    def record(self, method: str, outcome: str) -> None:
        """For C8 of the coverage. A method of a worker has its name in front."""
        name = f"worker.{method}" if method in _WORKER else method
        self._recorder.sdk(self._sdk, name, outcome)
