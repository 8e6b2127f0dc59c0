"""What SqliteStore does with its files: ownership, versions, damage, crashes, full disks and failing ones."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.store.disks import Disk
from tests.store.jobs import NOW, a_job, current, ids, make, offer, pull, push

from jobwire_server.engine import decide
from jobwire_server.engine.flows import resolve_child
from jobwire_server.errors import StoreFailed, StoreFull, StoreInUse, StoreUnusable
from jobwire_server.model import Change, ClaimRequest, JobFilter, PushItem
from jobwire_server.store.base import Inserted, KeyTaken
from jobwire_server.store.sqlite import SqliteStore, schema
from jobwire_server.store.sqlite.changing import apply_all
from jobwire_server.store.sqlite.session import Session
from jobwire_server.store.sqlite.space import Ballast
from jobwire_server.store.sqlite.writer import Writer

BALLAST = 2 * 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "jobs.db"


def a_store(path: Path, **options: Any) -> SqliteStore:
    return SqliteStore(path, resolve_child, **{"ballast_bytes": BALLAST, **options})


@pytest.fixture
def disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk under the database whose space also counts for the ballast."""
    disk = Disk(path)
    monkeypatch.setattr(Ballast, "_free_bytes", lambda ballast: disk.free())
    return disk


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b" if path.exists() else "wb") as file:
        file.seek(offset)
        file.write(data)


def cut_off(path: Path, size: int) -> None:
    os.truncate(path, path.stat().st_size - size)


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteStore]:
    store = a_store(path, **options)
    await store.open(NOW)
    try:
        yield store
    finally:
        await store.close()


# --- opening and closing ---


async def test_reopening_keeps_everything(path: Path) -> None:
    async with opened(path) as store:
        [parent, big] = await push(store, a_job(), a_job(data=b'"' + b"x" * 9_999 + b'"'))
        await push(store, a_job(unique_key="k"), a_job(depends_on=(parent.id,)))
        await pull(store, request_id="r")
        await store.set_queue("mail", {"lease_ms": 5_000})
        before = await store.find(JobFilter(), limit=9, cursor=None)
        info = store.queue("mail")

    async with opened(path) as store:
        assert before == await store.find(JobFilter(), limit=9, cursor=None)
        assert info == store.queue("mail")
        assert [parent.id] == ids(await pull(store, request_id="r"))
        assert isinstance((await offer(store, a_job(unique_key="k")))[0], KeyTaken)
        assert big == await current(store, big)


async def test_order_of_acceptance_goes_on_after_reopening(path: Path) -> None:
    async with opened(path) as store:
        [first] = await push(store, a_job())
    async with opened(path) as store:
        [second] = await push(store, a_job())

        assert [first.id, second.id] == ids(await pull(store, count=2))


async def test_a_closed_store_leaves_one_whole_file(path: Path) -> None:
    async with opened(path) as store:
        await push(store, a_job())

    assert not path.with_name("jobs.db-wal").exists()
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute("PRAGMA integrity_check").get == "ok"
    connection.close()


async def test_every_connection_syncs_each_commit(path: Path, disk: Disk) -> None:
    async with opened(path, vfs=disk.name) as store:
        assert store.durability == "fsync"
        before = disk.syncs

        await push(store, a_job())

        assert disk.syncs > before


@pytest.mark.parametrize(
    ("synchronous", "durability"), [("NORMAL", "os-crash-loss"), ("OFF", "memory")]
)
async def test_durability_is_what_the_connection_says(
    path: Path, synchronous: Any, durability: str
) -> None:
    async with opened(path, synchronous=synchronous) as store:
        assert durability == store.durability


async def test_the_directory_is_made(tmp_path: Path) -> None:
    async with opened(tmp_path / "a" / "b" / "jobs.db") as store:
        await push(store, a_job())


async def test_a_store_that_is_not_open_says_so(path: Path) -> None:
    store = a_store(path)

    with pytest.raises(RuntimeError, match="not open"):
        await store.get([])


async def test_close_finishes_what_was_accepted(path: Path) -> None:
    store = a_store(path)
    await store.open(NOW)
    jobs = [a_job() for _ in range(20)]
    calls = [asyncio.ensure_future(offer(store, job)) for job in jobs]
    await asyncio.sleep(0)  # each call reaches the writer's queue

    await store.close()

    assert all(isinstance(outcome, Inserted) for [outcome] in await asyncio.gather(*calls))
    async with opened(path) as store:
        assert store.queue("mail").counts == {"waiting": 20}


async def test_a_caller_that_gives_up_harms_nobody(path: Path) -> None:
    async with opened(path) as store:
        task = asyncio.ensure_future(offer(store, a_job()))
        await asyncio.sleep(0)
        task.cancel()

        await push(store, a_job())

        assert store.queue("mail").counts["waiting"] == 2


async def test_two_event_loops_share_a_store(path: Path) -> None:
    async with opened(path) as store:
        barrier = threading.Barrier(2)
        taken: list[str] = []

        async def drain() -> None:
            barrier.wait(10)
            while jobs := await pull(store, count=3):
                taken.extend(ids(jobs))

        jobs = await push(store, *[a_job() for _ in range(100)])
        threads = [threading.Thread(target=lambda: asyncio.run(drain())) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)

        assert sorted(ids(jobs)) == sorted(taken)


async def test_an_error_of_one_call_does_not_harm_its_group(path: Path) -> None:
    async with opened(path) as store:
        answers = await asyncio.gather(
            offer(store, a_job()),
            offer(store, a_job(name="\ud800")),
            offer(store, a_job()),
            return_exceptions=True,
        )

        assert isinstance(answers[1], UnicodeEncodeError)
        assert store.queue("mail").counts == {"waiting": 2}


async def test_grace_moves_no_lease_that_was_given_after_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was set back by an hour; the claim reads the new clock, and is served in one group with the grace (JW-TIME-2)."""
    may_serve, serve = threading.Event(), Writer.serve

    def serve_later(self: Writer, calls: Any) -> Any:
        assert may_serve.wait(10)
        return serve(self, calls)

    monkeypatch.setattr(Writer, "serve", serve_later)
    hour = 3_600_000
    async with opened(path) as store:
        request = ClaimRequest(queues=("mail",), count=1, default_lease_ms=30_000)
        steps = (
            lambda: push(store, a_job()),
            lambda: store.grace(NOW - hour, -hour),
            lambda: store.claim(request, NOW - hour),
        )
        calls = []
        for step in steps:
            calls.append(asyncio.ensure_future(step()))
            await asyncio.sleep(0)  # it has put its call
        may_serve.set()
        _, graced, [job] = await asyncio.gather(*calls)

        assert graced == 0
        [kept] = await store.get([job.id])
        assert kept is not None
        assert kept.lease_expires_at == NOW - hour + 30_000


# --- whose file it is ---


async def test_a_second_owner_is_refused(path: Path) -> None:
    async with opened(path):
        with pytest.raises(StoreInUse, match=f"process {os.getpid()} on "):
            await a_store(path).open(NOW)

    async with opened(path):
        pass


async def test_a_second_owner_in_this_process_is_refused_under_another_name(path: Path) -> None:
    """To open the file and close it again would end SQLite's own locks on it."""
    async with opened(path):
        os.link(path, path.with_name("other.db"))

        with pytest.raises(StoreInUse, match="by another name of the file"):
            await a_store(path.with_name("other.db")).open(NOW)

        assert "POSIX" in locks_on(path)


async def test_a_reader_does_not_keep_a_closed_store_connected(path: Path) -> None:
    """Else SQLite's locks would end with the owner's, and a store that is opened again would have none."""
    reader = apsw.Connection(str(path))
    async with opened(path) as store:
        await push(store, a_job())
        reader.execute("BEGIN; SELECT * FROM sqlite_schema").fetchall()
        await push(store, a_job())

    assert [each for each in apsw.connections() if each is not reader] == []
    reader.close()


def locks_on(path: Path) -> str:
    inode = path.stat().st_ino
    lines = Path("/proc/locks").read_text().splitlines()
    return "\n".join(line for line in lines if f":{inode} " in line)


async def test_the_lock_of_a_dead_process_is_free(path: Path) -> None:
    path.with_name("jobs.db.lock").write_text("process 1 on elsewhere\n")

    async with opened(path) as store:
        await push(store, a_job())


async def test_a_failed_open_lets_go_of_the_file(path: Path) -> None:
    overwrite(path, 0, b"not a database" * 100)
    store = a_store(path)
    with pytest.raises(StoreUnusable):
        await store.open(NOW)

    os.unlink(path)
    await store.open(NOW)
    await store.close()


async def test_the_database_of_another_program_is_refused(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE theirs (id)")
    connection.close()

    with pytest.raises(StoreUnusable, match="another program"):
        await a_store(path).open(NOW)


async def test_an_empty_file_is_a_new_store(path: Path) -> None:
    overwrite(path, 0, b"")

    async with opened(path) as store:
        await push(store, a_job())


# --- versions ---


async def test_a_newer_schema_is_refused(path: Path) -> None:
    async with opened(path):
        pass
    connection = apsw.Connection(str(path))
    connection.execute("INSERT INTO migrations VALUES (9999, 'future', 'x', 0)")
    connection.close()

    with pytest.raises(StoreUnusable, match="newer version of Jobwire"):
        await a_store(path).open(NOW)


async def test_a_changed_migration_is_refused(path: Path) -> None:
    async with opened(path):
        pass
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE migrations SET sha256 = 'other' WHERE version = 1")
    connection.close()

    with pytest.raises(StoreUnusable, match="another migration 0001"):
        await a_store(path).open(NOW)


def test_migrations_are_applied_once_and_in_order() -> None:
    connection = apsw.Connection("")
    first = schema.Migration(1, "first", "CREATE TABLE one (x)")
    second = schema.Migration(2, "second", "ALTER TABLE one ADD COLUMN y")

    assert schema.migrate(connection, [first], "db", NOW) == ["first"]
    assert schema.migrate(connection, [first, second], "db", NOW) == ["second"]
    assert schema.migrate(connection, [first, second], "db", NOW) == []
    connection.close()


def test_a_migration_that_fails_leaves_the_old_schema() -> None:
    connection = apsw.Connection("")
    first = schema.Migration(1, "first", "CREATE TABLE one (x)")
    broken = schema.Migration(2, "broken", "CREATE TABLE two (x); SELECT nonsense FROM one")
    schema.migrate(connection, [first], "db", NOW)

    with pytest.raises(apsw.SQLError):
        schema.migrate(connection, [first, broken], "db", NOW)

    assert not connection.table_exists("main", "two")
    assert connection.execute("SELECT version FROM migrations").fetchall() == [(1,)]
    connection.close()


def test_the_migrations_of_this_version_are_numbered_without_gaps() -> None:
    found = [migration.version for migration in schema.migrations()]

    assert list(range(1, len(found) + 1)) == found


# --- damage ---


async def filled(path: Path, jobs: int = 200) -> list[str]:
    async with opened(path) as store:
        return ids(await push(store, *[a_job() for _ in range(jobs)]))


@pytest.mark.parametrize("cut", [1, 4_096, 50_000])
async def test_a_truncated_file_is_refused(path: Path, cut: int) -> None:
    await filled(path)
    cut_off(path, cut)

    with pytest.raises(StoreUnusable, match="damaged"):
        await a_store(path).open(NOW)


async def test_a_damaged_page_is_refused(path: Path) -> None:
    await filled(path)
    overwrite(path, 10 * 4_096, b"\xff" * 4_096)

    with pytest.raises(StoreUnusable, match="damaged"):
        await a_store(path).open(NOW)


async def damage_payload(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("""UPDATE jobs SET data = '{"to": "mallory"}'""")
    connection.close()


@pytest.mark.parametrize(
    "read",
    [
        lambda store, job_id: pull(store),
        lambda store, job_id: store.get([job_id]),
        lambda store, job_id: store.find(JobFilter(), limit=5, cursor=None),
    ],
)
async def test_a_wrong_payload_is_never_given_out(
    path: Path, read: Callable[[SqliteStore, str], Awaitable[Any]]
) -> None:
    [job_id, *_] = await filled(path, 1)
    await damage_payload(path)

    async with opened(path) as store:
        with pytest.raises(StoreFailed, match=job_id):
            await read(store, job_id)
        with pytest.raises(StoreFailed, match=job_id):
            await store.check()


async def test_a_big_payload_that_is_missing_is_noticed(path: Path) -> None:
    async with opened(path) as store:
        await push(store, a_job(data=b'"' + b"x" * 5_000 + b'"'))
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM payloads")
    connection.close()

    async with opened(path) as store:
        with pytest.raises(StoreFailed, match="checksum"):
            await pull(store)


# --- crashes ---

CHILD = """
import asyncio, sys
from jobwire_server.engine.flows import resolve_child
from jobwire_server.model import PushItem
from jobwire_server.store.sqlite import SqliteStore
from tests.store.jobs import NOW, a_job

async def caller(store):
    while True:
        jobs = [a_job() for _ in range(3)]
        await store.insert([PushItem(job) for job in jobs], atomic=True, now=NOW)
        print(*(job.id for job in jobs), flush=True)

async def main():
    store = SqliteStore(sys.argv[1], resolve_child, ballast_bytes=4096)
    await store.open(NOW)
    await asyncio.gather(*(caller(store) for _ in range(4)))

asyncio.run(main())
"""


def run_and_kill(path: Path, after_lines: int) -> list[list[str]]:
    """Let a process insert batches of three, kill -9 it, and tell which batches it was told to be kept."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    with child, child.stdout:
        lines = [child.stdout.readline() for _ in range(after_lines)]
        child.send_signal(signal.SIGKILL)
        lines += child.stdout.readlines()
    assert child.returncode == -signal.SIGKILL
    return [line.split() for line in lines if line.endswith("\n")]


@pytest.mark.parametrize("after_lines", [1, 40, 300])
async def test_kill_9_loses_nothing_that_was_acknowledged(path: Path, after_lines: int) -> None:
    acknowledged = run_and_kill(path, after_lines)

    async with opened(path) as store:
        found = await store.get([job_id for batch in acknowledged for job_id in batch])
        assert len(acknowledged) >= after_lines
        assert None not in found
        # Whole batches only: the count, which was kept in the same transactions, agrees with the rows.
        rows = len(await pull(store, count=10_000))
        assert rows % 3 == 0
        assert {"active": rows} == store.queue("mail").counts


async def test_a_crash_between_statements_leaves_whole_transactions_only(path: Path) -> None:
    """The statements of a transaction are stopped one by one, as if the process had died there."""
    for stop_at in range(1, 12):
        file = path.with_name(f"{stop_at}.db")
        async with opened(file) as store:
            [parent] = await push(store, a_job(unique_key="k"))
            [child] = await push(store, a_job(depends_on=(parent.id,)))
            [running] = await pull(store)
            change = decide.ack(running, None, b"1", NOW)
            assert isinstance(change, Change)
            is_done = await asyncio.to_thread(stop_after, store, stop_at, change)

        async with opened(file) as store:
            after = [job.state for job in await store.get([parent.id, child.id]) if job]
            expected = ["completed", "waiting"] if is_done else ["active", "blocked"]
            assert expected == after
            assert dict.fromkeys(expected, 1) == store.queue("mail").counts


def stop_after(store: SqliteStore, statements: int, change: Change) -> bool:
    """Run one transaction of the writer and break it before its n-th statement; whether it was over by then."""
    connection = store._connections[0]
    session = Session(connection, store._board, resolve_child, max_depth=9, scan_rows=9)
    left = statements

    def trace(cursor: apsw.Cursor, sql: str, binds: Any) -> bool:
        nonlocal left
        left -= 1
        return left > 0 or sql == "ROLLBACK"

    connection.exec_trace = trace
    try:
        session.transact(lambda: apply_all(session, [([change], NOW)]))
    except apsw.ExecTraceAbort:
        return False
    finally:
        connection.exec_trace = None
    return True


# --- a disk that is full ---


async def fill(store: SqliteStore) -> None:
    """Push until the disk is full."""
    data = b'"' + b"x" * 20_000 + b'"'

    async def push_on() -> None:
        for _ in range(2_000):
            await push(store, a_job(data=data))

    with pytest.raises(StoreFull):
        await push_on()


async def test_a_full_disk_refuses_pushes_and_lets_acks_go_on(path: Path, disk: Disk) -> None:
    async with opened(path, vfs=disk.name) as store:
        jobs = await push(store, *[a_job(priority=1) for _ in range(50)])
        running = await pull(store, count=50)
        disk.budget = disk.used() + 200_000
        await fill(store)

        assert store.is_full
        with pytest.raises(StoreFull):
            await store.check()
        for job in running:
            await make(store, decide.ack(job, None, b'"done"', NOW))
        assert store.queue("mail").counts["completed"] == 50
        assert (await current(store, jobs[0])).state == "completed"
        with pytest.raises(StoreFull):
            await push(store, a_job())


async def test_a_push_that_found_the_disk_full_left_nothing(path: Path, disk: Disk) -> None:
    async with opened(path, vfs=disk.name) as store:
        disk.budget = disk.used() + 400_000
        await fill(store)
        counted = store.queue("mail").counts["waiting"]

    async with opened(path) as store:
        assert {"waiting": counted} == store.queue("mail").counts
        assert counted == len(await pull(store, count=5_000))


def tell_when_there_is_space(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    loop, has_space, probe = asyncio.get_running_loop(), asyncio.Event(), Writer._probe

    def probe_and_tell(writer: Writer) -> None:
        probe(writer)
        if not writer._health.is_full:
            loop.call_soon_threadsafe(has_space.set)

    monkeypatch.setattr(Writer, "_probe", probe_and_tell)
    monkeypatch.setattr("jobwire_server.store.sqlite.writer.PROBE_SECONDS", 0.01)
    return has_space


async def test_pushes_work_again_when_there_is_space(
    path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_space = tell_when_there_is_space(monkeypatch)
    async with opened(path, vfs=disk.name) as store:
        ballast = path.with_name("jobs.db.ballast")
        assert ballast.stat().st_size == BALLAST
        disk.budget = disk.used() + 200_000
        await fill(store)
        assert store.is_full

        disk.budget = None
        async with asyncio.timeout(10):
            await has_space.wait()  # found by the writer's own probe, not by a call

        assert not store.is_full
        await push(store, a_job())
        assert ballast.stat().st_size == BALLAST


async def test_one_push_too_many_does_not_harm_the_acks_beside_it(path: Path, disk: Disk) -> None:
    async with opened(path, vfs=disk.name) as store:
        await push(store, a_job())
        [running] = await pull(store)
        change = decide.ack(running, None, None, NOW)
        assert isinstance(change, Change)
        disk.budget = disk.used() + 50_000
        huge = PushItem(a_job(data=b'"' + b"x" * 900_000 + b'"'))

        refused, acked = await asyncio.gather(
            store.insert([huge], atomic=True, now=NOW),
            store.apply([change], NOW),
            return_exceptions=True,
        )

        assert isinstance(refused, StoreFull)
        assert isinstance(acked, list)
        assert store.queue("mail").counts == {"completed": 1}


# --- a disk that fails ---


async def test_a_failed_fsync_is_final(path: Path, disk: Disk) -> None:
    failures: list[StoreFailed] = []
    async with opened(path, vfs=disk.name, on_failed=failures.append) as store:
        [kept] = await push(store, a_job())
        disk.fail_sync = True

        answers = await asyncio.gather(
            *(offer(store, a_job()) for _ in range(5)), return_exceptions=True
        )

        assert [StoreFailed] * 5 == [type(answer) for answer in answers]
        disk.fail_sync = False
        for call in (pull(store), store.get([kept.id]), store.check(), store.next_due()):
            with pytest.raises(StoreFailed):
                await call
        assert len(failures) == 1

    async with opened(path) as store:
        assert kept == await current(store, kept)


async def test_a_folder_that_cannot_be_synced_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)

    with pytest.raises(StoreUnusable, match=r"cannot sync the directory .*: Input/output error"):
        await a_store(path).open(NOW)


async def test_a_file_system_that_cannot_sync_folders_is_accepted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            asked.append(handle)
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", fsync)
    store = a_store(path)

    await store.open(NOW)

    assert asked
    await store.close()
