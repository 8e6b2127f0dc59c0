"""The answers of wire.yaml, which are written in words, as JSON schemas.

uuid | time | string | int | bool | object | null | true      a value
string a|b|c                                                   one of these words
list<KIND>                                                     a list
object Name, object Name {a, b}                                a schema of spec/schemas
object {a, b}                                                  an object with exactly these members
A | B                                                          either
KIND, only when …   KIND, when …                               may be missing
KIND, anything else                                            a remark
"""

from __future__ import annotations

import re
from typing import Any, Final

_SCALARS: Final[dict[str, dict[str, Any]]] = {
    "uuid": {"type": "string", "format": "uuid", "maxLength": 36},
    "time": {"$ref": "#/components/schemas/Time"},
    "string": {"type": "string"},
    "int": {"type": "integer"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "object": {"type": "object"},
    "null": {"type": "null"},
    "true": {"const": True},
}
_WORDS: Final = re.compile(r"string ([a-z_-]+(?:\|[a-z_-]+)+)")
_MEMBERS: Final = re.compile(r"object(?: ([A-Z]\w*))? ?(?:\{([^}]*)\})?")
_CONDITION: Final = re.compile(r"(?:only )?when\b")


def answer_schema(answer: dict[str, str], *, known: frozenset[str]) -> dict[str, Any]:
    """
    The schema of a good answer, `ok` and `rid` among its members; others are refused.

    `known` are the names of the schemas below #/components/schemas.
    """
    properties = {name: shape(text, known=known) for name, text in answer.items()}
    required = [name for name, text in answer.items() if not _is_conditional(text)]
    return {
        "type": "object",
        "properties": {"ok": {"const": True}, "rid": {"type": "integer"}, **properties},
        "required": ["ok", *required],
        "additionalProperties": False,
    }


def shape(text: str, *, known: frozenset[str]) -> dict[str, Any]:
    """The schema of one member. ValueError for words that mean nothing here."""
    kind = _without_remark(text)
    words = _WORDS.fullmatch(kind.removesuffix(" | null"))
    if words:
        enum = [*words[1].split("|"), *([None] if kind.endswith(" | null") else [])]
        return {"enum": enum}
    if " | " in kind:
        return {"anyOf": [shape(each, known=known) for each in kind.split(" | ")]}
    if kind.startswith("list<"):
        inner = kind.removeprefix("list<").removesuffix(">")
        choices = [shape(each, known=known) for each in _choices(inner)]
        return {"type": "array", "items": choices[0] if len(choices) == 1 else {"anyOf": choices}}
    if kind in _SCALARS:
        return _SCALARS[kind]
    return _object(kind, known)


def _object(kind: str, known: frozenset[str]) -> dict[str, Any]:
    match = _MEMBERS.fullmatch(kind)
    if match is None:
        raise ValueError(f"wire.yaml: an answer is {kind!r}, which is no kind")
    if match[1] in known:
        return {"$ref": f"#/components/schemas/{match[1]}"}
    members = [each.strip() for each in (match[2] or "").split(",") if each.strip()]
    if not members:
        raise ValueError(f"wire.yaml: an answer is {kind!r}, and there is no such schema")
    return {
        "type": "object",
        "properties": {name: {} for name in members},
        "required": members,
        "additionalProperties": False,
    }


def _choices(inner: str) -> list[str]:
    return [inner] if "{" in inner or "|" not in inner else inner.split("|")


def _without_remark(text: str) -> str:
    """The part before the first comma that is not inside braces or brackets."""
    depth = 0
    for index, letter in enumerate(text):
        depth += (letter in "{<") - (letter in "}>")
        if letter == "," and depth == 0:
            return text[:index].strip()
    return text.strip()


def _is_conditional(text: str) -> bool:
    remark = text[len(_without_remark(text)) :].lstrip(", ")
    return _CONDITION.match(remark) is not None
