"""Variables of a case, and what `{{name}}` and `{$repeat: …}` stand for.

Names and ids derive from the run's seed, so that a rerun with the same seed sends the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.paths import MISSING, select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_REFERENCE: Final = re.compile(r"\{\{([^{}]*)\}\}")
_NAME: Final = re.compile(r"([a-z][a-z0-9_]*)(?::([A-Za-z0-9_]+))?((?:[.\[].*)?)")
_DURATION: Final = re.compile(r"([0-9]+)(ms|s|m|h|d)")
_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

MADE: Final = frozenset({"$repeat", "$list", "$nest", "$join"})  # values too long to write down
BUILT_IN: Final = frozenset({"queue", "uuid", "now", "seed", "branch", "transport"})
_UUID_EPOCH_MS: Final = (
    1_767_225_600_000  # 2026-01-01; made ids are in the order in which they were asked for
)


DEEP: Final = 200  # nesting that Python's own JSON still likes


@dataclass(frozen=True, slots=True)
class Nest:
    """Lists in lists, deeper than Python can write them down; operations.encode can."""

    depth: int


class Unresolved(KeyError):  # noqa: N818 - named for what it says
    """A variable that nobody has set. `str` is its name as it was written."""

    def __str__(self) -> str:
        return str(self.args[0])


def duration_ms(text: str) -> int:
    """`999ms`, `5s`, `2m`, `1h` or `7d` in milliseconds. ValueError for anything else."""
    found = _DURATION.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no duration")
    return int(found[1]) * _MS[found[2]]


def references(value: Any) -> Iterator[tuple[str, str | None]]:
    """Name and argument of every `{{name:argument}}` in a value, keys too. ValueError for one that cannot be read."""
    if isinstance(value, str):
        if "{{" not in value:  # as most
            return
        for found in _REFERENCE.finditer(value):
            name, argument, _ = _parsed(found[1])
            yield name, argument
    elif isinstance(value, list):
        for each in value:
            yield from references(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from references(key)
            yield from references(each)


def _parsed(text: str) -> tuple[str, str | None, str]:
    found = _NAME.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{{{{{text}}}}} is no variable")
    return found[1], found[2], found[3]


class Variables:
    """
    The variables of one item. `child` makes a scope that sees these and keeps its own.

    now: milliseconds of the server's frozen clock; Unresolved while it is not frozen.
    """

    def __init__(
        self, item: str, seed: int, transport: str, now: Callable[[], int | None] = lambda: None
    ) -> None:
        self._item = item
        self._seed = seed
        self._now = now
        self._values: dict[str, Any] = {"transport": transport, "seed": seed}
        self._shared: dict[str, Any] = {}  # built-in values, the same in every scope
        self._counter = [0]
        self._branch = (
            ""  # so that what one branch asks for does not depend on how far the others are
        )

    def child(self, branch: int) -> Variables:
        child = Variables.__new__(Variables)
        child._item, child._seed, child._now = self._item, self._seed, self._now
        child._values = {**self._values, "branch": branch}
        child._shared, child._counter = self._shared, list(self._counter)
        child._branch = f"{self._branch}{branch}."
        return child

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def names(self) -> frozenset[str]:
        return frozenset(self._values)

    def resolve(self, value: Any) -> Any:
        """A copy with every reference replaced. Unresolved when a variable is not set."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self.resolve(each) for each in value]
        if isinstance(value, dict):
            if value.keys() <= MADE and len(value) == 1:
                return _made(*next(iter((name, self.resolve(of)) for name, of in value.items())))
            return {self._key(key): self.resolve(each) for key, each in value.items()}
        return value

    def _key(self, key: str) -> str:
        return str(self._text(key)) if "{{" in key else key

    def _text(self, text: str) -> Any:
        whole = _REFERENCE.fullmatch(text)
        if whole:
            return self.get(whole[1])
        return _REFERENCE.sub(lambda found: as_text(self.get(found[1])), text)

    def get(self, reference: str) -> Any:
        """The value of `name`, `name:argument` or `name.path[0]`."""
        name, argument, rest = _parsed(reference)
        value = self._named(name, argument, reference)
        if not rest:
            return value
        selected = select(f"${rest}", value)
        if selected is MISSING:
            raise Unresolved(reference)
        return selected

    def _named(self, name: str, argument: str | None, reference: str) -> Any:
        if name == "queue":
            return self._queue(argument or "1")
        if name == "uuid":
            return self._uuid(argument)
        if name == "now":
            now = self._now()
            if now is None:
                raise Unresolved("now (the clock is not frozen)")
            return now
        if argument is not None or name not in self._values:
            raise Unresolved(reference)
        return self._values[name]

    def _queue(self, number: str) -> str:
        readable = re.sub(r"[^a-z0-9-]+", "-", self._item.lower()).strip("-")
        return f"{readable[:80]}-{self._digest('queue', number)[:8].hex()}-{number}"

    def _uuid(self, letter: str | None) -> str:
        if letter is not None and letter in self._shared:
            return str(self._shared[letter])
        self._counter[0] += 1
        which = letter if letter is not None else f"{self._branch}{self._counter[0]}"
        random = int.from_bytes(self._digest("uuid", which)[:10])
        stamp = (_UUID_EPOCH_MS + self._counter[0]) << 80
        number = stamp | random
        number = number & ~(0xF << 76) | 0x7 << 76
        number = number & ~(0x3 << 62) | 0x2 << 62
        made = str(uuid.UUID(int=number))
        if letter is not None:
            self._shared[letter] = made
        return made

    def _digest(self, *parts: str) -> bytes:
        return hashlib.sha256("\n".join([str(self._seed), self._item, *parts]).encode()).digest()


def as_text(value: Any) -> str:
    """How a value stands inside a longer text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _made(how: str, of: Any) -> Any:
    """What `{$repeat: {text, times}}`, `{$list: {item, times}}`, `{$nest: {depth}}` and `{$join: [parts]}` stand for."""
    if how == "$list":
        return [of["item"]] * int(of["times"])
    if how == "$repeat":
        return str(of["text"]) * int(of["times"])
    if how == "$join":
        return "".join(as_text(part) for part in of)
    depth = int(of["depth"])
    if depth > DEEP:
        return Nest(depth)
    nested: Any = []
    for _ in range(depth - 1):
        nested = [nested]
    return nested
