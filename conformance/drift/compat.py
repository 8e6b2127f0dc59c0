"""
Does today's specification break a client of the last release?

    python -m conformance.drift.compat store 0.1.0     # at a release: keep what it promises in spec/released/0.1.0.json
    python -m conformance.drift.compat check           # compare with the newest that is kept; exit 1 for a break

What breaks a client: an operation, status, media type, command, code or notice that is gone; a request that is refused now (a field
gone or newly required, a narrower type or bound); an answer that may hold what it could not (a member gone or optional now, a wider
type or bound, a new word in a list of words). New operations, new optional fields and new members of answers break nothing.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.specification import METHODS, REPOSITORY, Specification, specification

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RELEASED: Final = REPOSITORY / "spec" / "released"
_LOWER: Final = ("minimum", "minLength", "minItems", "minProperties")
_UPPER: Final = ("maximum", "maxLength", "maxItems", "maxProperties", "x-max-bytes", "x-max-depth")
_CHOICES: Final = ("oneOf", "anyOf", "allOf")


def snapshot(spec: Specification) -> dict[str, Any]:
    """What a release promises, in one document."""
    promises = {"openapi": spec.openapi, "wire": spec.wire, "codes": spec.codes}
    copy: dict[str, Any] = json.loads(json.dumps(promises))
    return copy


def breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Each promise of `old` that `new` does not keep."""
    return [
        *_http(old["openapi"], new["openapi"]),
        *_tcp(old["wire"], new["wire"]),
        *_codes(old, new),
    ]


def newest(folder: Path = RELEASED) -> Path | None:
    """The snapshot of the highest version; None before the first release."""
    found = sorted(folder.glob("*.json"), key=lambda path: [int(n) for n in path.stem.split(".")])
    return found[-1] if found else None


# --- HTTP -------------------------------------------------------------------------------------------------------


def _http(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    compare = _Schemas(old, new)
    for path, item in old["paths"].items():
        for method in (each for each in METHODS if each in item):
            where = f"{method.upper()} {path}"
            operation = new["paths"].get(path, {}).get(method)
            if operation is None:
                yield f"{where} is gone"
                continue
            if operation["operationId"] != item[method]["operationId"]:
                yield f"{where}: its operationId was {item[method]['operationId']}"
            yield from _parameters(compare, where, item[method], operation)
            yield from _body(compare, where, item[method], operation)
            yield from _responses(compare, where, item[method], operation)


def _parameters(
    compare: _Schemas, where: str, old: dict[str, Any], new: dict[str, Any]
) -> Iterator[str]:
    before = {each["name"]: each for each in compare.old_list(old.get("parameters", ()))}
    after = {each["name"]: each for each in compare.new_list(new.get("parameters", ()))}
    for name in sorted(set(before) - set(after)):
        yield f"{where}: the parameter {name} is gone"
    for name, parameter in after.items():
        if name not in before and parameter.get("required"):
            yield f"{where}: the parameter {name} is required now"
        if name in before:
            at = f"{where}?{name}"
            yield from compare.requests(at, before[name]["schema"], parameter["schema"])


def _body(compare: _Schemas, where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    before, after = _content(old.get("requestBody")), _content(new.get("requestBody"))
    if not before and after and new["requestBody"].get("required"):
        yield f"{where}: a body is required now"
    for kind, schema in before.items():
        if kind not in after:
            yield f"{where}: it takes no {kind} any more"
        else:
            yield from compare.requests(f"{where} body", schema, after[kind])


def _responses(
    compare: _Schemas, where: str, old: dict[str, Any], new: dict[str, Any]
) -> Iterator[str]:
    for status, response in old["responses"].items():
        at = f"{where} {status}"
        if status not in new["responses"]:
            yield f"{at} is gone"
            continue
        before = _content(compare.old(response))
        after = _content(compare.new(new["responses"][status]))
        for kind, schema in before.items():
            if kind not in after:
                yield f"{at}: {kind} is gone"
            else:
                yield from compare.answers(at, schema, after[kind])
    for status in sorted(set(new["responses"]) - set(old["responses"])):
        if status < "400":
            yield f"{where} {status} is new, and clients do not expect it"


def _content(node: dict[str, Any] | None) -> dict[str, Any]:
    content = (node or {}).get("content", {})
    return {kind: each["schema"] for kind, each in content.items() if "schema" in each}


# --- schemas ----------------------------------------------------------------------------------------------------


class _Schemas:
    """Compares schemas of two documents. A pair of named schemas is looked at once, since schemas may hold themselves."""

    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._documents = (old, new)
        self._seen: set[tuple[bool, str, str]] = set()

    def old(self, node: dict[str, Any]) -> dict[str, Any]:
        return _followed(self._documents[0], node)

    def new(self, node: dict[str, Any]) -> dict[str, Any]:
        return _followed(self._documents[1], node)

    def old_list(self, nodes: Any) -> list[dict[str, Any]]:
        return [self.old(each) for each in nodes]

    def new_list(self, nodes: Any) -> list[dict[str, Any]]:
        return [self.new(each) for each in nodes]

    def requests(self, at: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        """What fitted `old` has to fit `new`."""
        yield from self._narrower(at, self.old(old), self.new(new), is_request=True)

    def answers(self, at: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
        """What fits `new` has to have fitted `old`, members that are new apart."""
        names = (False, str(old.get("$ref")), str(new.get("$ref")))
        if "$ref" in old and names in self._seen:
            return
        self._seen.add(names)
        yield from self._narrower(at, self.new(new), self.old(old), is_request=False)

    def _narrower(
        self, at: str, wide: dict[str, Any], narrow: dict[str, Any], *, is_request: bool
    ) -> Iterator[str]:
        """
        Where `narrow` refuses what `wide` allows. For a request that is old → new, for an answer new → old.
        """
        for said in _narrowed(wide, narrow):
            yield f"{at}: {said}, which breaks {'requests' if is_request else 'answers'}"
        yield from self._members(at, wide, narrow, is_request=is_request)
        follow = self.requests if is_request else self.answers
        pairs = [(wide.get("items"), narrow.get("items"), f"{at}[]")]
        for choice in _CHOICES:
            one, two = wide.get(choice, []), narrow.get(choice, [])
            old_count, new_count = (len(one), len(two)) if is_request else (len(two), len(one))
            if (old_count > new_count) if is_request else (new_count > old_count):
                yield f"{at}: {choice} had {old_count} alternatives and has {new_count}"
            pairs += [(a, b, at) for a, b in zip(one, two, strict=False)]
        for one_schema, two_schema, place in pairs:
            if one_schema is not None and two_schema is not None:
                old, new = (one_schema, two_schema) if is_request else (two_schema, one_schema)
                yield from follow(place, old, new)

    def _members(
        self, at: str, wide: dict[str, Any], narrow: dict[str, Any], *, is_request: bool
    ) -> Iterator[str]:
        old, new = (wide, narrow) if is_request else (narrow, wide)
        before, after = old.get("properties", {}), new.get("properties", {})
        for name in sorted(set(before) - set(after)):
            yield f"{at}/{name} is gone"
        required, now = set(old.get("required", ())), set(new.get("required", ()))
        for name in sorted(now - required if is_request else (required & set(after)) - now):
            yield f"{at}/{name} is {'required' if is_request else 'optional'} now"
        follow = self.requests if is_request else self.answers
        for name in sorted(set(before) & set(after)):
            yield from follow(f"{at}/{name}", before[name], after[name])


def _narrowed(wide: dict[str, Any], narrow: dict[str, Any]) -> Iterator[str]:
    """Keywords of one schema by which `narrow` refuses what `wide` lets pass."""
    kinds, allowed = _kinds(wide), _kinds(narrow)
    if allowed and (not kinds or kinds - allowed - ({"integer"} if "number" in allowed else set())):
        yield f"type {sorted(kinds) or 'any'} against {sorted(allowed)}"
    if "enum" in narrow and not set(map(str, wide.get("enum", ["?"]))) <= set(
        map(str, narrow["enum"])
    ):
        yield f"enum {wide.get('enum', 'any')} against {narrow['enum']}"
    for key in ("pattern", "format", "const"):
        if key in narrow and narrow[key] != wide.get(key):
            yield f"{key} {wide.get(key, 'any')} against {narrow[key]}"
    for keys, is_narrower in ((_LOWER, int.__gt__), (_UPPER, int.__lt__)):
        for key in keys:
            if key in narrow and (key not in wide or is_narrower(narrow[key], wide[key])):
                yield f"{key} {wide.get(key, 'none')} against {narrow[key]}"


def _kinds(schema: dict[str, Any]) -> set[str]:
    kinds = schema.get("type", [])
    return set(kinds) if isinstance(kinds, list) else {kinds}


def _followed(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        found: Any = document
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        node = {**found, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


# --- TCP and codes ----------------------------------------------------------------------------------------------


def _tcp(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name, row in old["operations"].items():
        after = new["operations"].get(name)
        if after is None or ("wire" in row and "wire" not in after):
            yield f"the command {name} is gone"
            continue
        if after.get("wire", 0) > row.get("wire", 0):
            yield f"{name} is of wire version {after['wire']} now, and was of {row['wire']}"
        yield from _fields(name, row["fields"], after["fields"])
        if isinstance(row["answer"], dict):
            for member in sorted(set(row["answer"]) - set(after["answer"])):
                yield f"{name}: the answer has no {member} any more"
    for name, row in old["objects"].items():
        yield from _fields(name, row, new["objects"].get(name, {}))
    for name, limit in old["limits"].items():
        now = new["limits"].get(name)
        if now is None or (now > limit if name.endswith("_min") else now < limit):
            yield f"the limit {name} was {limit} and is {now}"
    for name, row in old["notices"].items():
        gone = set(row["fields"]) - set(new["notices"].get(name, {"fields": {}})["fields"])
        if gone:
            yield f"the notice {name} has no {', '.join(sorted(gone))} any more"


def _fields(where: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name in sorted(set(old) - set(new)):
        yield f"{where}: the field {name} is gone"
    for name, field in new.items():
        if isinstance(field, str):
            continue
        before = old.get(name, {})
        if field.get("required") and not before.get("required"):
            yield f"{where}: the field {name} is required now"
        if before and before["type"] != field["type"]:
            yield f"{where}: the field {name} was {before['type']} and is {field['type']}"


def _codes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for code, row in old["codes"].items():
        after = new["codes"].get(code)
        if after is None:
            yield f"the code {code} is gone"
            continue
        for member in ("status", "category", "retryable"):
            if after[member] != row[member]:
                yield f"{code}: {member} was {row[member]} and is {after[member]}"
        for member in ("details", "doors"):
            for each in sorted(set(row[member]) - set(after[member])):
                yield f"{code}: {member} has no {each} any more"


# --- the command ------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """The command; returns its exit code."""
    now = snapshot(specification())
    if arguments[:1] == ["store"] and len(arguments) == 2:
        RELEASED.mkdir(exist_ok=True)
        text = json.dumps(now, ensure_ascii=False, indent=1, sort_keys=True)
        (RELEASED / f"{arguments[1]}.json").write_text(text + "\n", encoding="utf-8")
        return 0
    last = newest()
    found = breaks(json.loads(last.read_text(encoding="utf-8")), now) if last else []
    for fault in found:
        sys.stderr.write(f"{fault}\n")
    sys.stdout.write(f"{len(found)} breaks since {last.stem if last else 'nothing was released'}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
