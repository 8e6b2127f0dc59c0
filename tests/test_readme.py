"""The README's lines work as printed, against a real server; only the ports and the worker's end are the test's."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"<!-- test: (\w+) -->\n```\w+\n(.*?)```", README, re.DOTALL)

pytestmark = pytest.mark.acceptance


class Ports:
    def __init__(self) -> None:
        self.http, self.tcp = _free_port(), _free_port()

    def put_into(self, text: str) -> str:
        """The text with this server's ports in place of the default ones."""
        return (
            text.replace("localhost:6790", f"127.0.0.1:{self.http}")
            .replace("localhost:6789", f"127.0.0.1:{self.tcp}")
            .replace("/dev/tcp/localhost/6789", f"/dev/tcp/127.0.0.1/{self.tcp}")
        )


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[Ports]:
    ports = Ports()
    arguments = [
        "--storage",
        f"sqlite:///{tmp_path}/jobs.db",
        "--http-port",
        str(ports.http),
        "--tcp-port",
        str(ports.tcp),
    ]
    server = subprocess.Popen(
        [sys.executable, "-m", "jobwire_server", "serve", *arguments], stderr=subprocess.DEVNULL
    )
    try:
        _until_ready(ports.http)
        yield ports
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0


def test_the_readme_has_examples_of_each_kind() -> None:
    assert [kind for kind, _ in BLOCKS] == ["shell", "python", "node", "go", "worker", "shell"]


@pytest.mark.parametrize("kind", ["python", "node", "go"])
def test_the_first_job_is_done_in_twelve_lines(kind: str) -> None:
    assert len([line for line in _block(kind).splitlines() if line]) <= 12


def test_the_first_job_in_curl(ports: Ports, tmp_path: Path) -> None:
    done = _shell(ports.put_into(_block("shell")), tmp_path)

    pushed, acked = done.strip().split("}{")
    assert '"outcome":"created"' in pushed
    assert acked == '"ok":true}'


def test_the_first_job_in_python(ports: Ports, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ports.put_into(_block("python"))],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.stderr == ""
    assert done.stdout == "welcome ada@example.com 0\ncompleted\n"


def test_the_first_job_in_node(ports: Ports, tmp_path: Path) -> None:
    build = ROOT / "conformance" / "drivers" / "node" / "build.mjs"
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "jobwire").symlink_to(ROOT / "sdk-node")
    (tmp_path / "first.mjs").write_text(ports.put_into(_block("node")))

    _tool("node.sh", "node", str(build), folder=tmp_path)
    printed = _tool("node.sh", "node", "first.mjs", folder=tmp_path)

    assert printed == "welcome ada@example.com 0\ncompleted\n"


@pytest.mark.timeout(300)  # a cold compiler on a busy machine
def test_the_first_job_in_go(ports: Ports, tmp_path: Path) -> None:
    module = "github.com/jobwire/jobwire/sdk-go"
    imports = f'import ("context"; "fmt"; "time"; jobwire "{module}")'
    (tmp_path / "go.mod").write_text(
        f"module first\n\ngo 1.22\n\nrequire {module} v0.0.0\n\nreplace {module} => {ROOT / 'sdk-go'}\n"
    )
    (tmp_path / "main.go").write_text(f"package main\n{imports}\n{ports.put_into(_block('go'))}")

    printed = _tool("go.sh", "go", "run", ".", folder=tmp_path)

    assert printed == 'welcome {"to":"ada@example.com"} 0\ncompleted\n'


def test_the_worker_does_jobs_until_it_is_told_to_stop(ports: Ports, tmp_path: Path) -> None:
    _shell(ports.put_into(_block("shell").splitlines()[0]), tmp_path)
    worker = subprocess.Popen(
        [sys.executable, "-u", "-c", ports.put_into(_block("worker"))],
        stdout=subprocess.PIPE,
        text=True,
    )

    assert worker.stdout is not None
    assert worker.stdout.readline() == "mail to ada@example.com\n"
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    worker.stdout.close()


def test_the_tcp_wire_by_hand(ports: Ports, tmp_path: Path) -> None:
    pushed, pulled, stats = _shell(ports.put_into(BLOCKS[-1][1]), tmp_path).splitlines()

    assert pushed.endswith('"outcome":"created","rid":1}')
    assert '"data":{"to":"ada@example.com"}' in pulled
    assert '"active":1' in stats


def _block(kind: str) -> str:
    """The first one of this kind."""
    return next(text for found, text in BLOCKS if found == kind)


def _tool(tool: str, *command: str, folder: Path) -> str:
    """What a command of Node.js or Go prints."""
    done = subprocess.run(
        [str(ROOT / "tools" / tool), *command],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _shell(script: str, folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _until_ready(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health/ready"):
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError("the server did not get ready in 20 s")
