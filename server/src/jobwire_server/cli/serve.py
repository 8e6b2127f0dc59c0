"""`jobwire serve`: settings in, a running server, and an exit code that says why it stopped."""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from jobwire_server import config, log
from jobwire_server.cli.banner import Started, banner
from jobwire_server.cli.config_commands import config_error
from jobwire_server.cli.exits import CliError, Exit
from jobwire_server.cli.options import ConfigFile
from jobwire_server.config import ConfigError, Loaded, Settings
from jobwire_server.errors import StoreFailed, StoreInUse, StoreUnusable
from jobwire_server.tls import TlsError


def serve(
    file: ConfigFile = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", metavar="URL", help="sqlite:///jobs.db, or memory:// to keep nothing."
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option("--host", metavar="ADDRESS", help="Address that both doors listen on."),
    ] = None,
    http_port: Annotated[
        int | None, typer.Option("--http-port", metavar="PORT", help="Port of the HTTP door.")
    ] = None,
    tcp_port: Annotated[
        int | None, typer.Option("--tcp-port", metavar="PORT", help="Port of the TCP door.")
    ] = None,
    tokens: Annotated[
        list[str] | None,
        typer.Option(
            "--token",
            metavar="TOKEN",
            help="Bearer token that clients must have; may be repeated. Better --tokens-file or JOBWIRE_TOKENS, "
            "as others can see a command line.",
        ),
    ] = None,
    tokens_file: Annotated[
        Path | None,
        typer.Option("--tokens-file", metavar="FILE", help="File with one token a line."),
    ] = None,
    insecure: Annotated[
        bool | None,
        typer.Option(
            "--insecure", help="Listen where others can reach it although no token is set."
        ),
    ] = None,
    log_format: Annotated[
        Literal["auto", "pretty", "json"] | None,
        typer.Option(
            "--log-format",
            metavar="auto|pretty|json",
            help="pretty for people, json for programs; auto is pretty on a terminal.",
        ),
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None,
        typer.Option(
            "--log-level", metavar="debug|info|warning|error", help="The least that is logged."
        ),
    ] = None,
    test_mode: Annotated[
        bool | None,
        typer.Option(
            "--test-mode",
            help="For tests alone: a control API on this machine that moves the clock, breaks answers and deletes everything.",
        ),
    ] = None,
    test_port: Annotated[
        int | None,
        typer.Option(
            "--test-port", metavar="PORT", help="Port of the control API; else a free one."
        ),
    ] = None,
    test_seed: Annotated[
        int | None,
        typer.Option(
            "--test-seed", metavar="N", help="Test mode with the same ids and jitter in each run."
        ),
    ] = None,
    test_clock: Annotated[
        int | None,
        typer.Option(
            "--test-clock",
            metavar="MS",
            help="Start with the clock standing at this instant, in ms since the epoch.",
        ),
    ] = None,
) -> None:
    """
    Run a server until it gets SIGTERM or SIGINT; it then finishes what is running.

    Settings that have no flag here come from the environment or a TOML file: see `jobwire config show --origin`.
    """
    flags = {
        "--storage": storage,
        "--host": host,
        "--http-port": http_port,
        "--tcp-port": tcp_port,
        "--token": tokens or None,
        "--tokens-file": tokens_file,
        "--insecure": insecure,
        "--log-format": log_format,
        "--log-level": log_level,
        "--test-mode": test_mode,
        "--test-port": test_port,
        "--test-seed": test_seed,
        "--test-clock": test_clock,
    }
    run(_loaded(file, flags))


def _loaded(file: Path | None, flags: dict[str, Any]) -> Loaded:
    try:
        return config.load(file, flags=flags)
    except ConfigError as error:
        raise config_error(error) from error


def run(loaded: Loaded) -> None:
    """Serve until told to stop. Raises CliError with the exit code when the server could not start or go on."""
    from jobwire_server import app  # here, so that the other commands start without it

    log.configure(loaded.settings.log)
    try:
        run_loop = _runner(loaded.settings)
        run_loop(app.serve(loaded.settings, on_started=_announce(loaded)))
    except (StoreInUse, StoreUnusable, StoreFailed, TlsError, OSError, ExceptionGroup) as error:
        raise _stopped(error) from error


def _runner(settings: Settings) -> Callable[[Coroutine[Any, Any, None]], None]:
    if settings.test.enabled:
        from jobwire_server.test_mode.loop import VirtualLoop

        return partial(_run_on, VirtualLoop)
    if sys.platform == "win32":
        return asyncio.run
    import uvloop

    return uvloop.run


def _run_on(loop: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main)


def _announce(loaded: Loaded) -> Callable[..., None]:
    """What the server calls when its doors are open. A program that reads the log reads the same in it."""

    def on_started(
        http_port: int, tcp_port: int, durability: str, control: str | None = None
    ) -> None:
        if log.is_pretty(loaded.settings.log, sys.stderr):
            started = Started(
                http_port=http_port, tcp_port=tcp_port, durability=durability, control=control
            )
            print(banner(loaded, started), end="\n\n", flush=True)

    return on_started


def _stopped(error: BaseException) -> BaseException:
    """The reason to stop as an exit code; what is none of the known ones stays a traceback, since it is a bug."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case StoreInUse():
            return CliError(
                "STORE_IN_USE",
                str(error),
                "stop the other one, or give --storage another file",
                exit_code=Exit.STORE_IN_USE,
            )
        case StoreUnusable():
            return CliError("STORE_UNUSABLE", str(error), "`jobwire doctor` looks closer")
        case StoreFailed():
            return CliError(
                "STORE_FAILED",
                str(error),
                "check the disk, then start again; nothing accepted is lost",
            )
        case TlsError():
            return CliError("TLS", str(error), "check the tls_cert and tls_key settings")
        case OSError(errno=errno.EADDRINUSE):
            return CliError(
                "ADDRESS_IN_USE",
                str(error),
                "stop what listens there, or give --http-port or --tcp-port",
            )
        case OSError():
            return CliError(
                "CANNOT_START",
                str(error),
                "check the addresses, the ports and the files of the settings",
            )
        case _:
            return error
