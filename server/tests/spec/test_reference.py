"""What the server ships of the specification: one JSON document, and a page that needs nothing else."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import pytest

FILES = resources.files("jobwire_server.http_api")
VOID = frozenset({"meta", "link"})


def file(name: str) -> str:
    return FILES.joinpath(name).read_text(encoding="utf-8")


class Page(HTMLParser):
    """Collects what the tests look at, and insists that every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.targets += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, self.getpos()


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(file("reference.html"))


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file("openapi.json"))
    return loaded


def references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_the_document_refers_to_nothing_outside_itself(document: dict[str, Any]) -> None:
    found = references(document)

    assert found
    assert {reference for reference in found if not reference.startswith("#/components/")} == set()


def test_the_page_is_whole(page: Page) -> None:
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))


def test_the_page_obeys_a_policy_that_allows_its_own_style_only(page: Page) -> None:
    assert page.tags & {"script", "style", "iframe", "img", "object", "form"} == set()
    assert {name for name in page.attributes if name == "style" or name.startswith("on")} == set()
    assert "url(" not in file("reference.css")
    assert "@import" not in file("reference.css")


def test_every_link_of_the_page_stays_on_it(page: Page) -> None:
    outside = {target for target in page.targets if not target.startswith("#")}

    assert outside == {"docs/reference.css"}
    assert {target.removeprefix("#") for target in page.targets} - outside <= set(page.ids)


def test_the_page_has_every_operation_schema_and_error(
    page: Page, document: dict[str, Any], spec: Any
) -> None:
    operations = {
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    }
    schemas = {f"schema-{name}" for name in document["components"]["schemas"]}
    errors = {
        f"error-{code}" for code, entry in spec.errors["codes"].items() if "http" in entry["doors"]
    }

    assert operations | schemas | errors <= set(page.ids)
