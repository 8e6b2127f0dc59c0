"""The servers that have to pass: the fake and the real one, each over HTTP and over TCP; or the fake of another SDK."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contract.fake_process import FakeProcess
from tests.contract.target import OTHER_FAKE, FakeTarget, RealTarget, Target, targets
from tests.live_server import LiveServer, live_server

from jobwire import Client
from jobwire.testing import FakeServer


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for all tests, on a file as in production; each test has queues of its own."""
    file = tmp_path_factory.mktemp("contract") / "jobs.db"
    with live_server("--storage", f"sqlite:///{file}") as running:
        yield running


@pytest.fixture(scope="session")
def other_fake() -> Iterator[FakeProcess]:
    """The fake of another SDK, one process for all tests."""
    with FakeProcess(OTHER_FAKE) as running:
        yield running


@pytest.fixture(params=targets("http", "tcp"))
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    kind, door = request.param.split("-")
    if kind == "real":
        yield RealTarget(request.getfixturevalue("real_server").url(door), door)
        return
    if kind == "other":
        process = request.getfixturevalue("other_fake")
        yield FakeTarget(process.urls[door], door, process)
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
