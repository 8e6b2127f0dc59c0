"""Every kind of step, and how it is run. A handler takes the scope and the step, and returns the answer or None."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from conformance.runner.asking import do, join, wait_until
from conformance.runner.checking import as_list, step_of
from conformance.runner.matching import mismatches, same, shown
from conformance.runner.model import Step
from conformance.runner.paths import MISSING, select
from conformance.runner.raw_steps import close, http, tcp
from conformance.runner.scope import NotApplicable, Scope, StepFailed
from conformance.runner.values import duration_ms

# So that connections which the server closed meanwhile are known to be closed: the ends have arrived, and are to be read.
HEARD_S: Final = 0.002

Handler = Callable[[Scope, Step], Awaitable[Any]]


async def run_step(scope: Scope, step: Step) -> Any:
    """Run one step. Raises StepFailed, SuiteError, NotApplicable, and what the doors raise."""
    return await HANDLERS[step.kind](scope, step)


# --- time and faults --------------------------------------------------------------------------------------------


async def _advance(scope: Scope, step: Step) -> None:
    await scope.control.advance(duration_ms(step.body["advance"]))
    await asyncio.sleep(HEARD_S)


async def _freeze(scope: Scope, step: Step) -> None:
    wanted = step.body["freeze"]
    await scope.control.freeze(None if wanted is True else wanted["at"])


async def _fault(scope: Scope, step: Step) -> None:
    await scope.control.fault(**scope.resolve(step.body["fault"]))


async def _restart(scope: Scope, step: Step) -> None:
    """End the server and start it again. What it sent before its end is still there to be taken from its connections."""
    if scope.restart is None:
        raise NotApplicable("the target cannot be restarted by this suite")
    how = step.body["restart"]
    scope.doors.log.add("server", "→", f"restart by {how}")
    await scope.restart(how)


# --- parallel ---------------------------------------------------------------------------------------------------


async def _parallel(scope: Scope, step: Step) -> None:
    """Run branches at the same time, then judge the set of what their last steps came to."""
    body = step.body["parallel"]
    if "repeat" in body:
        branches = [body["repeat"]["steps"]] * body["repeat"]["times"]
    else:
        branches = body["branches"]
    tasks = [
        asyncio.create_task(_branch(scope.branch(index), steps, step.line))
        for index, steps in enumerate(branches)
    ]
    done = await asyncio.gather(*tasks, return_exceptions=True)
    _raise_first(done)
    for over in as_list(body.get("expect_over", [])):
        _judge_set(scope, over, done)
    for name, path in body.get("collect", {}).items():
        found = [select(path, result) for result in done]
        scope.variables[name] = [each for each in found if each is not MISSING]


async def _branch(scope: Scope, steps: Sequence[Mapping[str, Any]], line: int) -> Any:
    result: Any = None
    for raw in steps:
        step = step_of(raw, line)
        try:
            result = await run_step(scope, step)
        except StepFailed as error:
            raise StepFailed(f"branch {scope.prefix}{step.label}: {error}") from error
    return {} if result is None else result


def _raise_first(done: Sequence[Any]) -> None:
    """A branch that failed; of several the first that is more than a failed expectation."""
    errors = [each for each in done if isinstance(each, BaseException)]
    if errors:
        raise next((each for each in errors if not isinstance(each, StepFailed)), errors[0])


def _judge_set(scope: Scope, over: Mapping[str, Any], results: Sequence[Any]) -> None:
    path = over["path"]
    found = [select(path, result) for result in results]
    told = (
        f"{path} of the branches is {shown([None if each is MISSING else each for each in found])}"
    )
    for rule in over:
        if rule != "path":
            _SET_RULES[rule](scope, scope.resolve(over[rule]), found, told)


def _exactly_one(scope: Scope, _: Any, found: list[Any], told: str) -> None:
    there = [each for each in found if each is not MISSING and each is not None]
    scope.fail_unless(len(there) == 1, f"{len(there)} are not null instead of one: {told}")


def _all_distinct(scope: Scope, _: Any, found: list[Any], told: str) -> None:
    texts = Counter("nothing" if each is MISSING else shown(each) for each in found)
    scope.fail_unless(
        MISSING not in found and texts.most_common(1)[0][1] == 1, f"not all distinct: {told}"
    )


def _multiset_equal(scope: Scope, wanted: list[Any], found: list[Any], told: str) -> None:
    left = list(found)
    for each in wanted:
        match = next((i for i, one in enumerate(left) if same(each, one)), None)
        if match is None:
            break
        del left[match]
    scope.fail_unless(
        len(wanted) == len(found) and not left, f"not these in any order {shown(wanted)}: {told}"
    )


def _count_of(scope: Scope, wanted: Mapping[str, Any], found: list[Any], told: str) -> None:
    count = sum(not mismatches(wanted["matcher"], each, scope.context) for each in found)
    wrong = scope.check(wanted["n"], count, "count")
    if wrong:
        raise StepFailed(
            f"{count} fit {shown(wanted['matcher'])}, not {shown(wanted['n'])}: {told}"
        )


_SET_RULES: Final[Mapping[str, Callable[[Scope, Any, list[Any], str], None]]] = {
    "exactly_one_not_null": _exactly_one,
    "all_distinct": _all_distinct,
    "multiset_equal": _multiset_equal,
    "count_of": _count_of,
}

# --- the rest ---------------------------------------------------------------------------------------------------


async def _assert(scope: Scope, step: Step) -> None:
    body = step.body["assert"]
    left = scope.resolve(body["left"])
    scope.require(scope.check(body["is"], left, shown(body["left"])))


HANDLERS: Final[dict[str, Handler]] = {
    "do": do,
    "join": join,
    "wait_until": wait_until,
    "http": http,
    "tcp": tcp,
    "close": close,
    "parallel": _parallel,
    "advance": _advance,
    "freeze": _freeze,
    "fault": _fault,
    "restart": _restart,
    "assert": _assert,
}
