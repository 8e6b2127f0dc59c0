"""Files of released schemas, kept as SQL: `golden/schema_<number>.sql`, with what a server shows of each as JSON beside it.

`python -m tests.proof.crash.golden_files` writes those of the newest schema, and never changes one that exists: a release that brings a migration
runs it once, before it adds the migration.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
from tests.acceptance.processes import Server
from tests.proof.crash.kill_loop import jobs_in

from jobwire_server.store.sqlite import schema

GOLDEN = Path(__file__).parent / "golden"
QUEUES = ("golden-a", "golden-b")
FOR_EVER_MS = 3_155_760_000_000  # 100 years
LEASE_MS = 43_200_000
BIG = "x" * 3_000  # a payload that has a row of its own

# What may differ after a restart is not compared: instants of a lease.
COMPARED = (
    "id", "queue", "name", "state", "reason", "data", "result", "attempt", "max_attempts", "priority",
    "delivery", "unique_key", "tags", "depends_on", "errors", "logs", "progress", "run_at", "created_at",
)  # fmt: skip

Shown = dict[str, dict[str, Any]]  # by id


def golden_versions() -> list[int]:
    return sorted(int(path.stem.removeprefix("schema_")) for path in GOLDEN.glob("schema_*.sql"))


def restore(version: int, path: Path) -> Shown:
    """Make the file of a schema at `path`; answers what a server showed of it when it was kept."""
    connection = apsw.Connection(str(path))
    connection.execute((GOLDEN / f"schema_{version:04d}.sql").read_text())
    connection.pragma("journal_mode", "wal")
    connection.close()
    shown: Shown = json.loads((GOLDEN / f"schema_{version:04d}.json").read_text())
    return shown


def shown_by(server: Server) -> Shown:
    jobs = [job for queue in QUEUES for job in jobs_in(server, queue)]
    return {job["id"]: {name: job.get(name) for name in COMPARED} for job in jobs}


def dump(path: Path) -> list[str]:
    """The whole content as SQL statements, the same for the same content."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(_dumped(connection))
    finally:
        connection.close()


def _dumped(connection: apsw.Connection) -> Iterator[str]:
    yield f"PRAGMA application_id = {connection.pragma('application_id')}"
    tables = "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name"
    for name, sql in connection.execute(tables).fetchall():
        yield str(sql)
        for row in connection.execute(f'SELECT * FROM "{name}" ORDER BY 1, 2').fetchall():
            yield f'INSERT INTO "{name}" VALUES ({", ".join(map(apsw.format_sql_value, row))})'
    indexes = "SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name"
    yield from (str(sql) for (sql,) in connection.execute(indexes))


# ── Making them ──


def fill(server: Server) -> None:
    """Jobs in every state, and a row in every table."""
    kept = {f"retention_{state}_ms": FOR_EVER_MS for state in ("completed", "dlq", "cancelled")}
    with server.connect() as wire:

        def say(cmd: str, **fields: Any) -> Any:
            answer = wire.call(cmd=cmd, rid=1, **fields)
            assert answer["ok"], answer
            return answer

        def push(**options: Any) -> str:
            options = {"queue": QUEUES[0], "name": "golden", "data": {"n": 1}, **options}
            return str(say("push", id=str(uuid.uuid4()), **options)["id"])

        def pull() -> Any:
            return say("pull", queue=QUEUES[0], lease_ms=LEASE_MS, request_id="golden")["job"]

        say("hello", v=[2])
        for queue in QUEUES:
            say("queue_update", queue=queue, **kept)
        for options in (
            {"remove_on_complete": True},
            {},
            {},
            {},
        ):  # removed, completed, dlq, active
            push(**options, tags=["a", "b"], metadata={"m": 1}, timeout_ms=FOR_EVER_MS)
        say("ack", id=pull()["id"])
        say("ack", id=pull()["id"], result={"r": [1, "é"]})
        say("fail", id=pull()["id"], error="no", discard=True)
        held = pull()["id"]
        say("progress", id=held, progress=50, message="half")
        parent = push(unique_key="key", backoff_schedule_ms=[1, 2, 3], jitter=0.5)
        push(depends_on=[parent], flow_id="flow", group_id="group", custom_id="custom")
        push(delay_ms=FOR_EVER_MS // 2, lifo=True)
        say("cancel", id=push(priority=-5))
        push(data={"big": BIG})
        push(queue=QUEUES[1], unique_key="window", unique_for_ms=FOR_EVER_MS)
        say("queue_pause", queue=QUEUES[1], mode="both")


def main() -> None:
    version = schema.migrations()[-1].version
    target = GOLDEN / f"schema_{version:04d}.sql"
    assert not target.exists(), f"{target.name} is kept as it is"
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            fill(server.start())
            shown = shown_by(server)
            assert server.stop() == 0
        finally:
            server.end()
        GOLDEN.mkdir(exist_ok=True)
        target.write_text(";\n".join(dump(Path(folder) / "jobs.db")) + ";\n")
    target.with_suffix(".json").write_text(json.dumps(shown, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
