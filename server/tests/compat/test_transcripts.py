"""
What RustQueue's three clients send, through real doors, and what they read of the answers (docs/compatibility.md).

Each YAML file here is one client over one door: its exchanges run one after another on a fresh server, over one connection.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobwire_server.app import Server, running
from jobwire_server.config import HttpSettings, Settings, TcpSettings

HERE = Path(__file__).parent
CLIENTS = sorted(path.stem for path in HERE.glob("*.yaml"))
PATIENCE = 20
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# RustQueue's spelling, which its clients may parse: UTC with Z, and fractions.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@asynccontextmanager
async def a_server() -> AsyncIterator[Server]:
    settings = Settings(storage="memory://", http=HttpSettings(port=0), tcp=TcpSettings(port=0))
    async with running(settings) as server:
        yield server


@asynccontextmanager
async def connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


def filled(text: str, saved: dict[str, str]) -> str:
    """The text of a request with the values that were saved."""
    return re.sub(r"\$(\w+)", lambda match: saved[match[1]], text)


def http_bytes(
    exchange: dict[str, Any], headers: dict[str, str], saved: dict[str, str], port: int
) -> bytes:
    body = filled(exchange.get("body", ""), saved).encode()
    lines = [f"{filled(exchange['request'], saved)} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if exchange["request"].startswith("POST"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def over_http(port: int, data: bytes) -> tuple[int, dict[str, Any]]:
    async with connection(port) as (reader, writer):
        writer.write(data)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)content-length: (\d+)", head)
        assert length is not None, head
        assert re.search(r"(?i)content-type: application/json\r\n", head), head
        answer: dict[str, Any] = json.loads(await reader.readexactly(int(length[1])))
        return int(head.split()[1]), answer


def differences(expected: Any, actual: Any, saved: dict[str, str], at: str = "") -> Iterator[str]:
    """Where the answer is not as a client needs it; members that it does not read may be anything."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, value in expected.items():
            if value == "$absent":
                if name in actual:
                    yield f"{at}/{name} is there"
            elif name not in actual:
                yield f"{at}/{name} is missing"
            else:
                yield from differences(value, actual[name], saved, f"{at}/{name}")
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        for index, pair in enumerate(zip(expected, actual, strict=True)):
            yield from differences(*pair, saved, f"{at}/{index}")
    elif not _is_as(expected, actual, saved):
        yield f"{at}: {actual!r} is not {expected!r}"


def _is_as(expected: Any, actual: Any, saved: dict[str, str]) -> bool:
    if expected == "$any":
        return True
    if expected in ("$uuid", "$time"):
        kind = UUID if expected == "$uuid" else TIME
        return isinstance(actual, str) and kind.fullmatch(actual) is not None
    if isinstance(expected, str) and expected.startswith("$"):
        return bool(actual == saved[expected[1:]])
    return type(expected) is type(actual) and bool(expected == actual)


def save(exchange: dict[str, Any], answer: dict[str, Any], saved: dict[str, str]) -> None:
    for name, path in exchange.get("save", {}).items():
        value: Any = answer
        for step in path.split("."):
            value = value[int(step)] if step.isdigit() else value[step]
        saved[name] = value


@pytest.mark.parametrize("client", [name for name in CLIENTS if name.endswith("http")])
async def test_a_client_over_http_is_understood(client: str) -> None:
    transcript = yaml.safe_load((HERE / f"{client}.yaml").read_text())
    saved: dict[str, str] = {}
    async with asyncio.timeout(PATIENCE), a_server() as server:
        for exchange in transcript["exchanges"]:
            data = http_bytes(exchange, transcript["headers"], saved, server.http.port)
            status, answer = await over_http(server.http.port, data)
            assert (status, list(differences(exchange["answer"], answer, saved))) == (
                exchange["status"],
                [],
            ), exchange["name"]
            save(exchange, answer, saved)


@pytest.mark.parametrize("client", [name for name in CLIENTS if name.endswith("tcp")])
async def test_a_client_over_tcp_is_understood(client: str) -> None:
    transcript = yaml.safe_load((HERE / f"{client}.yaml").read_text())
    saved: dict[str, str] = {}
    async with (
        asyncio.timeout(PATIENCE),
        a_server() as server,
        connection(server.tcp.port) as (reader, writer),
    ):
        for exchange in transcript["exchanges"]:
            writer.write(filled(exchange["line"], saved).encode() + b"\n")
            answer = json.loads(await reader.readline())
            assert list(differences(exchange["answer"], answer, saved)) == [], exchange["name"]
            save(exchange, answer, saved)


async def test_answers_over_tcp_stand_in_the_order_of_their_requests() -> None:
    lines = [b'{"cmd":"push","queue":"q","name":"n%d"}\n' % n for n in range(50)] + [
        b'{"cmd":"pull","queue":"q"}\n'
    ] * 50

    async with (
        asyncio.timeout(PATIENCE),
        a_server() as server,
        connection(server.tcp.port) as (reader, writer),
    ):
        writer.write(b"".join(lines))
        answers = [json.loads(await reader.readline()) for _ in lines]

    assert [answer["job"]["id"] for answer in answers[50:]] == [
        answer["id"] for answer in answers[:50]
    ]
    assert [answer["job"]["name"] for answer in answers[50:]] == [f"n{n}" for n in range(50)]


def test_a_difference_is_seen() -> None:
    """The comparison itself: each kind of difference."""
    answer = {"a": 1, "b": [1], "t": "2026-01-01T00:00:00+00:00", "u": "x", "extra": 1}

    for expected in (
        {"a": 2},
        {"a": True},
        {"a": "$absent"},
        {"c": 1},
        {"b": [1, 2]},
        {"t": "$time"},
        {"u": "$uuid"},
        {"u": "$saved"},
    ):
        assert list(differences(expected, answer, {"saved": "y"}))
    assert not list(
        differences({"a": 1, "b": [1], "c": "$absent", "u": "$saved"}, answer, {"saved": "x"})
    )
