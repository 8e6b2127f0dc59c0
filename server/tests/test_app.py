"""How a server ends."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from jobwire_server import app
from jobwire_server.config import HttpSettings, Settings, TcpSettings
from jobwire_server.errors import StoreFailed


async def test_a_store_that_fails_while_the_server_drains_is_no_clean_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = f"sqlite:///{tmp_path}/jobs.db"
    settings = Settings(storage=storage, http=HttpSettings(port=0), tcp=TcpSettings(port=0))

    async def drain(server: Any, *_: object) -> None:
        server.core.store._health.fail(StoreFailed("fsync failed"))
        await asyncio.sleep(0)

    monkeypatch.setattr(app, "_drain", drain)

    with pytest.raises(StoreFailed, match="fsync failed"):
        await app.serve(settings, on_started=lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
