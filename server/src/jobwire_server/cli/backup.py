"""
`jobwire backup`: a consistent copy of a store's file, while a server owns it.

Plan: copy through SQLite's backup API inside one read transaction, to a temporary file in the target's folder; check the copy, fsync it, rename
      it, fsync the folder. A command that ends early leaves the target as it was.
Rule 1: the store is only read, over a read-only connection of this process; the owner's lock is not touched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import apsw
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jobwire_server.cli.doctor import is_locked, lock_beside
from jobwire_server.cli.exits import CliError, usage
from jobwire_server.cli.options import Output
from jobwire_server.cli.output import Format, console, say, show_json, show_members
from jobwire_server.store import urls
from jobwire_server.store.sqlite import schema

_STEP_PAGES: Final = 1_000  # 4 MiB between two looks at the progress
_BUSY_MS: Final = 10_000  # how long another process may hold the file, such as a server that starts
_MIB: Final = 1024 * 1024
_OF_A_STORE: Final = ("-wal", "-shm", "-journal", ".lock", ".ballast")  # the files beside a store
_BESIDE: Final = ("-wal", "-journal")  # what SQLite would apply to a file of that name

Advance = Callable[[int, int], None]  # (pages done, pages in all)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What was copied. `jobs` are the numbers of jobs by state."""

    source: str
    target: str
    bytes: int
    seconds: float
    schema: int
    jobs: dict[str, int]


def backup(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="URL of the store as for `serve`, or its file."),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="File that the backup is written to.")
    ],
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Write over TARGET if it exists.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """
    Copy a store to a file, consistently, while a server uses it or not.

    The copy is whole or not there, is checked, and is on the disk when the command ends.
    With -o json: {"ok", "source", "target", "bytes", "seconds", "schema", "jobs": {state: number}}.
    """
    path = _file_of(source)
    _check_target(path, target, force=force)
    summary = copy(path, target)
    if output is Format.JSON:
        show_json({"ok": True, **asdict(summary)})
    else:
        _show(summary)


def _show(summary: Summary) -> None:
    show_members(summary.jobs or {"jobs": 0})
    size, took = summary.bytes / _MIB, summary.seconds
    say(f"{summary.target}: {size:.1f} MiB in {took:.1f} s, schema {summary.schema}, checked")


# --- what may be copied where ----------------------------------------------------------------------------------


def _file_of(source: str) -> Path:
    """The file of a storage URL, or the path that was given."""
    path = Path(source)
    if "://" in source:
        try:
            storage = urls.parse(source)
        except ValueError as error:
            raise usage(f"SOURCE: {error}") from error
        if storage.kind != "sqlite":
            raise usage("memory:// has no file to copy", "name the sqlite:/// store of the server")
        path = Path(storage.path)
    if not path.is_file():
        raise usage(f"there is no file {path}", "name the store as in `serve --storage`")
    return path


def _check_target(source: Path, target: Path, *, force: bool) -> None:
    if not target.parent.is_dir():
        raise usage(f"there is no directory {target.parent}", f"mkdir -p {target.parent}")
    if target.is_dir():
        raise usage(f"{target} is a directory", "name a file in it")
    if _is_open(target):
        raise usage(f"{target} is a store that is in use, or was not closed", "name another TARGET")
    file = source.resolve()
    if target.resolve() in {file.with_name(file.name + end) for end in _OF_A_STORE}:
        raise usage(f"{target} belongs to the store that is copied", "name another TARGET")
    if target.exists() and target.samefile(source):
        raise usage("SOURCE and TARGET are the same file", "name another TARGET")
    if target.exists() and not force:
        raise usage(f"{target} exists", "name another TARGET, or give --force to write over a file")


def _is_open(target: Path) -> bool:
    """Whether a server has it, or SQLite would apply to it what stands beside it."""
    logs = [target.with_name(target.name + end) for end in _BESIDE]
    lock = lock_beside(target)
    is_pending = any(log.exists() and log.stat().st_size for log in logs)
    return is_pending or (lock.exists() and is_locked(lock))


# --- the copy --------------------------------------------------------------------------------------------------


def copy(source: Path, target: Path) -> Summary:
    """Copy the store at `source` to `target`, which is replaced. Raises CliError."""
    began = time.monotonic()
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with _told(source, target), _cleared(part):
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode(source)))
            _fill(source, part)
            number, jobs = _examine(part)
            size = part.stat().st_size
            _sync(part)
            part.rename(target)
            _sync(target.parent)
    except KeyboardInterrupt:
        raise CliError("INTERRUPTED", f"stopped; {target} is as it was", "run it again") from None
    return Summary(
        source=str(source),
        target=str(target),
        bytes=size,
        seconds=round(time.monotonic() - began, 3),
        schema=number,
        jobs=jobs,
    )


def _mode(source: Path) -> int:
    return source.stat().st_mode & 0o777


@contextmanager
def _cleared(part: Path) -> Iterator[None]:
    """Nothing unfinished stays behind."""
    try:
        yield
    finally:
        for path in (part, *(part.with_name(part.name + end) for end in _BESIDE)):
            with suppress(FileNotFoundError):
                path.unlink()


@contextmanager
def _told(source: Path, target: Path) -> Iterator[None]:
    """What SQLite and the operating system say, as an error with its fix."""
    try:
        yield
    except apsw.FullError as error:
        raise _full(source, target) from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise _unusable(f"{source} cannot be read as a store: {error}") from error
    except (apsw.Error, OSError) as error:
        raise CliError(
            "BACKUP_FAILED", str(error), f"check the rights and the disks of {source} and {target}"
        ) from error


def _full(source: Path, target: Path) -> CliError:
    need = source.stat().st_size / _MIB
    return CliError(
        "DISK_FULL",
        f"no space left in {target.absolute().parent}; the copy needs about {need:.0f} MiB",
        "free that much, or name a TARGET on another disk",
    )


def _unusable(message: str) -> CliError:
    return CliError("STORE_UNUSABLE", message, "name the file of a Jobwire store")


def _fill(source: Path, part: Path) -> None:
    reading = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    writing = apsw.Connection(str(part))
    try:
        reading.set_busy_timeout(_BUSY_MS)
        reading.execute("BEGIN")  # one state of the store, however long the copy takes
        _check_source(reading, source)
        with writing.backup("main", reading, "main") as copying, _progress() as advance:
            while not copying.done:
                copying.step(_STEP_PAGES)
                advance(copying.page_count - copying.remaining, copying.page_count)
    finally:
        writing.close(True)
        reading.close(True)


def _check_source(connection: apsw.Connection, source: Path) -> None:
    if connection.pragma("application_id") != schema.APPLICATION_ID:
        raise _unusable(f"{source} is not a Jobwire store")
    number, known = _schema_of(connection), schema.migrations()[-1].version
    if number > known:
        raise CliError(
            "STORE_UNUSABLE",
            f"{source} was written by a newer version of Jobwire (schema {number}, this one knows {known})",
            "run the `jobwire backup` of that version",
        )


def _schema_of(connection: apsw.Connection) -> int:
    number: int = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").get
    return number


def _examine(part: Path) -> tuple[int, dict[str, int]]:
    """The schema of the copy, and its jobs by state. Immutable, so that nothing is made beside it."""
    uri = f"{part.absolute().as_uri()}?immutable=1"
    connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    try:
        complaint = connection.execute("PRAGMA quick_check(1)").get
        if complaint != "ok":
            raise CliError(
                "STORE_DAMAGED",
                f"the store is damaged, and so would be the copy ({complaint}); nothing was written",
                "restore an older backup, or recover what can be read with SQLite's .recover",
            )
        counted: Any = connection.execute("SELECT state, sum(n) FROM counts GROUP BY state")
        return _schema_of(connection), dict(counted.fetchall())
    finally:
        connection.close(True)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _progress() -> Iterator[Advance]:
    """A bar on stderr where that is a terminal, and nothing elsewhere."""
    terminal = console(to_stderr=True)
    columns = (TextColumn("copying"), BarColumn(), TextColumn("{task.percentage:.0f} %"))
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=terminal,
        transient=True,
        disable=not terminal.is_terminal,
    ) as bar:
        task = bar.add_task("copying")
        yield lambda done, total: bar.update(task, completed=done, total=total)
