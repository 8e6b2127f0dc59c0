"""Writes the reference page of the HTTP API: static HTML and CSS, no script, nothing from elsewhere.

Every piece of text goes through `html.escape` in `_text` or `_tag`; nothing else makes markup of a string of the specification.
"""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any, Final

from bundle import bundled, resolve
from check_openapi import Route, routes
from source import as_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    from source import Spec

FOLDER: Final = "server/src/jobwire_server/http_api"
STYLE_PATH: Final = "docs/reference.css"  # beside /api/v1/docs
_CODE: Final = re.compile(r"`([^`]+)`")
_BOUNDS: Final = {
    "minimum": "from {}",
    "maximum": "to {}",
    "x-max-bytes": "at most {} bytes",
    "maxItems": "at most {} items",
    "x-max-depth": "at most {} levels deep",
    "pattern": "matches {}",
    "default": "default {}",
    "x-default": "default {}",
}


def outputs(spec: Spec) -> dict[str, str]:
    """The two files of this module: path → text."""
    return {f"{FOLDER}/reference.html": _page(spec), f"{FOLDER}/reference.css": _STYLE}


# --- markup -------------------------------------------------------------------------------------------------------


def _tag(name: str, *inner: str, **attributes: str) -> str:
    """An element; `inner` is markup already, attributes are plain text (`cls` is `class`)."""
    shown = "".join(
        f' {key.replace("cls", "class")}="{html.escape(value)}"'
        for key, value in attributes.items()
    )
    return f"<{name}{shown}>{''.join(inner)}</{name}>"


def _text(text: Any) -> str:
    """Plain text as markup, with `code` in backticks."""
    return _CODE.sub(lambda match: f"<code>{match[1]}</code>", html.escape(str(text)))


def _code(text: str) -> str:
    return _tag("code", html.escape(text))


def _link(target: str, text: str) -> str:
    return _tag("a", html.escape(text), href=f"#{target}")


def _rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table; cells are markup already."""
    top = _tag("tr", *(_tag("th", _text(cell), scope="col") for cell in head))
    body = "\n".join(_tag("tr", *(_tag("td", cell) for cell in row)) for row in rows)
    return f"{_tag('table', _tag('thead', top), _tag('tbody', body))}\n"


def _paragraphs(text: str) -> str:
    return "".join(f"{_tag('p', _text(part))}\n" for part in text.strip().split("\n\n"))


def _example(name: str, value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    summary = _tag("summary", _text(f"Example: {name}"))
    return f"{_tag('details', summary, _tag('pre', _tag('code', html.escape(shown))))}\n"


# --- the page -----------------------------------------------------------------------------------------------------


def _page(spec: Spec) -> str:
    document = bundled(spec)
    info = document["info"]
    main = [
        _tag("h1", _text(info["title"])),
        _tag(
            "p",
            _text(f"Version {info['version']}, below {document['servers'][0]['url']}"),
            cls="note",
        ),
        "\n",
        _paragraphs(info["description"]),
        _authentication(document),
        *(_section(document, tag) for tag in document["tags"]),
        _schemas(document),
        _errors(spec),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(info['title'])}</title>\n"
        f'<link rel="stylesheet" href="{STYLE_PATH}">\n</head>\n<body>\n'
        f"<!-- Generated {html.escape(document['x-generated'])} -->\n"
        f"{_tag('a', 'Skip to the operations', href='#tag-jobs', cls='skip')}\n"
        f"{_navigation(document)}\n<main>\n{''.join(main)}</main>\n</body>\n</html>\n"
    )


def _navigation(document: dict[str, Any]) -> str:
    parts = [
        _tag("p", _link(f"tag-{tag['name']}", tag["name"])) + _menu(document, tag["name"])
        for tag in document["tags"]
    ]
    ends = _tag("p", _link("schemas", "schemas")) + _tag("p", _link("errors", "errors"))
    return _tag("nav", *parts, ends, **{"aria-label": "Operations"})


def _menu(document: dict[str, Any], tag: str) -> str:
    items = [
        _tag("li", _link(route.id, route.operation["summary"])) for route in _of(document, tag)
    ]
    return _tag("ul", *items)


def _of(document: dict[str, Any], tag: str) -> list[Route]:
    return [route for route in routes(document) if route.operation["tags"] == [tag]]


def _authentication(document: dict[str, Any]) -> str:
    scheme = document["components"]["securitySchemes"]["bearer"]
    said = f"Send `Authorization: Bearer <token>`. {scheme['description']}"
    return f"{_tag('h2', 'Authentication', id='authentication')}\n{_paragraphs(said)}"


def _section(document: dict[str, Any], tag: dict[str, Any]) -> str:
    name = tag["name"]
    title = _tag("h2", _text(name.capitalize()), id=f"tag-{name}")
    operations = "".join(_operation(document, route) for route in _of(document, name))
    return f"{title}\n{_paragraphs(tag['description'])}{operations}"


# --- operations ---------------------------------------------------------------------------------------------------


def _operation(document: dict[str, Any], route: Route) -> str:
    method, path = route.name.split()
    operation = route.operation
    parts = [
        f"{_tag('h3', _text(operation['summary']))}\n",
        f"{_tag('p', _tag('b', method), ' ', _code(path), cls='route')}\n",
        _paragraphs(operation["description"]),
        f"{_tag('p', _facts(operation), cls='note')}\n",
        _parameters(document, operation),
        _request(document, operation),
        _answers(document, operation),
    ]
    return f"{_tag('section', *parts, id=route.id)}\n"


_RETRIES: Final = {
    "safe": "may be repeated",
    "with_id": "may be repeated with the same id, lease or request_id",
    "never": "is not to be repeated blindly",
}


def _facts(operation: dict[str, Any]) -> str:
    token = (
        "Needs no token."
        if operation.get("security") == []
        else "Needs a token where the server has any."
    )
    retry = f"After a lost answer it {_RETRIES[operation['x-retry']]}."
    requirements = ", ".join(operation["x-requirements"])
    command = f"The command {operation['x-command']} of wire.md. Requirements: {requirements}."
    return _text(f"{token} {retry} {command}")


def _parameters(document: dict[str, Any], operation: dict[str, Any]) -> str:
    parameters = [_followed(document, each) for each in operation.get("parameters", [])]
    if not parameters:
        return ""
    rows = [
        (
            _code(each["name"]) + _required(each.get("required", False)),
            _text(each["in"]),
            _kind(each["schema"]),
            _text(each["description"]) + _limits(_followed(document, each["schema"])),
        )
        for each in parameters
    ]
    return f"{_tag('h4', 'Parameters')}\n{_rows(('name', 'in', 'type', 'meaning'), rows)}"


def _request(document: dict[str, Any], operation: dict[str, Any]) -> str:
    request = operation.get("requestBody")
    if request is None:
        return ""
    media = request["content"]["application/json"]
    may = "" if request.get("required") else _tag("p", "It may be left out.")
    return f"{_tag('h4', 'Body')}\n{may}{_shape(document, media['schema'])}{_examples(document, media)}"


def _answers(document: dict[str, Any], operation: dict[str, Any]) -> str:
    responses = {
        status: _followed(document, each) for status, each in operation["responses"].items()
    }
    answers = "".join(
        _answer(document, status, each) for status, each in responses.items() if status < "400"
    )
    rows = [
        (
            _code(status),
            _text(each["description"]),
            ", ".join(map(_error_link, each["x-error-codes"])),
        )
        for status, each in responses.items()
        if status >= "400"
    ]
    return f"{_tag('h4', 'Answers')}\n{answers}{_rows(('status', 'when', 'codes'), rows)}"


def _answer(document: dict[str, Any], status: str, response: dict[str, Any]) -> str:
    kind, media = next(iter(response["content"].items()))
    said = _tag("p", _tag("b", status), " ", _text(response["description"]))
    note = "" if kind == "application/json" else _tag("p", _text(kind), cls="note")
    return f"{said}\n{note}{_shape(document, media['schema'])}{_examples(document, media)}"


def _examples(document: dict[str, Any], media: dict[str, Any]) -> str:
    if "example" in media:
        return _example("text", media["example"])
    return "".join(
        _example(name, _followed(document, each)["value"])
        for name, each in media.get("examples", {}).items()
    )


# --- schemas ------------------------------------------------------------------------------------------------------


def _schemas(document: dict[str, Any]) -> str:
    parts = [
        _tag(
            "section",
            f"{_tag('h3', _text(name))}\n",
            _paragraphs(schema.get("description", "")) if schema.get("description") else "",
            _shape(document, schema),
            "".join(_example("one", value) for value in schema.get("examples", [])),
            id=f"schema-{name}",
        )
        for name, schema in document["components"]["schemas"].items()
    ]
    title = _tag("h2", "Schemas", id="schemas")
    return f"{title}\n" + "\n".join(parts) + "\n"


def _shape(document: dict[str, Any], schema: dict[str, Any]) -> str:
    """A schema's members as a table, its choices one after another, or its type in a line."""
    if "$ref" in schema:
        return f"{_tag('p', _kind(schema))}\n"
    choices = schema.get("oneOf")
    if choices:
        return (
            _tag("p", "One of:")
            + _tag("ul", *(_tag("li", _kind(each)) for each in choices))
            + "\n"
            + "".join(_shape(document, each) for each in choices if "properties" in each)
        )
    properties = schema.get("properties")
    if not properties:
        return f"{_tag('p', _kind(schema), _limits(schema))}\n"
    required = schema.get("required", [])
    rows = [
        (_code(name) + _required(name in required), _kind(each), _meaning(document, each))
        for name, each in properties.items()
    ]
    more = "".join(
        _tag("p", "And the members of ", _kind(each)) for each in schema.get("allOf", [])
    )
    return _rows(("member", "type", "meaning"), rows) + more


def _meaning(document: dict[str, Any], schema: dict[str, Any]) -> str:
    said = schema.get("description") or _followed(document, schema).get("description", "")
    return _text(said) + _limits(schema)


def _kind(schema: dict[str, Any]) -> str:
    """The type of a schema in a word or two, with links to named ones."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return _link(f"schema-{name}", name)
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return " or ".join(_kind(each) for each in schema[key])
    if "const" in schema:
        return _code(json.dumps(schema["const"]))
    kinds = as_list(schema.get("type", "any JSON"))
    if "array" in kinds:
        rest = [f" or {kind}" for kind in kinds if kind != "array"]
        return f"list of {_kind(schema.get('items', {}))}{_text(''.join(rest))}"
    words = " or ".join(map(str, kinds))
    return _text(f"{words} ({schema['format']})" if "format" in schema else words)


def _limits(schema: dict[str, Any]) -> str:
    said = [
        words.format(json.dumps(schema[key])) for key, words in _BOUNDS.items() if key in schema
    ]
    if "enum" in schema:
        said.append("one of " + ", ".join(map(json.dumps, schema["enum"])))
    return _tag("div", _text("; ".join(said)), cls="note") if said else ""


def _required(required: bool) -> str:
    return " " + _tag("em", "required") if required else ""


def _followed(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = resolve(document, node["$ref"]) if "$ref" in node else node
    return found


# --- errors -------------------------------------------------------------------------------------------------------


def _errors(spec: Spec) -> str:
    rows = [
        (
            _tag("span", _code(code), id=f"error-{code}"),
            _text(", ".join(map(str, as_list(entry["status"])))),
            _tag("p", _text(entry["meaning"])) + _tag("p", _text(f"What to do: {entry['fix']}")),
            _text("yes" if entry["retryable"] else "no"),
        )
        for code, entry in spec.errors["codes"].items()
        if "http" in entry["doors"]
    ]
    title = _tag("h2", "Errors", id="errors")
    return f"{title}\n{_rows(('code', 'status', 'meaning', 'may succeed later'), rows)}"


def _error_link(code: str) -> str:
    return _tag("a", _code(code), href=f"#error-{code}")


_STYLE: Final = """\
/* Generated by spec/codegen/generate.py (reference.py); do not edit. */
:root {
  color-scheme: light dark;
  --text: #1c2128;
  --dim: #57606a;
  --back: #ffffff;
  --panel: #f6f8fa;
  --line: #d0d7de;
  --link: #0550ae;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e6edf3;
    --dim: #9da7b3;
    --back: #0d1117;
    --panel: #161b22;
    --line: #30363d;
    --link: #79b8ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0;
  color: var(--text);
  background: var(--back);
  font: 16px/1.5 system-ui, sans-serif;
}
a { color: var(--link); }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 8px; top: 8px; }
nav { padding: 16px; border-bottom: 1px solid var(--line); font-size: 14px; }
nav p { margin: 8px 0 0; font-weight: 600; text-transform: capitalize; }
nav ul { margin: 0; padding: 0 0 0 12px; list-style: none; }
main { max-width: 60rem; padding: 16px; }
section { margin: 0 0 40px; padding-top: 8px; border-top: 1px solid var(--line); }
:target { outline: 2px solid var(--link); outline-offset: 6px; }
h1, h2, h3, h4 { line-height: 1.25; }
h2 { margin-top: 48px; }
h4 { margin: 24px 0 8px; }
.note { color: var(--dim); font-size: 14px; }
.route { font-size: 18px; overflow-wrap: anywhere; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { margin: 8px 0; padding: 12px; overflow-x: auto; background: var(--panel); border-radius: 6px; }
details { margin: 8px 0; }
summary { cursor: pointer; }
table { width: 100%; margin: 8px 0 16px; border-collapse: collapse; font-size: 15px; }
th, td { padding: 6px 8px; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { white-space: nowrap; }
td p { margin: 0 0 4px; }
@media (min-width: 60rem) {
  body { display: grid; grid-template-columns: 17rem 1fr; }
  nav { position: sticky; top: 0; height: 100vh; overflow-y: auto; border: 0; border-right: 1px solid var(--line); }
}
@media print {
  nav { display: none; }
}
"""
