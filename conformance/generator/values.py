"""Values of a field of wire.yaml: those just past each of its bounds, of a wrong type, and those at the bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conformance.generator.spec import limit

if TYPE_CHECKING:
    from collections.abc import Callable

Field: TypeAlias = dict[str, Any]

UNICODE: Final = "é"  # two bytes of UTF-8
RULE, SHAPE = 400, 422


@dataclass(frozen=True, slots=True)
class Wrong:
    """A value that is refused: why, where below its field, and the status over HTTP."""

    why: str
    value: Any
    status: int
    below: str = ""


def repeated(text: str, times: int) -> Any:
    """The text as it is when it is short, else as the suite writes it."""
    return text * times if len(text) * times <= 64 else {"$repeat": {"text": text, "times": times}}


def listed(item: Any, times: int) -> Any:
    """A list of equal items, written out when it is short."""
    return [item] * times if times <= 8 else {"$list": {"item": item, "times": times}}


def wrong_values(field: Field) -> list[Wrong]:
    """What the field must not be."""
    kind, _, inner = field["type"].partition("<")
    maker = _WRONG.get(kind)
    if maker is None:
        return [Wrong("a number", 5, SHAPE)] if kind.startswith("object") else []
    if kind == "list":
        return _wrong_lists(field, inner.removesuffix(">"))
    return maker(field)


def good_values(field: Field) -> list[tuple[str, Any]]:
    """What the field may be at its bounds, with the name of the bound."""
    kind, _, inner = field["type"].partition("<")
    if kind == "list":
        return _good_lists(field, inner.removesuffix(">"))
    maker = _GOOD.get(kind)
    return maker(field) if maker else []


# --- just past the bounds, and of another type ---------------------------------------------------------------------


def _wrong_ints(field: Field) -> list[Wrong]:
    found = [
        Wrong("a string", "1", SHAPE),
        Wrong("a boolean", True, SHAPE),
        Wrong("a fraction", 1.5, SHAPE),
    ]
    if "min" in field:
        found.append(Wrong("one below its least", limit(field["min"]) - 1, RULE))
    if "max" in field:
        found.append(Wrong("one above its greatest", limit(field["max"]) + 1, RULE))
    return found


def _wrong_numbers(field: Field) -> list[Wrong]:
    below, above = field["min"] - 0.5, field["max"] + 0.5
    return [
        Wrong("a string", "1", SHAPE),
        Wrong("below its least", below, RULE),
        Wrong("above its greatest", above, RULE),
    ]


def _wrong_strings(field: Field) -> list[Wrong]:
    found = [Wrong("a number", 5, SHAPE)]
    if "enum" in field:
        found.append(Wrong("a word that it does not have", "nonsense", RULE))
    if "max_bytes" in field:
        most = limit(field["max_bytes"])
        found.append(Wrong("a byte too long", repeated("a", most + 1), RULE))
        found.append(
            Wrong("a byte too long in two-byte characters", repeated(UNICODE, most // 2 + 1), RULE)
        )
    if "pattern" in field:
        found += [Wrong("empty", "", RULE), Wrong("outside its alphabet", "a/b", RULE)]
    return found


def _wrong_jsons(field: Field) -> list[Wrong]:
    """One byte over its limit as a text: the quotes count too."""
    return [Wrong("a byte too long", repeated("a", limit(field["max_bytes"]) - 1), RULE)]


def _wrong_times(field: Field) -> list[Wrong]:
    words = {"no instant": "yesterday", "without an offset": "2030-01-31T12:00:00"}
    return [Wrong("a number", 5, SHAPE), *(Wrong(why, value, RULE) for why, value in words.items())]


def _wrong_lists(field: Field, inner: str) -> list[Wrong]:
    found = [Wrong("a string", "x", SHAPE)]
    item = {**field, "type": inner}
    example = _EXAMPLE.get(inner, {"name": "n"} if inner == "object PushItem" else {})
    if "enum" in field:
        example = field["enum"][0]
    if "max_items" in field:
        found.append(
            Wrong("an item too many", listed(example, limit(field["max_items"]) + 1), RULE)
        )
    if not inner.startswith("object"):
        found += [
            Wrong(f"an item that is {each.why}", [each.value], each.status, "/0")
            for each in wrong_values(item)
        ]
    return found


_EXAMPLE: Final[dict[str, Any]] = {"string": "a", "int": 1, "uuid": "{{uuid:N}}"}
_WRONG: Final[dict[str, Callable[[Field], list[Wrong]]]] = {
    "int": _wrong_ints,
    "number": _wrong_numbers,
    "string": _wrong_strings,
    "bool": lambda _: [Wrong("a string", "true", SHAPE), Wrong("a number", 1, SHAPE)],
    "uuid": lambda _: [Wrong("a number", 5, SHAPE), Wrong("no UUID", "not-a-uuid", RULE)],
    "json": _wrong_jsons,
    "time": _wrong_times,
    "list": lambda _: [],
}

# --- at the bounds -------------------------------------------------------------------------------------------------


def _good_numbers(field: Field) -> list[tuple[str, Any]]:
    ends = (("its least", "min"), ("its greatest", "max"))
    return [(why, limit(field[end])) for why, end in ends if end in field]


def _good_strings(field: Field) -> list[tuple[str, Any]]:
    if "enum" in field:
        return [(f"the word {word}", word) for word in field["enum"]]
    if "max_bytes" not in field:
        return []
    most = limit(field["max_bytes"])
    wide = (
        []
        if "pattern" in field
        else [("as long as it may be in two-byte characters", repeated(UNICODE, most // 2))]
    )
    return [("as long as it may be", repeated("a", most)), *wide]


def _good_lists(field: Field, inner: str) -> list[tuple[str, Any]]:
    if inner not in ("string", "int") or "enum" in field:
        return []
    items = [
        ("an item that is " + why, [value]) for why, value in good_values({**field, "type": inner})
    ]
    return [
        ("as many items as there may be", listed(_EXAMPLE[inner], limit(field["max_items"]))),
        *items,
    ]


_GOOD: Final[dict[str, Callable[[Field], list[tuple[str, Any]]]]] = {
    "int": _good_numbers,
    "number": _good_numbers,
    "string": _good_strings,
    "bool": lambda _: [("true", True), ("false", False)],
    "json": lambda field: [("as long as it may be", repeated("a", limit(field["max_bytes"]) - 2))],
}
