from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest
from tests.cli.conftest import Run

from jobwire_server.cli import backup
from jobwire_server.cli.doctor import lock_beside
from jobwire_server.store.sqlite import schema

STORE = Path("jobs.db")
COPY = Path("copy.db")


@pytest.fixture(autouse=True)
def store() -> Iterator[apsw.Connection]:
    """A store with two jobs counted, one of them only in its WAL."""
    connection = apsw.Connection(str(STORE))
    connection.pragma("journal_mode", "wal")
    schema.claim_file(connection, str(STORE))
    schema.migrate(connection, schema.migrations(), str(STORE), 0)
    connection.execute("INSERT INTO counts VALUES ('a', 'waiting', 1)")
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    connection.execute("INSERT INTO counts VALUES ('b', 'waiting', 1)")
    yield connection
    connection.close()


def counted(path: Path) -> int:
    connection = apsw.Connection(str(path))
    found: int = connection.execute("SELECT sum(n) FROM counts").get
    connection.close()
    return found


def leftovers() -> set[str]:
    """What there is beside the store and its copy."""
    return {path.name for path in Path().iterdir() if not path.name.startswith(STORE.name)}


@pytest.mark.parametrize("source", ["jobs.db", "sqlite:///jobs.db"])
def test_it_copies_what_is_in_the_wal_too(jobwire: Run, source: str) -> None:
    result = jobwire("backup", source, "copy.db")

    assert result.code == 0, result.err
    assert "waiting  2" in result.out
    assert "schema 1, checked" in result.out
    assert counted(COPY) == 2
    assert leftovers() == {"copy.db"}


def test_json_says_what_was_copied(jobwire: Run) -> None:
    said = json.loads(jobwire("backup", "jobs.db", "copy.db", "-o", "json").out)

    assert said["ok"]
    assert (said["source"], said["target"], said["schema"]) == ("jobs.db", "copy.db", 1)
    assert said["bytes"] == COPY.stat().st_size
    assert said["jobs"] == {"waiting": 2}
    assert said["seconds"] >= 0


def test_a_store_without_jobs_can_be_copied(jobwire: Run, store: apsw.Connection) -> None:
    store.execute("DELETE FROM counts")

    assert "jobs  0" in jobwire("backup", "jobs.db", "copy.db").out


def test_the_copy_has_the_rights_of_the_store(jobwire: Run) -> None:
    STORE.chmod(0o600)

    jobwire("backup", "jobs.db", "copy.db")

    assert COPY.stat().st_mode & 0o777 == 0o600


def test_one_state_is_copied_though_the_store_goes_on(
    jobwire: Run, store: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.execute("CREATE TABLE ballast AS SELECT zeroblob(400000)")

    @contextmanager
    def writing() -> Iterator[backup.Advance]:
        yield lambda done, total: store.execute("UPDATE counts SET n = n + 1") and None

    monkeypatch.setattr(backup, "_STEP_PAGES", 5)
    monkeypatch.setattr(backup, "_progress", writing)

    assert jobwire("backup", "jobs.db", "copy.db").code == 0
    assert counted(STORE) > 20
    assert counted(COPY) == 2


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("memory://", "memory:// has no file to copy"),
        ("none.db", "there is no file none.db"),
        ("sqlite:///none.db", "there is no file none.db"),
        ("sqlite://host/none.db", "sqlite URLs have three slashes"),
    ],
)
def test_a_wrong_source_is_a_wrong_command_line(jobwire: Run, source: str, message: str) -> None:
    result = jobwire("backup", source, "copy.db")

    assert (result.code, COPY.exists()) == (2, False)
    assert message in result.err


def test_it_does_not_write_over_a_file_unless_forced(jobwire: Run) -> None:
    COPY.write_text("precious")

    refused = jobwire("backup", "jobs.db", "copy.db")

    assert (refused.code, COPY.read_text()) == (2, "precious")
    assert "--force" in refused.err
    assert jobwire("backup", "jobs.db", "copy.db", "--force").code == 0
    assert counted(COPY) == 2


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("jobs.db", "is a store that is in use"),
        ("nowhere/copy.db", "there is no directory nowhere"),
        (".", "is a directory"),
    ],
)
def test_a_target_that_cannot_be_is_refused(jobwire: Run, target: str, message: str) -> None:
    result = jobwire("backup", "jobs.db", target, "--force")

    assert (result.code, counted(STORE)) == (2, 2)
    assert message in result.err


@pytest.mark.parametrize("end", ["-wal", "-shm", "-journal", ".lock", ".ballast"])
def test_the_files_beside_the_store_are_no_target(jobwire: Run, end: str) -> None:
    result = jobwire("backup", "jobs.db", f"jobs.db{end}", "--force")

    assert (result.code, counted(STORE)) == (2, 2)
    assert "belongs to the store" in result.err or "is in use" in result.err


def test_the_store_itself_is_no_target(jobwire: Run, store: apsw.Connection) -> None:
    store.close()

    assert "are the same file" in jobwire("backup", "jobs.db", "./jobs.db", "--force").err


def test_a_store_that_a_server_has_is_no_target(jobwire: Run) -> None:
    COPY.touch()
    with lock_beside(COPY).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = jobwire("backup", "jobs.db", "copy.db", "--force")

    assert (result.code, COPY.stat().st_size) == (2, 0)


def another_program(connection: apsw.Connection) -> None:
    connection.pragma("application_id", 1)


def newer(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO migrations VALUES (9999, 'future', 'x', 0)")


@pytest.mark.parametrize(
    ("change", "message", "fix"),
    [
        (another_program, "is not a Jobwire store", "name the file of a Jobwire store"),
        (
            newer,
            "newer version of Jobwire (schema 9999",
            "run the `jobwire backup` of that version",
        ),
    ],
)
def test_what_is_not_ours_is_refused(
    jobwire: Run, store: apsw.Connection, change: Any, message: str, fix: str
) -> None:
    change(store)

    result = jobwire("backup", "jobs.db", "copy.db")

    assert (result.code, leftovers()) == (1, set())
    assert message in result.err
    assert fix in result.err


def test_a_file_that_is_no_database_is_refused(jobwire: Run) -> None:
    Path("text").write_text("no database at all, only some text\n" * 100)

    result = jobwire("backup", "text", "copy.db")

    assert (result.code, COPY.exists()) == (1, False)
    assert "STORE_UNUSABLE" in result.err


def test_a_damaged_store_makes_no_copy(jobwire: Run, store: apsw.Connection) -> None:
    page = store.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'counts'").get
    size = store.pragma("page_size")
    store.close()
    with STORE.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 64)

    result = jobwire("backup", "jobs.db", "copy.db")

    assert (result.code, leftovers()) == (1, set())
    assert "nothing was written" in result.err


@pytest.mark.parametrize(
    ("error", "code", "fix"),
    [
        (apsw.FullError("full"), "DISK_FULL", "name a TARGET on another disk"),
        (PermissionError(13, "Permission denied"), "BACKUP_FAILED", "check the rights"),
        (KeyboardInterrupt(), "INTERRUPTED", "run it again"),
    ],
)
def test_a_copy_that_ends_early_leaves_nothing(
    jobwire: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: str, fix: str
) -> None:
    def fails(_path: Path) -> None:
        raise error

    monkeypatch.setattr(backup, "_sync", fails)

    result = jobwire("backup", "jobs.db", "copy.db")

    assert (result.code, leftovers()) == (1, set())
    assert code in result.err
    assert fix in result.err
