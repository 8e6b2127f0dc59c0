"""MemoryStore keeps the contract of every store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.store.contract import SCAN_ROWS, StoreContract
from tests.store.jobs import NOW
from tests.store.races import RaceContract

from jobwire_server.engine.flows import resolve_child
from jobwire_server.store.memory import MemoryStore


class TestMemoryStore(StoreContract, RaceContract):
    @pytest.fixture
    async def store(self) -> AsyncIterator[MemoryStore]:
        store = MemoryStore(resolve_child, scan_rows=SCAN_ROWS)
        await store.open(NOW)
        yield store
        await store.close()
