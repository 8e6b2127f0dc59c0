"""The command line: every command, and the panels of `jobwire --help`."""

from __future__ import annotations

from typing import Annotated

import typer

from jobwire_server import __version__
from jobwire_server.cli import backup, config_commands, dlq, doctor, jobs, queues, serve, status
from jobwire_server.cli.output import say

root = typer.Typer(
    name="jobwire",
    help="Jobwire: a background-job queue over HTTP and TCP.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a fancy traceback shows local variables, tokens among them
    context_settings={"help_option_names": ["-h", "--help"]},
)

_SERVER, _JOBS, _QUEUES = "Server", "Jobs", "Queues and workers"


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"jobwire {__version__}")
        raise typer.Exit


@root.callback()
def callback(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Jobwire: a background-job queue over HTTP and TCP."""


for command, panel in (
    (serve.serve, _SERVER),
    (status.status, _SERVER),
    (doctor.doctor, _SERVER),
    (backup.backup, _SERVER),
    (status.version, _SERVER),
    (jobs.push, _JOBS),
    (jobs.pull, _JOBS),
    (jobs.ack, _JOBS),
    (jobs.fail, _JOBS),
    (jobs.release, _JOBS),
    (status.workers, _QUEUES),
):
    root.command(command.__name__, rich_help_panel=panel)(command)

for group, name, panel in (
    (config_commands.config, "config", _SERVER),
    (jobs.job, "job", _JOBS),
    (queues.queue, "queue", _QUEUES),
    (dlq.dlq, "dlq", _QUEUES),
):
    root.add_typer(group, name=name, rich_help_panel=panel)
