"""What the steps of one item work on: its connections, variables, clock, and the count of what has been checked."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.runner.matching import Context, Mismatch, NoMatcher, mismatches
from conformance.runner.model import Item, SuiteError
from conformance.runner.paths import MISSING, select
from conformance.runner.values import Unresolved, Variables

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from conformance.runner.doors import Doors
    from conformance.runner.operations import Answer
    from conformance.runner.target import Control


class StepFailed(AssertionError):  # noqa: N818 - named for what it says
    """A step's expectation does not hold. The message has a line for each thing that is wrong."""


class NotApplicable(Exception):  # noqa: N818 - named for what it says
    """This target cannot show the rule: it lacks a capability that the case needs."""


@dataclass(slots=True)
class Tally:
    """How many assertions were evaluated; shared by all branches of an item."""

    assertions: int = 0


@dataclass(slots=True, kw_only=True)
class Scope:
    """
    One item, or one branch of it. `prefix` keeps the connections of branches apart.

    restart: ends the server by kill, term or crash and starts it again; None for a server of somebody else.
    """

    item: Item
    doors: Doors
    variables: Variables
    restart: Callable[[str], Awaitable[None]] | None = None
    prefix: str = ""
    tally: Tally = field(default_factory=Tally)
    started: dict[str, asyncio.Task[Answer]] = field(default_factory=dict)
    started_on: dict[str, str] = field(default_factory=dict)

    def branch(self, index: int) -> Scope:
        return Scope(
            item=self.item,
            doors=self.doors,
            variables=self.variables.child(index),
            restart=self.restart,
            prefix=f"{self.prefix}{index}.",
            tally=self.tally,
        )

    @property
    def control(self) -> Control:
        """The control API. NotApplicable when the target has none."""
        if self.doors.target.control is None:
            raise NotApplicable("the target has no control API")
        return self.doors.target.control

    @property
    def context(self) -> Context:
        control = self.doors.target.control
        return Context(now_ms=control.now if control is not None else None)

    def resolve(self, value: Any) -> Any:
        """A value with its variables replaced. SuiteError when one is not set."""
        try:
            return self.variables.resolve(value)
        except Unresolved as error:
            raise SuiteError(f"the variable {{{{{error}}}}} is not set") from error

    async def give_up(self, name: str) -> None:
        """Stop waiting for what was started under a name, if it is still awaited."""
        self.started_on.pop(name, None)
        task = self.started.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # --- assertions ---------------------------------------------------------------------------------------------

    def check(self, expected: Any, actual: Any, path: str = "$") -> list[Mismatch]:
        """Mismatches of one expectation, which counts as one assertion."""
        self.tally.assertions += 1
        try:
            return mismatches(self.resolve(expected), actual, self.context, path)
        except NoMatcher as error:
            raise SuiteError(str(error)) from error

    def check_paths(self, expected: Mapping[str, Any], value: Any) -> list[Mismatch]:
        """The same for a mapping of path → expectation."""
        return [
            mismatch
            for path, wanted in expected.items()
            for mismatch in self.check(wanted, select(path, value), path)
        ]

    def require(self, found: list[Mismatch]) -> None:
        if found:
            raise StepFailed("\n".join(map(str, found)))

    def fail_unless(self, holds: bool, why: str) -> None:
        """One assertion that is no matcher."""
        self.tally.assertions += 1
        if not holds:
            raise StepFailed(why)

    def save(self, wanted: Mapping[str, str], value: Any) -> None:
        """Keep values as variables. StepFailed when there is nothing at a path: the rest of the case would be about nothing."""
        for name, path in wanted.items():
            found = select(path, value)
            if found is MISSING:
                raise StepFailed(f"there is nothing at {path} to keep as {name}")
            self.variables[name] = found
