"""Every test here runs on each kind of store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.stores import KINDS, new_store
from tests.world import World

from jobwire_server.clock import ManualClock
from jobwire_server.store.base import Store


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=KINDS)
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Store]:
    opened = new_store(request.param, tmp_path)
    await opened.open(clock.now())
    yield opened
    await opened.close()


@pytest.fixture
def world(store: Store, clock: ManualClock) -> World:
    return World(store, clock)
