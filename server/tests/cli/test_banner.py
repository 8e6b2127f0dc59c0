from __future__ import annotations

import ast
import json
import re
import shlex

import pytest

from jobwire_server.cli.banner import Started, banner, first_lines
from jobwire_server.config import load
from jobwire_server.wire.commands import COMMANDS, OBJECT_FIELDS

STARTED = Started(http_port=7001, tcp_port=7002, durability="fsync")


def of(environ: dict[str, str]) -> str:
    return banner(load(environ=environ), STARTED)


def test_it_names_the_bound_addresses_and_the_durability() -> None:
    text = of({})

    assert "http://127.0.0.1:7001" in text
    assert "tcp://127.0.0.1:7002" in text
    assert "fsync: every accepted job is on the disk before it is answered" in text


def test_it_says_test_mode_and_where_its_control_api_is() -> None:
    started = Started(http_port=1, tcp_port=2, durability="memory", control="http://127.0.0.1:3")

    text = banner(load(environ={}), started)

    assert "TEST MODE: programs on this machine may stop its clock" in text
    assert "  test control  http://127.0.0.1:3\n" in text
    assert "test" not in of({}).lower().replace("latest", "")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("::1", "http://[::1]:7001"),
        ("0.0.0.0", "http://127.0.0.1:7001"),
        ("::", "http://[::1]:7001"),
    ],
)
def test_its_urls_can_be_connected_to(host: str, url: str) -> None:
    assert url in of({"JOBWIRE_HOST": host, "JOBWIRE_INSECURE": "true"})


def test_it_says_who_may_call() -> None:
    assert "none, for programs on this machine only" in of({})
    assert "2 tokens" in of({"JOBWIRE_TOKENS": "canary-a,canary-b"})
    assert "NONE: whoever reaches the address may do everything" in of({"JOBWIRE_INSECURE": "true"})


def test_it_shows_no_token_and_its_lines_take_it_from_the_environment() -> None:
    text = of({"JOBWIRE_TOKENS": "canary-a"})

    assert "canary" not in text
    assert text.count('-H "Authorization: Bearer $JOBWIRE_TOKEN"') == 3


# --- the lines to paste, against the wire ----------------------------------------------------------------------


def _curls() -> list[tuple[str, str]]:
    """The path and the body of each curl, as a shell takes the line apart."""
    lines = [line for line in first_lines("http://h:1", with_token=True) if "curl" in line]
    commands = [re.search(r"curl [^|)]*", line.replace("$ID", "ID"))[0] for line in lines]  # type: ignore[index]
    found = []
    for command in commands:
        words = shlex.split(command)
        url = next(word for word in words if word.startswith("http://h:1"))
        assert "Content-Type: application/json" in words
        found.append((url.removeprefix("http://h:1/api/v1"), words[words.index("-d") + 1]))
    return found


@pytest.mark.parametrize(
    ("index", "command", "fields"),
    [
        (0, "push", OBJECT_FIELDS["PushItem"]),
        (1, "pull", COMMANDS["pull"].fields),
        (2, "ack", OBJECT_FIELDS["AckItem"]),
    ],
)
def test_each_curl_is_a_request_of_the_wire(
    index: int, command: str, fields: tuple[str, ...]
) -> None:
    path, body = _curls()[index]

    routes = [re.sub(r"{.*?}", "[^/]+", route) for route in COMMANDS[command].http]
    assert any(re.fullmatch(route, f"POST {path}") for route in routes)
    assert set(json.loads(body)) <= set(fields)


def test_the_python_lines_are_python() -> None:
    lines = first_lines("http://h:1", with_token=False)
    code = "\n".join(line[2:] for line in lines[lines.index("  from jobwire import Client") :])

    calls = [
        node.func.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    assert len(code.splitlines()) == 6
    assert sorted(calls) == ["ack", "pull", "push"]
