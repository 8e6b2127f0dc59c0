from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import jobwire  # noqa: F401 - a fixture
from tests.test_mode.subject import Subject

Start = Callable[..., Subject]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """One process on SQLite for the tests of a module."""
    server = Subject(tmp_path_factory.mktemp("shared"))
    yield server
    server.end()


@pytest.fixture
def server(shared: Subject) -> Iterator[Subject]:
    """The shared process, empty, its clock standing at START."""
    shared.control.post("/reset")
    shared.freeze()
    yield shared
    shared.hang_up()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes of the test's own."""
    servers: list[Subject] = []

    def start(*flags: str, **more: Any) -> Subject:
        servers.append(Subject(tmp_path, *flags, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.end()
