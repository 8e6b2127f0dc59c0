"""The three e-mail apps, one an SDK, and how each is built and started."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.examples.processes import EXAMPLES

ROOT: Final = Path(__file__).parents[3]
NODE_APP: Final = ROOT / "sdk-node" / "examples" / "email_app"
BUILT: Final = (
    ROOT / "build" / "email_app"
)  # beside the other things that are built, once for all test processes
LOCK: Final = ROOT / "build" / "email_app.lock"


@dataclass(frozen=True)
class Commands:
    """What starts the web app and the worker."""

    web: list[str]
    worker: list[str]


def python_app() -> Commands:
    folder = EXAMPLES / "email_app"
    return Commands([sys.executable, f"{folder}/web.py"], [sys.executable, f"{folder}/worker.py"])


def node_app() -> Commands:
    """The SDK that it imports is built first, when a source is newer."""
    with_node = str(ROOT / "tools" / "node.sh")
    build = ROOT / "conformance" / "drivers" / "node" / "build.mjs"
    node = _run(with_node, "node", "-p", "process.execPath")
    _run(node, str(build))
    return Commands([node, f"{NODE_APP}/web.js"], [node, f"{NODE_APP}/worker.js"])


def go_app() -> Commands:
    """Built each time; the compiler finds out itself what has changed."""
    BUILT.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a program that runs cannot be written anew
        fresh = BUILT.with_name("email_app.new")
        go = [
            str(ROOT / "tools" / "go.sh"),
            "go",
            "build",
            "-o",
            str(fresh),
            "./examples/email_app",
        ]
        _run(*go, folder=ROOT / "sdk-go")
        fresh.replace(BUILT)
    return Commands([str(BUILT), "web"], [str(BUILT), "worker"])


APPS: Final[dict[str, Callable[[], Commands]]] = {
    "python": python_app,
    "node": node_app,
    "go": go_app,
}


def _run(*command: str, folder: Path = ROOT) -> str:
    """What it prints. AssertionError with what it said when it fails."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()
