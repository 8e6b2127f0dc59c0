"""Expectations of a case for SDKs against what a call came to, counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.runner.matching import mismatches
from conformance.runner.paths import MISSING, select

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.runner.sdk_calls import Result
    from conformance.runner.values import Variables


class Judge:
    """Raises AssertionError where something is not as a case says. `assertions` counts what was looked at."""

    def __init__(self, variables: Variables) -> None:
        self.variables = variables
        self.assertions = 0

    def judge(self, body: Mapping[str, Any], result: Result) -> None:
        """expect, expect_error, any_of, sleeps and save of one step."""
        if "sleeps" in body:
            self.fits(body["sleeps"], list(result.sleeps))
        if "any_of" in body:
            self.assertions += 1
            notes = [self._note(choice, result) for choice in body["any_of"]]
            assert not all(notes), f"{result.shown()}; none of: {'; '.join(map(str, notes))}"
        elif "expect_error" in body:
            assert result.error is not None, f"an error was expected, and not {result.shown()}"
            self.fits(body["expect_error"], result.error)
        else:
            assert result.error is None, result.shown()
            self.paths(body.get("expect", {}), result.value)
        for name, path in body.get("save", {}).items():
            found = select(path, result.value)
            assert found is not MISSING, f"there is nothing at {path}"
            self.variables[name] = found

    def _note(self, choice: Mapping[str, Any], result: Result) -> str:
        """Why *result* is not this choice; empty when it is."""
        try:
            self.judge(choice, result)
        except AssertionError as error:
            return str(error) or "no"
        return ""

    def paths(self, wanted: Mapping[str, Any], value: Any) -> None:
        for path, expected in wanted.items():
            self.fits(expected, select(path, value), path)

    def fits(self, expected: Any, actual: Any, path: str = "$") -> None:
        self.assertions += 1
        found = mismatches(expected, actual, path=path)
        assert not found, "; ".join(map(str, found))
