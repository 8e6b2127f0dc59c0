"""The little of JSONPath that cases use: `$`, `.name`, `['name']`, `[n]` (from the end when negative) and `[*]`."""

from __future__ import annotations

import functools
import re
from typing import Any, Final

_STEP: Final = re.compile(r"\.([A-Za-z_$][\w$-]*)|\['([^']*)'\]|\[(-?[0-9]+)\]|\[(\*)\]")

EACH: Final = object()


class _Missing:
    def __repr__(self) -> str:
        return "nothing"


MISSING: Final = _Missing()


@functools.cache
def steps_of(path: str) -> tuple[Any, ...]:
    """A path as names, numbers and EACH. ValueError when it is none."""
    if not path.startswith("$"):
        raise ValueError(f"{path!r} is no path: it has to start with $")
    steps: list[Any] = []
    at = 1
    while at < len(path):
        found = _STEP.match(path, at)
        if not found:
            raise ValueError(f"{path!r} is no path: {path[at:]!r} is not understood")
        name, quoted, index, each = found.groups()
        steps.append(EACH if each else int(index) if index else quoted if name is None else name)
        at = found.end()
    return tuple(steps)


def select(path: str, value: Any) -> Any:
    """What stands at `path`, MISSING when nothing does. Behind a `[*]` it is the list of what is there."""
    return _select(steps_of(path), value)


def _select(steps: tuple[Any, ...], value: Any) -> Any:
    for position, step in enumerate(steps):
        if step is EACH:
            if not isinstance(value, list):
                return MISSING
            return [_select(steps[position + 1 :], each) for each in value]
        value = _member(step, value)
        if value is MISSING:
            return MISSING
    return value


def _member(step: Any, value: Any) -> Any:
    if isinstance(step, str):
        return value.get(step, MISSING) if isinstance(value, dict) else MISSING
    if isinstance(value, list) and -len(value) <= step < len(value):
        return value[step]
    return MISSING
