"""A headless Chromium that opens one page, in a process group and a profile of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0", "--mute-audio",
)  # fmt: skip
INSTALL = ("apt-get", "install", "-y", "--no-install-recommends", "chromium")


@cache
def chromium() -> str:
    """The program; installed by apt-get where it is missing and this is root. Without either the test is skipped, and says so."""
    if _find() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
    found = _find()
    if found is None:
        pytest.skip(
            "T41 NOT PROVED HERE: there is no Chromium, and it cannot be installed; run `apt-get install chromium`"
        )
    return found


def _install() -> None:
    """Once, whichever of the processes that share the tests comes first."""
    with (Path(tempfile.gettempdir()) / "proof-chromium.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _find() is None:
            subprocess.run(["apt-get", "update"], check=False, capture_output=True, timeout=300)
            subprocess.run(INSTALL, check=False, capture_output=True, timeout=600)


def _find() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def browsing(url: str, folder: Path, *, resolve: Sequence[str] = ()) -> Iterator[None]:
    """The page is open from the beginning to the end. `resolve` are host names that lead to this machine."""
    rules = ", ".join(f"MAP {name} 127.0.0.1" for name in resolve)
    command = [
        chromium(),
        *FLAGS,
        f"--user-data-dir={folder}",
        f"--host-resolver-rules={rules}",
        url,
    ]
    folder.mkdir(exist_ok=True)
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
