"""The four servers that have to pass: the fake and the real one, each over HTTP and over TCP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contract.target import FakeTarget, RealTarget, Target
from tests.live_server import LiveServer, live_server

from jobwire import Client
from jobwire.testing import FakeServer

TARGETS = ("fake-http", "fake-tcp", "real-http", "real-tcp")
# A real server runs in a process of its own and on the real clock: `make check` leaves it out.
PARAMS = [
    pytest.param(name, marks=[pytest.mark.slow] if name.startswith("real") else [])
    for name in TARGETS
]


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for all tests, on a file as in production; each test has queues of its own."""
    file = tmp_path_factory.mktemp("contract") / "jobs.db"
    with live_server("--storage", f"sqlite:///{file}") as running:
        yield running


@pytest.fixture(params=PARAMS)
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    kind, door = request.param.split("-")
    if kind == "real":
        yield RealTarget(request.getfixturevalue("real_server").url(door), door)
        return
    with FakeServer() as fake:
        yield FakeTarget(fake.url if door == "http" else fake.tcp_url, door, fake)


@pytest.fixture
def client(target: Target) -> Iterator[Client]:
    """Without retries, so that each error is the first answer."""
    with target.client() as one:
        yield one


@pytest.fixture
def other(target: Target) -> Iterator[Client]:
    """A second client with connections of its own, such as another process has."""
    with target.client() as one:
        yield one


@pytest.fixture
def queue(target: Target) -> str:
    return target.new_queue()
