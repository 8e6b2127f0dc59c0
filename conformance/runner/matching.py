"""
Typed matchers: does a value fit what a case expects?

A mapping whose keys are all words of MATCHERS is a matcher, and every word of it has to hold; `{equal: …}` writes down a literal
that looks like one. Any other mapping is a subset that the value has to have, a list is matched element by element, and
everything else has to be equal and of the same type: 1, 1.0, "1" and true are four different values.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from conformance.runner.kinds import TYPES, is_number, time_ms, type_name
from conformance.runner.paths import MISSING
from conformance.runner.values import duration_ms

SHOWN: Final = 300  # characters of a value in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a matcher may want to know besides the value. `now_ms` is the frozen clock of the server, None when it runs."""

    now_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """One place where a value is not what was expected."""

    path: str
    expected: Any
    actual: Any
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}; expected {shown(self.expected)}, got {shown(self.actual)}"


class NoMatcher(ValueError):  # noqa: N818 - named for what it says
    """A mapping that looks like a matcher and is none."""


def mismatches(
    expected: Any, actual: Any, context: Context = Context(), path: str = "$"
) -> list[Mismatch]:
    """Every place where `actual` is not as `expected`; an empty list when it fits. NoMatcher for an expectation without sense."""
    if is_matcher(expected):
        return [
            mismatch
            for word, argument in expected.items()
            if word != "reason"
            for mismatch in _MATCHERS[word](argument, actual, context, path, expected)
        ]
    if actual is MISSING:
        return [Mismatch(path=path, expected=expected, actual=actual, why="there is nothing")]
    if isinstance(expected, dict):
        return _subset(expected, actual, context, path)
    if isinstance(expected, list):
        return _list(expected, actual, context, path)
    if same(expected, actual):
        return []
    return [
        Mismatch(path=path, expected=expected, actual=actual, why=_why_not_same(expected, actual))
    ]


def is_matcher(expected: Any) -> bool:
    return isinstance(expected, dict) and bool(expected) and expected.keys() <= MATCHERS


def same(left: Any, right: Any) -> bool:
    """Equal and of the same types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return bool(left == right and math.copysign(1, left) == math.copysign(1, right))
    return bool(left == right)


def _why_not_same(expected: Any, actual: Any) -> str:
    if type(expected) is not type(actual):
        return f"{type_name(actual)} is not {type_name(expected)}"
    return "another value"


def _subset(expected: dict[str, Any], actual: Any, context: Context, path: str) -> list[Mismatch]:
    if not isinstance(actual, dict):
        return [_differs(expected, actual, path, f"{type_name(actual)} is not object")]
    return [
        mismatch
        for key, wanted in expected.items()
        for mismatch in mismatches(wanted, actual.get(key, MISSING), context, f"{path}.{key}")
    ]


def _list(expected: list[Any], actual: Any, context: Context, path: str) -> list[Mismatch]:
    if not isinstance(actual, list):
        return [_differs(expected, actual, path, f"{type_name(actual)} is not list")]
    if len(expected) != len(actual):
        return [_differs(expected, actual, path, f"{len(actual)} elements are not {len(expected)}")]
    return [
        mismatch
        for index, (wanted, each) in enumerate(zip(expected, actual, strict=True))
        for mismatch in mismatches(wanted, each, context, f"{path}[{index}]")
    ]


def _differs(expected: Any, actual: Any, path: str, why: str) -> Mismatch:
    return Mismatch(path=path, expected=expected, actual=actual, why=why)


def shown(value: Any) -> str:
    """A value as JSON, cut when it is long."""
    text = "nothing" if value is MISSING else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"


# --- matchers ---------------------------------------------------------------------------------------------------


def _type(name: Any, actual: Any, _: Context, path: str, whole: Any) -> list[Mismatch]:
    if name not in TYPES:
        raise NoMatcher(f"there is no type {name!r}; there are {', '.join(TYPES)}")
    if actual is not MISSING and TYPES[name](actual):
        return []
    return [_differs(whole, actual, path, f"{type_name(actual)} is not {name}")]


def _re(pattern: Any, actual: Any, _: Context, path: str, whole: Any) -> list[Mismatch]:
    if isinstance(actual, str) and re.search(pattern, actual):
        return []
    return [_differs(whole, actual, path, "the pattern is not found")]


_AT: Final = re.compile(r"(?:(\d+))?(?:([+-])(\d+(?:ms|s|m|h|d)))?")


def moment(text: Any, context: Context) -> float:
    """`+1s` from the frozen now, `1767225600000+1s`, or a time as RFC 3339, in milliseconds. NoMatcher for anything else."""
    fixed = time_ms(text)
    if fixed is not None:
        return fixed
    found = _AT.fullmatch(text) if isinstance(text, str) and text else None
    if not found:
        raise NoMatcher(f"{text!r} is no moment; write +1000ms, -5s or a time")
    base = int(found[1]) if found[1] else context.now_ms
    if base is None:
        raise NoMatcher(
            f"{text!r} is relative to a clock that is not frozen; the case needs `time: true`"
        )
    offset = duration_ms(found[3]) if found[3] else 0
    return base - offset if found[2] == "-" else base + offset


def _at(text: Any, actual: Any, context: Context, path: str, whole: Any) -> list[Mismatch]:
    wanted, is_ms = moment(text, context), time_ms(actual)
    if is_ms == wanted:
        return []
    by = "no time" if is_ms is None else f"{is_ms - wanted:+g} ms off"
    return [_differs(whole, actual, path, by)]


def _between(bounds: Any, actual: Any, context: Context, path: str, whole: Any) -> list[Mismatch]:
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise NoMatcher(f"between wants [lowest, highest], not {shown(bounds)}")
    if all(is_number(bound) for bound in bounds):
        low, high = bounds
        value = actual if is_number(actual) else None
    else:
        low, high = (moment(bound, context) for bound in bounds)
        value = time_ms(actual)
    if value is not None and low <= value <= high:
        return []
    return [_differs(whole, actual, path, "not between the two")]


def _after(bound: Any, actual: Any, _: Context, path: str, whole: Any) -> list[Mismatch]:
    if isinstance(actual, str) and isinstance(bound, str) and actual > bound:
        return []
    return [_differs(whole, actual, path, "it does not sort after that text")]


def _any_of(choices: Any, actual: Any, context: Context, path: str, whole: Any) -> list[Mismatch]:
    if not whole.get("reason"):
        raise NoMatcher("any_of needs a reason")
    if any(not mismatches(choice, actual, context, path) for choice in choices):
        return []
    return [_differs(whole, actual, path, "none of these")]


def _absent(wanted: Any, actual: Any, _: Context, path: str, whole: Any) -> list[Mismatch]:
    if wanted is not True:
        raise NoMatcher("absent can only be true")
    return [] if actual is MISSING else [_differs(whole, actual, path, "it is there")]


def _len(wanted: Any, actual: Any, context: Context, path: str, whole: Any) -> list[Mismatch]:
    if not isinstance(actual, str | list | dict):
        return [_differs(whole, actual, path, f"{type_name(actual)} has no length")]
    if mismatches(wanted, len(actual), context, path):
        return [_differs(whole, actual, path, f"the length is {len(actual)}")]
    return []


def _contains(wanted: Any, actual: Any, context: Context, path: str, whole: Any) -> list[Mismatch]:
    if isinstance(actual, str) and isinstance(wanted, str):
        found = wanted in actual
    else:
        found = isinstance(actual, list) and any(
            not mismatches(wanted, each, context, path) for each in actual
        )
    return [] if found else [_differs(whole, actual, path, "it is not in there")]


def _unordered(wanted: Any, actual: Any, context: Context, path: str, whole: Any) -> list[Mismatch]:
    if not isinstance(actual, list):
        return [_differs(whole, actual, path, f"{type_name(actual)} is not list")]
    if len(actual) != len(wanted):
        return [_differs(whole, actual, path, f"{len(actual)} elements are not {len(wanted)}")]
    fits = [[not mismatches(each, one, context, path) for one in actual] for each in wanted]
    return [] if paired(fits) else [_differs(whole, actual, path, "no order of it fits")]


def _not(unwanted: Any, actual: Any, context: Context, path: str, whole: Any) -> list[Mismatch]:
    if actual is MISSING and not _allows_missing(unwanted):
        return [_differs(whole, actual, path, "there is nothing")]
    if mismatches(unwanted, actual, context, path):
        return []
    return [_differs(whole, actual, path, "it is just that")]


def _allows_missing(expected: Any) -> bool:
    return is_matcher(expected) and "absent" in expected


def _equal(wanted: Any, actual: Any, _: Context, path: str, whole: Any) -> list[Mismatch]:
    if actual is not MISSING and same(wanted, actual):
        return []
    return [_differs(whole, actual, path, _why_not_same(wanted, actual))]


def paired(fits: list[list[bool]]) -> bool:
    """Whether each row can have a column of its own in which it is true (an augmenting path for each row)."""
    row_of: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if not fit or column in seen:
                continue
            seen.add(column)
            if column not in row_of or place(row_of[column], seen):
                row_of[column] = row
                return True
        return False

    return all(place(row, set()) for row in range(len(fits)))


_Matcher = Callable[[Any, Any, Context, str, Any], list[Mismatch]]

_MATCHERS: Final[dict[str, _Matcher]] = {
    "type": _type,
    "re": _re,
    "at": _at,
    "between": _between,
    "after": _after,
    "any_of": _any_of,
    "absent": _absent,
    "len": _len,
    "contains": _contains,
    "unordered": _unordered,
    "not": _not,
    "equal": _equal,
}
MATCHERS: Final = frozenset({*_MATCHERS, "reason"})
