"""Options that several commands have, so that each is spelt and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobwire_server.cli import durations
from jobwire_server.cli.exits import CliError
from jobwire_server.cli.output import Format
from jobwire_server.cli.remote import DEFAULT_URL

Duration = int  # milliseconds, given as a duration with its unit; goes with parser=duration


def duration(text: str) -> int:
    """What typer calls for an option that is a duration."""
    try:
        return durations.parse(text)
    except CliError as error:
        raise typer.BadParameter(f"{error.message}; {error.fix}") from None


Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help=f"HTTP door of the server; else JOBWIRE_URL, else {DEFAULT_URL}.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        help="Bearer token; better JOBWIRE_TOKEN, as others can see a command line.",
    ),
]
Output = Annotated[
    Format,
    typer.Option(
        "--output",
        "-o",
        metavar="table|json",
        help="A table for people, or the wire's JSON for programs.",
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="TOML file; else JOBWIRE_CONFIG, else ./jobwire.toml if it exists.",
    ),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="Id of the job.")]
Lease = Annotated[
    str | None,
    typer.Option(
        "--lease",
        metavar="LEASE",
        help="Lease that came with the pull; without it the job's current one is meant.",
    ),
]
Queue = Annotated[str, typer.Argument(metavar="QUEUE", help="Name of the queue.")]
