"""Null servers answer on both doors as they say, and a case that asserts nothing is found out by them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from conformance.nullservers import KINDS, running
from conformance.runner.loader import load_file
from conformance.runner.nulling import findings

if TYPE_CHECKING:
    from pathlib import Path

    from conformance.runner.model import Case

_HEAD = "format: 1\nsuite: null/one\ncases:\n"
_EMPTY = """\
  - id: NULL-001
    title: a case that asks and asserts nothing of a queue
    covers: [JW-QUEUE-1]
    transports: [http, tcp1, tcp2]
    {more}
    steps:
      - do: stats
        with: {{queue: "{{{{queue}}}}"}}
        expect: {{$.never_there: {{absent: true}}}}
"""
_FULL = """\
  - id: NULL-002
    title: a case that asserts something
    covers: [JW-QUEUE-1]
    transports: [http, tcp1, tcp2]
    {more}
    steps:
      - do: stats
        with: {{queue: "{{{{queue}}}}"}}
        expect: {{$.counts.waiting: 0}}
"""


def cases(folder: Path, text: str, more: str = "") -> list[Case]:
    path = folder / "null" / "one.yaml"
    path.parent.mkdir()
    path.write_text(_HEAD + text.format(more=more))
    return load_file(path, folder)


async def told(cases: list[Case], *kinds: str) -> list[str]:
    return [
        f"{finding.case.id} {finding.kind}"
        for finding in await findings(cases, {kind: KINDS[kind] for kind in kinds or KINDS})
    ]


def test_there_are_at_least_ten_kinds() -> None:
    assert len(KINDS) >= 10


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
async def test_both_doors_answer_in_their_way(kind: object) -> None:
    from conformance.nullservers import Kind

    assert isinstance(kind, Kind)
    async with running(kind) as addresses:
        http = await _said(addresses.http_port, b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        tcp = await _said(addresses.tcp_port, b'{"cmd":"ping"}\n')

    assert http == (b"" if kind.manner != "answers" else kind.http(b"{}")) or "random" in kind.name
    assert bool(tcp) is (kind.manner == "answers")


async def _said(port: int, request: bytes) -> bytes:
    """All that comes back until the peer closes, or says nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        writer.write_eof()
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_a_case_that_asserts_nothing_is_reported(tmp_path: Path) -> None:
    assert await told(cases(tmp_path, _EMPTY), "ok_true") == ["NULL-001 ok_true"]


async def test_a_case_that_asserts_something_passes_on_no_kind(tmp_path: Path) -> None:
    assert await told(cases(tmp_path, _FULL)) == []


async def test_a_reason_explains_the_pass_of_its_kind_only(tmp_path: Path) -> None:
    reason = "passes_on_null: {kinds: [ok_true], because: nothing is what it shows}"

    assert await told(cases(tmp_path, _EMPTY, reason), "ok_true", "null") == []


async def test_a_reason_that_is_not_true_any_more_is_reported(tmp_path: Path) -> None:
    reason = "passes_on_null: {kinds: [closes], because: it once did}"

    assert await told(cases(tmp_path, _FULL, reason), "closes") == ["NULL-002 closes"]
