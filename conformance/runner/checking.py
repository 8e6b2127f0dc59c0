"""What can be wrong with a case that fits the schema: found before anything runs, with the place where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.kinds import TYPES
from conformance.runner.matching import MATCHERS, is_matcher
from conformance.runner.model import STEP_KINDS, Item, Step
from conformance.runner.operations import operations
from conformance.runner.paths import steps_of
from conformance.runner.values import BUILT_IN, references

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Place = tuple[str | int, ...]
Problem = tuple[Place, str]

_WITH_ARGUMENT: Final = frozenset({"queue", "uuid"})
_EXPECTING: Final = frozenset(
    {
        "expect",
        "expect_error",
        "expect_lost",
        "expect_set",
        "expect_text",
        "expect_close",
        "expect_nothing",
    }
)
# Words of matchers that are no member of any answer; `at` and `type` are.
_NO_MEMBERS: Final = MATCHERS - {"reason", "at", "type", "len", "after", "equal"}
# Where the references of a step are replaced when it has run, so that they may name what it saves.
_OFFLINE: Final = frozenset({"save", "name"})


def kind_of(step: Mapping[str, Any]) -> str:
    """The kind of a step that fits the schema."""
    return next(kind for kind in STEP_KINDS if kind in step)


@dataclass(slots=True)
class _Scope:
    """What is known while the steps of one branch are read."""

    doors: frozenset[str]
    time: bool
    known: set[str]
    started: dict[str, Place] = field(default_factory=dict)
    started_on: dict[str, str] = field(default_factory=dict)
    in_branch: bool = False


def problems(case: Mapping[str, Any]) -> Iterator[Problem]:
    """Every problem of one case, with its place below the case."""
    transports = case["transports"]
    doors = frozenset(_door(transport) for transport in transports)
    scope = _Scope(doors=doors, time=bool(case.get("time")), known=set(BUILT_IN - {"branch"}))
    for name, value in case.get("vars", {}).items():
        yield from _references(value, ("vars", name), scope)
        scope.known.add(name)
    yield from _steps(case["steps"], ("steps",), scope)
    for index, step in enumerate(case.get("always", ())):
        yield from _step(step, ("always", index), scope)
    if not _asserts([*case["steps"], *case.get("always", ())]):
        yield ("steps",), "nothing is expected anywhere: a case without an assertion cannot fail"


def _door(transport: str) -> str:
    return Item(case=None, transport=transport).door  # type: ignore[arg-type]


def _steps(steps: list[Any], place: Place, scope: _Scope) -> Iterator[Problem]:
    for index, step in enumerate(steps):
        yield from _step(step, (*place, index), scope)
    for name, where in scope.started.items():
        yield where, f"{name!r} is started and never joined"


def _step(step: Mapping[str, Any], place: Place, scope: _Scope) -> Iterator[Problem]:
    kind = kind_of(step)
    if kind == "parallel":
        yield from _parallel(step["parallel"], (*place, "parallel"), scope)
        return
    for key, value in step.items():
        if key not in _OFFLINE:
            yield from _references(value, (*place, key), scope)
    yield from _of_kind(kind, step, place, scope)
    inner = step["wait_until"] if kind == "wait_until" else step
    yield from _expectations(kind, inner, place, scope)
    for name, path in inner.get("save", {}).items():
        yield from _path(path, (*place, "save", name))
        scope.known.add(name)


def _of_kind(kind: str, step: Mapping[str, Any], place: Place, scope: _Scope) -> Iterator[Problem]:
    match kind:
        case "do":
            yield from _do(step, place, scope)
        case "wait_until":
            yield from _do(step["wait_until"], (*place, "wait_until"), scope)
            if scope.time:
                yield (
                    place,
                    "wait_until waits for real time to pass, and this case has `time: true`",
                )
        case "join":
            if scope.started.pop(step["join"], None) is None:
                yield (*place, "join"), f"nothing is started as {step['join']!r}"
        case "close":  # gives up what was started on this connection
            for name in [each for each, on in scope.started_on.items() if on == step["close"]]:
                scope.started.pop(name, None)
        case "advance" | "freeze" if not scope.time:
            yield place, f"{kind} needs `time: true` at the case"
        case "http" if "advance" in step["http"] and not scope.time:
            yield (*place, "http", "advance"), "advance needs `time: true` at the case"
        case "fault" if step["fault"]["op"] not in operations():
            yield (*place, "fault", "op"), f"there is no operation {step['fault']['op']!r}"
        case "restart" if scope.in_branch and step["restart"] == "term":
            pass  # how a server says that it stops can be seen only beside the stop
        case "advance" | "freeze" | "fault" if scope.in_branch:
            yield place, f"{kind} cannot stand in a branch: the branches share one server"


def _do(step: Mapping[str, Any], place: Place, scope: _Scope) -> Iterator[Problem]:
    operation = operations().get(step["do"])
    if operation is None:
        yield (*place, "do"), f"there is no operation {step['do']!r} in spec/wire.yaml"
        return
    wanted = {step["over"]} if "over" in step else scope.doors
    for door in sorted(wanted - operation.doors):
        yield (
            (*place, "do"),
            f"{operation.name} cannot be asked over {door}; give the case other transports, or `over:`",
        )
    if "start" in step:
        if step["start"] in scope.started:
            yield (*place, "start"), f"{step['start']!r} is started twice"
        scope.started[step["start"]] = place
        scope.started_on[step["start"]] = step.get("on", "main")


def _parallel(body: Mapping[str, Any], place: Place, scope: _Scope) -> Iterator[Problem]:
    if "repeat" in body:
        branches: dict[Place, Any] = {("repeat", "steps"): body["repeat"]["steps"]}
    else:
        branches = {("branches", index): steps for index, steps in enumerate(body["branches"])}
    for where, steps in branches.items():
        inner = _Scope(
            doors=scope.doors, time=scope.time, known={*scope.known, "branch"}, in_branch=True
        )
        yield from _steps(steps, (*place, *where), inner)
    for index, over in enumerate(as_list(body.get("expect_over", []))):
        yield from _references(over, (*place, "expect_over"), scope)
        yield from _path(over["path"], (*place, "expect_over", index, "path"))
        if "count_of" in over:
            yield from _expectation(over["count_of"]["matcher"], (*place, "expect_over"), scope)
    for name, path in body.get("collect", {}).items():
        yield from _path(path, (*place, "collect", name))
        scope.known.add(name)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# --- variables, paths, matchers ---------------------------------------------------------------------------------


def _references(value: Any, place: Place, scope: _Scope) -> Iterator[Problem]:
    try:
        found = list(references(value))
    except ValueError as error:
        yield place, str(error)
        return
    for name, argument in found:
        if name not in scope.known:
            yield place, f"the variable {name!r} is set nowhere before this"
        elif argument is not None and name not in _WITH_ARGUMENT:
            yield place, f"the variable {name!r} takes no argument"
        elif name == "now" and not scope.time:
            yield place, "{{now}} is the frozen clock, and this case has no `time: true`"


def _path(path: str, place: Place) -> Iterator[Problem]:
    try:
        steps_of(path)
    except ValueError as error:
        yield place, str(error)


def _expectations(
    kind: str, step: Mapping[str, Any], place: Place, scope: _Scope
) -> Iterator[Problem]:
    for key in ("expect", "expect_set", "expect_error"):
        for index, expected in enumerate(as_list(step.get(key, []))):
            where = (*place, key, index) if isinstance(step[key], list) else (*place, key)
            if kind == "http":
                yield from _response(expected, where, scope)
            else:
                yield from _by_path(expected, where, scope)
    for index, expected in enumerate(step.get("expect_text", [])):
        yield from _expectation(expected, (*place, "expect_text", index), scope)
    if kind == "assert":
        yield from _expectation(step["assert"]["is"], (*place, "assert", "is"), scope)


def _response(expected: Mapping[str, Any], place: Place, scope: _Scope) -> Iterator[Problem]:
    yield from _by_path(expected.get("body", {}), (*place, "body"), scope)
    for name, matcher in expected.get("headers", {}).items():
        yield from _expectation(matcher, (*place, "headers", name), scope)
    for key in ("status", "type", "text"):
        if key in expected:
            yield from _expectation(expected[key], (*place, key), scope)


def _by_path(expected: Mapping[str, Any], place: Place, scope: _Scope) -> Iterator[Problem]:
    for path, matcher in expected.items():
        if path.startswith("$"):
            yield from _path(path, (*place, path))
        yield from _expectation(matcher, (*place, path), scope)


def _expectation(expected: Any, place: Place, scope: _Scope) -> Iterator[Problem]:
    if isinstance(expected, list):
        for index, each in enumerate(expected):
            yield from _expectation(each, (*place, index), scope)
    elif isinstance(expected, dict):
        if is_matcher(expected):
            yield from _matcher(expected, place, scope)
        elif expected.keys() & _NO_MEMBERS:
            words = ", ".join(sorted(expected.keys() & MATCHERS))
            yield (
                place,
                f"this is a matcher ({words}) and something else; write a literal as `equal:`",
            )
        for key, each in expected.items():
            if key != "equal":
                yield from _expectation(each, (*place, key), scope)


def _matcher(expected: Mapping[str, Any], place: Place, scope: _Scope) -> Iterator[Problem]:
    kind = expected.get("type")
    if "type" in expected and kind not in TYPES and "{{" not in str(kind):
        yield place, f"there is no type {kind!r}; there are {', '.join(TYPES)}"
    if "any_of" in expected and not expected.get("reason"):
        yield place, "any_of needs a reason: say why more than one answer is right"
    if "absent" in expected and expected["absent"] is not True:
        yield place, "absent can only be true"
    if expected.keys() == {"reason"}:
        yield place, "a reason alone matches nothing"
    if "at" in expected and not scope.time and str(expected["at"])[:1] in "+-":
        yield place, "`at` is relative to the frozen clock, and this case has no `time: true`"
    if "re" in expected and "{{" not in str(expected["re"]):
        try:
            re.compile(expected["re"])
        except (re.error, TypeError) as error:
            yield place, f"{expected['re']!r} is no pattern: {error}"


# --- assertions -------------------------------------------------------------------------------------------------


def _asserts(steps: list[Any]) -> bool:
    return any(_expects(step) for step in steps)


def _expects(step: Mapping[str, Any]) -> bool:
    if step.keys() & _EXPECTING or "assert" in step or "wait_until" in step:
        return True
    parallel = step.get("parallel", {})
    inner = [*parallel.get("branches", []), parallel.get("repeat", {}).get("steps", [])]
    return "expect_over" in parallel or any(_asserts(steps) for steps in inner)


def step_of(step: Mapping[str, Any], line: int) -> Step:
    return Step(kind=kind_of(step), body=step, line=line)
