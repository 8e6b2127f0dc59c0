"""The imports flow one way, and the pure rooms stay pure: the contracts of pyproject.toml, run as a test."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[1]
SOURCES = SERVER / "src" / "jobwire_server"
IMPURE = {
    "aiohttp",
    "apsw",
    "asyncio",
    "logging",
    "os",
    "random",
    "selectors",
    "socket",
    "sqlite3",
    "structlog",
    "subprocess",
    "threading",
    "time",
}


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=SERVER,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("room", ["engine", "wire"])
def test_the_pure_rooms_import_no_io_clock_chance_or_log(room: str) -> None:
    for path in sorted((SOURCES / room).rglob("*.py")):
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert not roots & IMPURE, path.name


def test_only_the_clock_and_the_ids_read_the_time_of_the_day() -> None:
    readers = {
        path.name
        for path in SOURCES.rglob("*.py")
        if "time.time" in path.read_text()
        and "time" in imports_of(path)
        and path.parent.name != "cli"  # programs that a person runs, with no clock of the server's
    }

    assert readers == {"clock.py", "ids.py"}


def test_only_the_composition_root_names_the_stores() -> None:
    concrete = {"jobwire_server.store.memory", "jobwire_server.store.sqlite"}
    namers = {
        path.relative_to(SOURCES).as_posix()
        for path in SOURCES.rglob("*.py")
        if imports_of(path) & concrete and "store/" not in path.relative_to(SOURCES).as_posix()
    }

    assert "app.py" in namers
    assert all(name == "app.py" or name.startswith("cli/") for name in namers)
