"""A break of what was released is a failure; each kind of break is planted in a copy and found, and what breaks nothing is not."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from conformance.drift.compat import RELEASED, breaks, newest, snapshot
from conformance.runner.specification import REPOSITORY, specification

if TYPE_CHECKING:
    from pathlib import Path

NOW = snapshot(specification())
Change = Callable[[dict[str, Any]], object]


def test_what_was_released_is_kept() -> None:
    """Before the first release there is nothing to keep; from the changelog's first version on its snapshot has to be there."""
    changelog = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[?([0-9]+\.[0-9]+\.[0-9]+)", changelog, re.MULTILINE)
    kept = {path.stem for path in RELEASED.glob("*.json")}

    assert set(versions) == kept, "run `python -m conformance.drift.compat store VERSION`"
    last = newest()
    if last is not None:
        assert breaks(json.loads(last.read_text(encoding="utf-8")), NOW) == []


def test_a_specification_keeps_what_it_promises_itself() -> None:
    assert breaks(NOW, copy.deepcopy(NOW)) == []


def at(document: dict[str, Any], path: str) -> Any:
    found: Any = document
    for step in path.split("|"):
        found = found[step]
    return found


def drop(path: str, key: str) -> Change:
    def change(document: dict[str, Any]) -> None:
        holder = at(document, path)
        holder.remove(key) if isinstance(holder, list) else holder.pop(key)

    return change


def put(path: str, key: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        at(document, path)[key] = value

    return change


def add(path: str, value: Any) -> Change:
    return lambda document: at(document, path).append(value)


SCHEMAS = "openapi|components|schemas"
PUSH = "openapi|paths|/queues/{queue}/jobs|post"
FIND = "openapi|paths|/jobs|get"

BREAKS: dict[str, tuple[Change, str]] = {
    "a path": (drop("openapi|paths", "/pull"), "POST /pull is gone"),
    "a method": (drop("openapi|paths|/jobs/{id}", "delete"), "DELETE /jobs/{id} is gone"),
    "a name": (put(FIND, "operationId", "search"), "its operationId was findJobs"),
    "a status": (drop(f"{PUSH}|responses", "200"), "POST /queues/{queue}/jobs 200 is gone"),
    "a new good status": (
        put(f"{PUSH}|responses", "202", {"description": "", "content": {}}),
        "202 is new",
    ),
    "a media type": (
        drop("openapi|components|responses|Malformed|content", "application/problem+json"),
        "400: application/problem+json is gone",
    ),
    "a parameter": (drop(f"{FIND}|parameters", "?"), "the parameter tag is gone"),
    "a field of a request": (drop(f"{SCHEMAS}|JobOptions|properties", "jitter"), "jitter is gone"),
    "a required field": (put(f"{SCHEMAS}|AckRequest", "required", ["lease"]), "/lease is required now"),
    "a narrower type": (
        put(f"{SCHEMAS}|JobOptions|properties|ttl_ms", "type", "integer"),
        "/ttl_ms: type ['integer', 'null'] against ['integer']",
    ),
    "a lower maximum": (
        put(f"{SCHEMAS}|JobOptions|properties|max_attempts", "maximum", 10),
        "maximum 10000 against 10",
    ),
    "a shorter text": (
        put(f"{SCHEMAS}|PushItem|properties|name", "maxLength", 9),
        "maxLength 1024 against 9",
    ),
    "a word that is refused": (
        drop(f"{SCHEMAS}|JobOptions|properties|backoff|enum", "linear"),
        "enum ['fixed', 'linear', 'exponential', None] against",
    ),
    "another pattern": (
        put(f"{SCHEMAS}|PushItem|properties|name", "pattern", "^[a-z]+$"),
        "against ^[a-z]+$",
    ),
    "a member of an answer": (drop(f"{SCHEMAS}|Job|properties", "run_at"), "/run_at is gone"),
    "a member that may be missing": (drop(f"{SCHEMAS}|Job|required", "run_at"), "/run_at is optional now"),
    "a null in an answer": (
        put(f"{SCHEMAS}|Job|properties|name", "type", ["string", "null"]),
        "/name: type ['null', 'string'] against ['string'], which breaks answers",
    ),
    "a word in an answer": (add(f"{SCHEMAS}|JobState|enum", "lost"), "which breaks answers"),
    "a larger number in an answer": (
        put(f"{SCHEMAS}|Job|properties|progress", "maximum", 255),
        "maximum 255 against 100, which breaks answers",
    ),
    "another kind of answer": (
        add(f"{PUSH}|responses|201|content|application/json|schema|oneOf", {"type": "null"}),
        "oneOf had 2 alternatives and has 3",
    ),
    "a command": (drop("wire|operations", "heartbeat_batch"), "the command heartbeat_batch is gone"),
    "a command of a later version": (put("wire|operations|pull", "wire", 2), "was of 1"),
    "a field of a command": (drop("wire|operations|pull|fields", "names"), "the field names is gone"),
    "a field that is required": (
        put("wire|objects|AckItem|lease", "required", True),
        "AckItem: the field lease is required now",
    ),
    "a field of another type": (
        put("wire|operations|pull|fields|count", "type", "string"),
        "the field count was int and is string",
    ),
    "a member of an answer over TCP": (
        drop("wire|operations|stats|answer", "paused"),
        "stats: the answer has no paused any more",
    ),
    "a lower limit": (put("wire|limits", "batch_items", 10), "the limit batch_items was 1000"),
    "a higher lower limit": (put("wire|limits", "lease_ms_min", 2000), "the limit lease_ms_min was"),
    "a notice": (drop("wire|notices", "goaway"), "the notice goaway has no"),
    "a code": (drop("codes", "LEASE_LOST"), "the code LEASE_LOST is gone"),
    "another status of a code": (put("codes|LEASE_LOST", "status", 410), "status was 409 and is 410"),
    "a detail": (drop("codes|ID_CONFLICT|details", "pointer"), "details has no pointer any more"),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_found(name: str) -> None:
    change, said = BREAKS[name]
    broken = copy.deepcopy(NOW)
    if name == "a parameter":
        parameters = at(broken, f"{FIND}|parameters")
        parameters[:] = [each for each in parameters if each.get("name") != "tag"]
    else:
        change(broken)

    found = breaks(NOW, broken)

    assert any(said in each for each in found), found


HARMLESS: dict[str, Change] = {
    "an operation": put("openapi|paths", "/new", {"get": {"operationId": "x", "responses": {}}}),
    "an optional field": put(f"{SCHEMAS}|AckRequest|properties", "colour", {"type": "string"}),
    "a member of an answer": put(f"{SCHEMAS}|Job|properties", "colour", {"type": "string"}),
    "a member that is always there now": add(f"{SCHEMAS}|Job|required", "metadata"),
    "a higher maximum": put(f"{SCHEMAS}|JobOptions|properties|max_attempts", "maximum", 10**6),
    "a word more in a request": add(f"{SCHEMAS}|JobOptions|properties|backoff|enum", "random"),
    "a smaller number in an answer": put(f"{SCHEMAS}|Job|properties|progress", "maximum", 99),
    "a command": put("wire|operations", "steal", {"wire": 2, "fields": {}, "answer": {}}),
    "an error's status": put(f"{PUSH}|responses", "418", {"description": ""}),
    "a code": put("codes", "TEAPOT", {"status": 418}),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_breaks_nothing_is_no_break(name: str) -> None:
    changed = copy.deepcopy(NOW)
    HARMLESS[name](changed)

    assert changed != NOW
    assert breaks(NOW, changed) == []


def test_the_newest_release_counts(tmp_path: Path) -> None:
    for version in ("0.9.0", "0.10.0", "0.2.11"):
        (tmp_path / f"{version}.json").write_text("{}", encoding="utf-8")

    last = newest(tmp_path)
    assert last is not None
    assert last.stem == "0.10.0"
    assert newest(tmp_path / "none") is None
