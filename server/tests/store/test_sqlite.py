"""SqliteStore keeps the contract of every store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.store.contract import SCAN_ROWS, StoreContract
from tests.store.jobs import NOW
from tests.store.races import RaceContract

from jobwire_server.engine.flows import resolve_child
from jobwire_server.store.sqlite import SqliteStore


class TestSqliteStore(StoreContract, RaceContract):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        store = SqliteStore(
            tmp_path / "jobs.db", resolve_child, scan_rows=SCAN_ROWS, ballast_bytes=4_096
        )
        await store.open(NOW)
        yield store
        await store.close()
