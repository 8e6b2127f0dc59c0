"""One case for one SDK over one transport: its peer, its driver, its steps, and what must be true of every case when it is over."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.driver_messages import DriverBroken
from conformance.runner.gremlin_script import Gremlin
from conformance.runner.matching import NoMatcher
from conformance.runner.model import StepLog, SuiteError
from conformance.runner.proxy import Proxy
from conformance.runner.sdk_calls import Caller
from conformance.runner.sdk_server import NoServer
from conformance.runner.sdk_signals import Signals
from conformance.runner.sdk_steps import Steps
from conformance.runner.sdk_wire import WireLog
from conformance.runner.values import Unresolved, Variables

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conformance.runner.driver import Driver
    from conformance.runner.recorder import Recorder
    from conformance.runner.sdk_cases import SdkItem
    from conformance.runner.sdk_pool import Drivers

GONE: Final = "ResourceWarning"  # what a Python driver says of a socket that nobody closed


@dataclass(slots=True, kw_only=True)
class SdkOutcome:
    """What one item came to. `verdict` is pass, fail, error (the suite or the driver) or not_applicable."""

    item: SdkItem
    verdict: str
    steps: list[StepLog] = field(default_factory=list)
    assertions: int = 0
    failure: str | None = None
    seconds: float = 0.0
    stderr: str = ""


async def run_item(
    item: SdkItem, drivers: Drivers, recorder: Recorder, seed: int = 7
) -> SdkOutcome:
    """Run it. Whatever goes wrong is in the outcome; nothing is raised but what ends the whole run."""
    began = time.monotonic()
    outcome = SdkOutcome(item=item, verdict="pass")
    recorder.note(item.name)
    try:
        await _run(item, drivers, recorder, seed, outcome)
    except (DriverBroken, SuiteError, NoServer, NoMatcher, Unresolved) as error:
        outcome.verdict, outcome.failure = "error", f"{type(error).__name__}: {error}"
    except AssertionError as error:
        outcome.verdict, outcome.failure = "fail", str(error)
    outcome.seconds = time.monotonic() - began
    _record(outcome, recorder)
    return outcome


def _record(outcome: SdkOutcome, recorder: Recorder) -> None:
    """The members that report.py reads."""
    item = outcome.item
    recorder.item(
        item.name,
        id=item.case.id,
        suite=item.case.suite,
        title=item.case.title,
        covers=list(item.case.covers),
        level=item.case.level,
        transport=item.transport,
        requires=[],
        column=item.sdk,
        verdict=outcome.verdict,
        assertions=outcome.assertions,
        seconds=round(outcome.seconds, 3),
        failure=outcome.failure,
        steps=[{"name": step.name, "ok": step.ok, "note": step.note} for step in outcome.steps],
    )


async def _run(
    item: SdkItem, drivers: Drivers, recorder: Recorder, seed: int, outcome: SdkOutcome
) -> None:
    driver = await drivers.get(item.sdk, virtual=item.case.virtual)
    if set(item.case.needs) - set(driver.ready["caps"]):
        outcome.verdict = "not_applicable"
        return
    steps: Steps | None = None
    clean = False
    try:
        async with _peer(item, drivers, recorder, seed, driver) as steps:
            await steps.run(item.case.steps)
            await steps.finish()
            _check_secrets(steps, driver)
            _check_leaks(item, await driver.leaks())
            problems = recorder.problems_of(item.name)
            assert not problems, f"undocumented on the wire: {'; '.join(problems)}"
            clean = True
    except BaseException:
        outcome.stderr = driver.stderr() if driver.broken is None else ""
        raise
    finally:
        if steps is not None:
            outcome.steps, outcome.assertions = steps.log, steps.assertions
        if not clean:
            await drivers.discard(driver)
    if not outcome.assertions:
        raise SuiteError(f"{item.case.where}: {item.name} asserted nothing")


@contextlib.asynccontextmanager
async def _peer(
    item: SdkItem, drivers: Drivers, recorder: Recorder, seed: int, driver: Driver
) -> AsyncIterator[Steps]:
    """The peer of the case, and its steps ready to run against it."""
    case, log, signals = item.case, WireLog(), Signals()
    variables = Variables(item.name, seed, "http" if item.transport == "http" else "tcp2")
    token = f"secret-{item.name.lower()}" if case.gremlin is not None else drivers.token
    token = "".join(char for char in token if char.isalnum() or char == "-")
    variables["token"], variables["scheme"] = token, item.transport
    for name, value in case.vars.items():
        variables[name] = variables.resolve(value)
    caller = Caller(driver, log, recorder, item.sdk)
    driver.forget()
    if case.gremlin is not None:
        async with Gremlin(item.transport, case.gremlin, variables, log, signals, seed) as gremlin:
            steps = Steps(item, driver, caller, variables, signals, log, token)
            steps.gremlin = gremlin
            await steps.open(gremlin.url)
            yield steps
        return
    server = await drivers.server(with_token=case.token)
    address = server.doors.addresses[item.transport]
    by = f"sdk:{item.sdk}"
    async with Proxy(item.transport, address, log, recorder, by) as proxy:
        steps = Steps(item, driver, caller, variables, signals, log, token)
        steps.proxy, steps.server = proxy, server
        await steps.open(proxy.url)
        yield steps


def _check_secrets(steps: Steps, driver: Driver) -> None:
    """JW-SDK-11, in every case: the token is in nothing that the driver wrote, which has all errors, their causes, logs and reprs."""
    if steps.token_given:
        steps.assertions += 1
        shown = driver.shown()
        at = shown.find(steps.token)
        assert at < 0, f"the token was shown: …{shown[max(at - 200, 0) : at]}<token>"
    assert GONE not in driver.stderr(), f"something was never closed: {driver.stderr()[-500:]}"


def _check_leaks(item: SdkItem, leaks: dict[str, Any]) -> None:
    if leaks and not item.case.may_leak:
        raise AssertionError(f"still open when all was closed: {leaks}")
