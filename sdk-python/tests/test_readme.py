"""The snippets of the README and of docs/sdks/python.md run as printed, against a real server."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live_server import LiveServer, live_server

from jobwire import Client

ROOT = Path(__file__).parents[2]
PAGES = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("sdk-python/README.md", "docs/sdks/python.md")
}
SNIPPETS = {
    f"{name}-{number}": snippet
    for name, text in PAGES.items()
    for number, snippet in enumerate(
        re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    )
}
HELLO_WORKER = "docs/sdks/python.md-0"  # the one that runs until it is told to stop
HELLO_WORKER_LINES = 10

pytestmark = pytest.mark.acceptance


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server() as running:
        yield running


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) >= 7 + 11
    assert sum(text.count("```python") for text in PAGES.values()) == len(SNIPPETS)


@pytest.mark.parametrize("name", [name for name in SNIPPETS if name != HELLO_WORKER])
def test_a_snippet_runs(name: str, server: LiveServer) -> None:
    done = subprocess.run(
        _command(SNIPPETS[name], server), capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""


def test_the_first_worker_does_a_job_and_ends_when_it_is_told_to() -> None:
    with live_server() as server:
        _work_one_job(server)


def _work_one_job(server: LiveServer) -> None:
    worker = subprocess.Popen(_command(SNIPPETS[HELLO_WORKER], server), stderr=subprocess.PIPE)
    try:
        with Client(server.url("http")) as client:
            pushed = client.push("emails", "welcome", {"to": "ada@example.com"})
            deadline = time.monotonic() + 60
            while client.get_job(pushed.id).state != "completed" and time.monotonic() < deadline:
                time.sleep(0.02)
            worker.send_signal(signal.SIGTERM)
            _, said = worker.communicate(timeout=60)

            assert client.get_job(pushed.id).state == "completed"
    finally:
        worker.kill()
    assert (worker.returncode, said) == (0, b"")


def test_the_first_worker_is_short() -> None:
    lines = [line for line in SNIPPETS[HELLO_WORKER].splitlines() if line]

    assert len(lines) <= HELLO_WORKER_LINES


def _command(snippet: str, server: LiveServer) -> list[str]:
    for printed, port in (("6790", server.http_port), ("6789", server.tcp_port)):
        snippet = snippet.replace(f"localhost:{printed}", f"127.0.0.1:{port}")
    return [sys.executable, "-W", "error", "-c", snippet]
