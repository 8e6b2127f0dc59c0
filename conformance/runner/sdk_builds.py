"""Drivers that have to be built before they run: the command of one is known when it is asked for, and by then it is fresh."""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from conformance.runner.driver_messages import DriverBroken

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
BUILD: Final = _REPOSITORY / "build"
_GO_DRIVER: Final = BUILD / "go-driver"
GO_SDK: Final = _REPOSITORY / "sdk-go"
_GO_SOURCES: Final = (_REPOSITORY / "conformance" / "drivers" / "go", GO_SDK)

Command: TypeAlias = "Sequence[str] | Callable[[], Sequence[str]]"


class Commands(Mapping[str, Sequence[str]]):
    """SDK → the command of its driver. A function among *commands* is called each time its command is wanted."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands

    def __getitem__(self, sdk: str) -> Sequence[str]:
        command = self._commands[sdk]
        return command() if callable(command) else command

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)


@contextlib.contextmanager
def one_at_a_time(what: str) -> Iterator[None]:
    """Several processes of a test run ask at once for what is built; the first builds it, the others wait."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"{what}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def go_driver() -> Sequence[str]:
    """The command of the Go driver, built when a source is newer. DriverBroken when that fails."""
    with one_at_a_time("go-driver"):
        if not _is_fresh(_GO_DRIVER, _GO_SOURCES):
            _build_go()
    return (str(_GO_DRIVER),)


def _is_fresh(built: Path, sources: Sequence[Path]) -> bool:
    if not built.is_file():
        return False
    newest = max(
        file.stat().st_mtime
        for source in sources
        for pattern in ("**/*.go", "**/go.mod")
        for file in source.glob(pattern)
        if not file.name.endswith("_test.go")
    )
    return built.stat().st_mtime > newest


def _build_go() -> None:
    done = run_go("build", "-o", str(_GO_DRIVER), ".", folder=_GO_SOURCES[0])
    if done.returncode != 0:
        raise DriverBroken(f"the Go driver does not build: {done.stderr[-2000:]}")


def run_go(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The go command in *folder*, offline: nothing but the standard library is needed."""
    return subprocess.run(
        [str(_REPOSITORY / "tools" / "go.sh"), "go", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
