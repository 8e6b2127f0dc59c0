"""
`jobwire doctor`: one look at everything that an installation stands on, each with ok, warn or fail, and the fix.

Nothing is changed: the store's file is only read, and fsync is measured on a file of its own beside it.
"""

from __future__ import annotations

import email.utils
import fcntl
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from jobwire_server import __version__, config
from jobwire_server.cli.banner import Started, http_url
from jobwire_server.cli.exits import CliError, Exit
from jobwire_server.cli.options import ConfigFile, Output, Token, Url
from jobwire_server.cli.output import Format, show_json, show_table
from jobwire_server.cli.remote import Answer, Remote, from_environment
from jobwire_server.config import ConfigError, Loaded
from jobwire_server.store import urls

_SQLITE_MAGIC: Final = b"SQLite format 3\0"
_MIB: Final = 1024 * 1024
_FULL: Final = 64 * _MIB  # less free space than this fails, less than _TIGHT warns
_TIGHT: Final = 1024 * _MIB
_SLOW_FSYNC_MS: Final = (
    20.0  # about 50 commits a second; group commit still carries many jobs a commit
)
_FSYNCS: Final = 25
_SKEW_S: Final = 5.0
_BUILT: Final = 1_767_225_600  # 2026-01-01: a clock before this was never set


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found. `fix` is empty for ok."""

    check: str
    result: Literal["ok", "warn", "fail"]
    message: str
    fix: str = ""


def _ok(check: str, message: str) -> Finding:
    return Finding(check=check, result="ok", message=message)


def _warn(check: str, message: str, fix: str) -> Finding:
    return Finding(check=check, result="warn", message=message, fix=fix)


def _fail(check: str, message: str, fix: str) -> Finding:
    return Finding(check=check, result="fail", message=message, fix=fix)


def doctor(
    file: ConfigFile = None, url: Url = None, token: Token = None, output: Output = Format.TABLE
) -> None:
    """
    Check the configuration, the store, the disk, the clock and the server; exits 1 when something fails.

    With -o json: {"ok", "checks": [{"check", "result", "message", "fix"}]}.
    """
    findings = list(_examine(file, url, token))
    healthy = all(finding.result != "fail" for finding in findings)
    if output is Format.JSON:
        show_json({"ok": healthy, "checks": [asdict(finding) for finding in findings]})
    else:
        columns = ("check", "result", "message", "fix")
        show_table(columns, [list(asdict(finding).values()) for finding in findings], empty="")
    if not healthy:
        raise CliError(
            "UNHEALTHY", "at least one check failed", "each failed check has its fix beside it"
        )


def _examine(file: Path | None, url: str | None, token: str | None) -> Iterator[Finding]:
    try:
        loaded = config.load(file)
    except ConfigError as error:
        for problem in error.problems:
            yield _fail("configuration", str(problem), "change that setting")
        return
    yield _ok("configuration", f"valid ({loaded.file or 'no file, defaults and environment'})")
    health, findings = _reach(_remote(loaded, url, token))
    yield from _store(loaded, health)
    yield _clock(health)
    yield from findings


# --- the store's file and its disk -----------------------------------------------------------------------------


def _store(loaded: Loaded, health: Answer | None) -> Iterator[Finding]:
    storage = urls.parse(loaded.settings.storage)
    if storage.kind != "sqlite":
        yield _warn("store", "memory:// keeps nothing", "set storage to sqlite:///./jobwire.db")
        return
    path = Path(storage.path)
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        fix = f"make the directory: mkdir -p {path.parent}, writable for this user"
        yield _fail("store", f"cannot write in {path.parent.absolute()}", fix)
        return
    yield _file(path)
    yield _owner(path, health)
    yield _space(path)
    yield _fsync(path)
    yield from _synchronous(loaded)


def _file(path: Path) -> Finding:
    if not path.exists():
        return _ok("store", f"{path} will be made at the first start")
    try:
        with path.open("r+b") as file:
            magic = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        return _fail(
            "store",
            f"cannot open {path} ({error.strerror})",
            "give this user the file, read and write",
        )
    if magic not in (_SQLITE_MAGIC, b""):
        return _fail(
            "store",
            f"{path} is no SQLite file",
            "name another file in storage, or restore a backup",
        )
    return _ok("store", f"{path}, {path.stat().st_size // _MIB} MiB")


def _owner(path: Path, health: Answer | None) -> Finding:
    """Who holds the lock beside the file. Asking takes the lock for an instant, shared, so nothing is disturbed."""
    lock = lock_beside(path)
    if not lock.exists() or not is_locked(lock):
        return _ok("owner", "no process has the store open")
    if health is not None:
        return _ok("owner", "a running server has the store open")
    return _warn(
        "owner",
        "a process has the store open, and no server answers",
        "name that server with --url, or stop the process; a second `jobwire serve` would exit 3",
    )


def lock_beside(path: Path) -> Path:
    """The file that the owner of a store holds a lock on; a link is another name of the same store."""
    file = path.resolve()
    return file.with_name(file.name + ".lock")


def is_locked(lock: Path) -> bool:
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        fcntl.flock(file, fcntl.LOCK_UN)
        return False


def _space(path: Path) -> Finding:
    free = shutil.disk_usage(path.parent).free
    message = f"{free // _MIB} MiB free"
    fix = "free space, or move the store; with a full disk pushes are refused (STORAGE_FULL)"
    if free < _FULL:
        return _fail("disk", message, fix)
    return _warn("disk", message, fix) if free < _TIGHT else _ok("disk", message)


def _fsync(path: Path) -> Finding:
    try:
        p50 = _fsync_p50_ms(path.parent)
    except OSError as error:
        return _fail(
            "fsync",
            f"cannot write beside the store ({error.strerror})",
            "check the disk and its rights",
        )
    message = f"{p50:.2f} ms (median of {_FSYNCS})"
    if p50 > _SLOW_FSYNC_MS:
        return _warn(
            "fsync",
            message,
            "use a faster disk, or push and ack in batches; one commit waits this long",
        )
    return _ok("fsync", message)


def _fsync_p50_ms(folder: Path) -> float:
    """The median time of a 4 KiB append and fsync in this folder."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_FSYNCS):
            file.write(bytes(4096))
            file.flush()
            before = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - before)
    return statistics.median(times) * 1000


def _synchronous(loaded: Loaded) -> Iterator[Finding]:
    mode = loaded.settings.sqlite.synchronous
    if mode != "full":
        message = (
            f"sqlite.synchronous is {mode}: accepted jobs can be lost in a crash of the machine"
        )
        yield _warn("durability setting", message, "set sqlite.synchronous to full")


# --- the clock -------------------------------------------------------------------------------------------------


def _clock(health: Answer | None) -> Finding:
    """Against the server's Date header, whose resolution is a second; alone, only that the clock was ever set."""
    now = _now()
    fix = "set the clock of this machine (NTP)"
    if now < _BUILT:
        return _fail("clock", "the clock is before 2026", fix)
    there = email.utils.parsedate_to_datetime(health.date) if health and health.date else None
    if there is None:
        return _ok("clock", "set; no server to compare it with")
    skew = now - there.timestamp()
    if abs(skew) > _SKEW_S:
        return _warn("clock", f"{skew:+.0f} s beside the server's", fix)
    return _ok("clock", "as the server's")


def _now() -> float:
    return time.time()


# --- the server ------------------------------------------------------------------------------------------------


def _remote(loaded: Loaded, url: str | None, token: str | None) -> Remote:
    """The server that was named, else the one that this configuration describes."""
    if url or os.environ.get("JOBWIRE_URL"):
        return from_environment(url, token)
    ports = Started(
        http_port=loaded.settings.http.port, tcp_port=loaded.settings.tcp.port, durability=""
    )
    return from_environment(http_url(loaded, ports), token)


def _reach(remote: Remote) -> tuple[Answer | None, list[Finding]]:
    try:
        health = remote.call("health")
    except CliError as error:
        return None, [_warn("server", error.message, error.fix)]
    return health, [
        _version(health.value),
        _status(health.value),
        _token(remote),
        _durability(health.value),
    ]


def _version(health: dict[str, Any]) -> Finding:
    version = str(health.get("version"))
    if version != __version__:
        return _warn(
            "server", f"version {version}, this program is {__version__}", "upgrade the older one"
        )
    return _ok("server", f"reachable, version {version}")


def _status(health: dict[str, Any]) -> Finding:
    status = str(health.get("status"))
    if status == "healthy":
        return _ok("status", status)
    return _warn("status", status, "look at the server's log")


def _token(remote: Remote) -> Finding:
    try:
        remote.call("queues")
    except CliError as error:
        if error.exit_code is Exit.ERROR and error.code in ("UNAUTHORIZED", "RATE_LIMITED"):
            return _fail("token", error.message, "set JOBWIRE_TOKEN to one of the server's tokens")
        return _fail("token", f"{error.code}: {error.message}", error.fix)
    return _ok("token", "accepted, or none is needed")


_DURABILITY: Final[dict[str, Callable[[], Finding]]] = {
    "fsync": lambda: _ok("durability", "fsync, as the server verified"),
    "os-crash-loss": lambda: _warn(
        "durability",
        "os-crash-loss: a crash of the machine loses jobs",
        "set sqlite.synchronous to full",
    ),
    "memory": lambda: _warn(
        "durability", "memory: a restart loses every job", "serve a sqlite:/// store"
    ),
}


def _durability(health: dict[str, Any]) -> Finding:
    known = _DURABILITY.get(str(health.get("durability")))
    if known is None:
        return _warn(
            "durability", "the server does not say", "upgrade it; or this is no Jobwire server"
        )
    return known()
