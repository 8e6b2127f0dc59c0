"""One item from its first step to its verdict."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from conformance.runner.doors import Doors
from conformance.runner.model import Item, Outcome, Step, StepLog, SuiteError
from conformance.runner.operations import WrongAnswer
from conformance.runner.raw_http import BrokenResponse
from conformance.runner.scope import NotApplicable, Scope, StepFailed
from conformance.runner.steps import run_step
from conformance.runner.target import ControlError
from conformance.runner.validating import Undocumented
from conformance.runner.values import Unresolved, Variables, references
from conformance.runner.wire_log import WireLog

if TYPE_CHECKING:
    from conformance.runner.recorder import Recorder
    from conformance.runner.target import Target

ITEM_LIMIT_S: Final = 60.0

Restart = Callable[[str], Awaitable[None]]
OpenDoors = Callable[["Target", "Recorder", WireLog], Doors]

# What says something about the server, and not about the suite.
_FAILURES: Final = (
    StepFailed,
    WrongAnswer,
    BrokenResponse,
    Undocumented,
    TimeoutError,
    ConnectionError,
)


async def run_item(
    item: Item,
    target: Target,
    recorder: Recorder,
    *,
    seed: int = 0,
    restart: Restart | None = None,
    doors: OpenDoors = Doors,
    limit_s: float = ITEM_LIMIT_S,
) -> Outcome:
    """
    Run every step of an item until one fails. Never raises for what a server or a case does; `error` is the suite's own fault.

    restart: how to end and start the server again; a case with `restart:` does not apply to a target without it.
    doors: what reaches the target in the place of the runner's own doors (null servers, the witness).
    """
    recorder.note(item.name)
    return await _Runner(item, target, recorder, seed, restart, doors).run(limit_s)


class _Runner:
    def __init__(
        self,
        item: Item,
        target: Target,
        recorder: Recorder,
        seed: int,
        restart: Restart | None,
        doors: OpenDoors,
    ) -> None:
        self._item = item
        self._target = target
        self._recorder = recorder
        self._log = WireLog()
        self._doors = doors(target, recorder, self._log)
        self._steps: list[StepLog] = []
        self._began = time.monotonic()
        self._scope = Scope(
            item=item,
            doors=self._doors,
            variables=Variables(item.name, seed, item.transport, self._now),
            restart=restart,
        )

    def _now(self) -> int | None:
        return self._target.control.now if self._target.control is not None else None

    async def run(self, limit_s: float) -> Outcome:
        verdict, failure = await self._verdict(limit_s)
        outcome = Outcome(
            item=self._item,
            verdict=verdict,
            steps=self._steps,
            assertions=self._scope.tally.assertions,
            failure=failure,
            seconds=time.monotonic() - self._began,
            wire=self._log.shown(),
        )
        record(self._recorder, outcome)
        return outcome

    async def _verdict(self, limit_s: float) -> tuple[str, str | None]:
        try:
            async with asyncio.timeout(limit_s):
                await self._prepare()
                await self._run_steps()
                self._check_end()
        except _FAILURES as error:
            return "fail", self._failed(self._with_problems(str(error) or repr(error)))
        except NotApplicable as error:
            return "not_applicable", self._failed(str(error))
        except (SuiteError, ControlError, Unresolved) as error:
            return "error", self._failed(f"{self._item.case.where}: {error}")
        except Exception:  # noqa: BLE001 - a bug of the runner is an error of the suite, never a verdict on a server
            return "error", self._failed(traceback.format_exc())
        finally:
            await self._clean_up()
        return "pass", None

    def _with_problems(self, why: str) -> str:
        """What is undocumented is told too: it is often the reason."""
        problems = self._recorder.problems_of(self._item.name)
        return "\n".join([why, *(each for each in problems if each not in why)])

    def _failed(self, why: str) -> str:
        if self._steps and not self._steps[-1].ok:
            self._steps[-1].note = why
        return why

    async def _prepare(self) -> None:
        missing = set(self._item.case.requires) - self._target.capabilities
        if missing:
            raise NotApplicable(f"the target lacks {', '.join(sorted(missing))}")
        if self._item.case.time:
            await self._scope.control.reset()
            await self._scope.control.freeze()
        for name, value in self._item.case.vars.items():
            self._scope.variables[name] = self._scope.resolve(value)

    async def _run_steps(self) -> None:
        for number, step in enumerate(self._item.case.steps, 1):
            await self._logged(step, f"{number}")
            for invariant in self._item.case.always:
                if self._can_run(invariant):
                    await self._logged(invariant, f"{number}, always")

    async def _logged(self, step: Step, number: str) -> None:
        self._recorder.note(self._item.name, number)
        log = StepLog(name=f"{number}. {step.label}", ok=False, line=step.line)
        self._steps.append(log)
        self._log.add("step", "·", log.name)
        await run_step(self._scope, step)
        log.ok = True

    def _can_run(self, invariant: Step) -> bool:
        """Whether every variable of an invariant is set by now."""
        named = {name for name, _ in references(dict(invariant.body))}
        unset = named - self._scope.variables.names() - {"queue", "uuid", "now"}
        return not unset

    def _check_end(self) -> None:
        """What has to hold of every item, whatever it is about."""
        problems = self._recorder.problems_of(self._item.name)
        if problems:
            raise StepFailed("\n".join(problems))
        left = self._doors.leftovers()
        if left:
            raise StepFailed("lines that answer nothing: " + "; ".join(left))
        if not self._scope.tally.assertions:
            raise SuiteError(f"{self._item.name} evaluated no assertion")

    async def _clean_up(self) -> None:
        """Close everything, and leave no fault and no frozen clock to whoever comes next."""
        for name in list(self._scope.started):
            await self._scope.give_up(name)
        await self._doors.close()
        control = self._target.control
        if control is not None and _steers(self._item):
            await control.clear_faults()


def _steers(item: Item) -> bool:
    return any(step.kind == "fault" for step in item.case.steps)


def record(recorder: Recorder, outcome: Outcome) -> None:
    """What report.py reads of an item."""
    case = outcome.item.case
    recorder.item(
        outcome.item.name,
        id=case.id,
        suite=case.suite,
        title=case.title,
        covers=case.covers,
        level=case.level,
        transport=outcome.item.transport,
        requires=case.requires,
        verdict=outcome.verdict,
        assertions=outcome.assertions,
        seconds=round(outcome.seconds, 4),
        failure=outcome.failure,
        steps=[{"name": each.name, "ok": each.ok, "note": each.note} for each in outcome.steps],
    )
