"""The snippets of the README run as printed, against a real server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live_server import LiveServer, live_server

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server() as running:
        yield running


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 7
    assert TEXT.count("```python") == len(SNIPPETS)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_runs(number: int, server: LiveServer) -> None:
    snippet = SNIPPETS[number]
    for printed, port in (("6790", server.http_port), ("6789", server.tcp_port)):
        snippet = snippet.replace(f"localhost:{printed}", f"127.0.0.1:{port}")

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
