"""
The control of the benchmark: the server, made 5 ms slower for each batch that it inserts. Its ratios have to be worse.

Run as `python -m bench.control serve …`; for tests/test_bench.py, which measures it beside the real one.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jobwire_server.cli import main
from jobwire_server.store.sqlite import SqliteStore

DELAY_S = 0.005


def slow_down() -> None:
    insert = SqliteStore.insert

    async def slow_insert(*arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(DELAY_S)
        return await insert(*arguments, **options)

    setattr(SqliteStore, "insert", slow_insert)  # noqa: B010 - to a type checker a method is no variable


if __name__ == "__main__":
    slow_down()
    main()
