"""The steps of a case for SDKs, one method each; the kind of a step names it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conformance.runner.driver import Refused
from conformance.runner.model import StepLog
from conformance.runner.paths import select
from conformance.runner.sdk_calls import message_args
from conformance.runner.sdk_cases import SdkStep, kind_of
from conformance.runner.sdk_judging import Judge
from conformance.runner.sdk_surroundings import SURROUNDINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.runner.driver import Driver
    from conformance.runner.gremlin_script import Gremlin
    from conformance.runner.proxy import Proxy
    from conformance.runner.sdk_calls import Call, Caller
    from conformance.runner.sdk_cases import SdkItem
    from conformance.runner.sdk_server import SdkServer
    from conformance.runner.sdk_signals import Signals
    from conformance.runner.sdk_wire import WireLog
    from conformance.runner.values import Variables

_LATE: Final = frozenset({"each", "many"})  # their variables are filled in for each of many


class Steps(Judge):
    """Runs the steps of one item, in order. AssertionError is the SDK's fault, SuiteError ours."""

    def __init__(
        self,
        item: SdkItem,
        driver: Driver,
        caller: Caller,
        variables: Variables,
        signals: Signals,
        wire: WireLog,
        token: str,
    ) -> None:
        super().__init__(variables)
        self._item = item
        self.driver = driver
        self.caller = caller
        self.signals = signals
        self.wire = wire
        self._calls: dict[str, Call] = {}
        self._open: list[str] = []  # objects, clients before the workers that use them
        self.jobs: dict[str, str] = {}  # name → token of the handler
        self._url = ""
        self.token = token
        self.token_given = False
        self.gremlin: Gremlin | None = None
        self.proxy: Proxy | None = None
        self.server: SdkServer | None = None
        self.log: list[StepLog] = []

    async def open(self, url: str) -> None:
        """Make the client `main` of the case."""
        self._url = url
        self.variables["url"] = url
        given = {"token": self.token} if self._item.case.token else {}
        await self._make("main", "client", {**given, **self._item.case.client})

    async def run(self, steps: Sequence[SdkStep]) -> None:
        for step in steps:
            await self._one(step)

    async def finish(self) -> None:
        """Close what is open, and hear what the gremlin has to say of the SDK."""
        for name in reversed(self._open):
            await self.driver.ask("close", obj=name)
        self._open.clear()
        if self.gremlin is not None:
            problems = await self.gremlin.finish()
            self.assertions += 1
            assert not problems, "; ".join(problems)

    async def _one(self, step: SdkStep, of: str = "") -> None:
        body = dict(step.body) if step.kind in _LATE else self.variables.resolve(dict(step.body))
        log = StepLog(name=step.label + of, ok=False, line=step.line)
        self.log.append(log)
        try:
            if step.kind in SURROUNDINGS:
                await SURROUNDINGS[step.kind](self, body)
            else:
                await getattr(self, f"_{step.kind}")(body)
        except AssertionError as error:
            log.note = str(error)
            raise AssertionError(
                f"{self._item.case.file}:{step.line}: {log.name}: {error}"
            ) from error
        log.ok = True

    # --- objects ------------------------------------------------------------------------------------------------

    async def _make(self, name: str, kind: str, args: Mapping[str, Any]) -> None:
        given = {"url": self._url, **args} if kind == "client" else {"client": "main", **args}
        self.token_given |= "token" in given
        await self.driver.ask("new", obj=name, kind=kind, args=message_args(given))
        self._open.append(name)
        if kind == "worker":
            self.caller.record("handler", "ok")

    async def _new(self, body: Mapping[str, Any]) -> None:
        await self._made(body, body["new"], "client")

    async def _worker(self, body: Mapping[str, Any]) -> None:
        await self._made(body, body["worker"], "worker")

    async def _made(self, body: Mapping[str, Any], name: str, kind: str) -> None:
        error: Mapping[str, Any] | None = None
        try:
            await self._make(name, kind, body.get("with", {}))
        except Refused as refused:
            error = refused.error
        if "expect_error" in body:
            assert error is not None, f"{name} was made, and an error was expected"
            self.fits(body["expect_error"], error)
        else:
            assert error is None, f"{name} was not made: {error}"

    async def _close(self, body: Mapping[str, Any]) -> None:
        await self.driver.ask("close", obj=body["close"])
        self._open.remove(body["close"])

    # --- calls --------------------------------------------------------------------------------------------------

    async def _call(self, body: Mapping[str, Any]) -> None:
        call = await self.caller.begin(
            body.get("on", "main"), body["call"], body.get("with", {}), body.get("opts")
        )
        if "start" in body:
            self._calls[body["start"]] = call
            return
        self.judge(body, await self.caller.end(call))

    async def _join(self, body: Mapping[str, Any]) -> None:
        self.judge(body, await self.caller.end(self._calls.pop(body["join"])))

    async def _cancel(self, body: Mapping[str, Any]) -> None:
        await self.driver.tell("cancel", id=self._calls[body["cancel"]].number)

    async def _many(self, body: Mapping[str, Any]) -> None:
        """The same call many times at once; `{{index}}` tells them apart."""
        calls = []
        for index in range(body["times"]):
            self.variables["index"] = index
            args = self.variables.resolve(body["with"])
            obj, opts = body.get("on", "main"), body.get("opts")
            calls.append(await self.caller.begin(obj, body["many"], args, opts))
        values = []
        for index, call in enumerate(calls):
            self.variables["index"] = index
            result = await self.caller.end(call)
            assert result.error is None, f"call {index}: {result.shown()}"
            self.paths(self.variables.resolve(body.get("expect_each", {})), result.value)
            values.append(result.value)
        if "distinct" in body:
            self.assertions += 1
            found = [str(select(body["distinct"], value)) for value in values]
            assert len(set(found)) == len(found), f"of {len(found)} only {len(set(found))} differ"

    async def _each(self, body: Mapping[str, Any]) -> None:
        """The same steps for each value of a list."""
        for value in self.variables.resolve(body["in"]):
            self.variables[body["each"]] = value
            for raw in body["steps"]:
                step = SdkStep(kind=kind_of(raw), body=raw, line=self.log[-1].line)
                await self._one(step, f" for {str(value)[:80]}")
