"""The `queue …` commands."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
import typer

from jobwire_server.cli import durations
from jobwire_server.cli.exits import usage
from jobwire_server.cli.options import Output, Queue, Token, Url
from jobwire_server.cli.output import Format, say, show, show_members, show_table
from jobwire_server.cli.remote import from_environment

queue = typer.Typer(help="List, pause and configure queues.", no_args_is_help=True)

COUNTS: Final = ("waiting", "active", "delayed", "blocked", "completed", "dlq", "cancelled")
_DEFAULT: Final = msgspec.Raw(b"null")  # on the wire null goes back to the server's default


def show_queues(queues: list[dict[str, Any]]) -> None:
    """Queues and how many jobs of each state they have."""
    rows = [
        [each["name"], *(each["counts"].get(state, 0) for state in COUNTS), each.get("paused")]
        for each in queues
    ]
    show_table(("name", *COUNTS, "paused"), rows, empty="No queue has a job.")


@queue.command("list")
def list_queues(url: Url = None, token: Token = None, output: Output = Format.TABLE) -> None:
    """List all queues, and how many jobs each has."""
    answer = from_environment(url, token).call("queues")
    show(answer, output, lambda value: show_queues(value["queues"]))


@queue.command("show")
def show_queue(
    name: Queue, url: Url = None, token: Token = None, output: Output = Format.TABLE
) -> None:
    """Show one queue: counts, settings, and whether it is paused."""
    answer = from_environment(url, token).call("queue", {"queue": name})
    show(answer, output, lambda value: _show_one(value["queue"]))


def _show_one(members: dict[str, Any]) -> None:
    flat = {key: value for key, value in members.items() if not isinstance(value, dict)}
    for nested in (value for value in members.values() if isinstance(value, dict)):
        flat |= nested
    show_members(flat)


@queue.command("pause")
def pause(
    name: Queue,
    mode: Annotated[
        Literal["pull", "push", "both"],
        typer.Option(
            "--mode",
            metavar="pull|push|both",
            help="pull stops deliveries, push refuses new jobs, both does both.",
        ),
    ] = "pull",
    url: Url = None,
    token: Token = None,
    output: Output = Format.TABLE,
) -> None:
    """Pause a queue; it stays paused over restarts."""
    answer = from_environment(url, token).call("queue_pause", {"queue": name, "mode": mode})
    show(answer, output, lambda value: say(f"{name} is paused ({value['paused']})"))


@queue.command("resume")
def resume(
    name: Queue, url: Url = None, token: Token = None, output: Output = Format.TABLE
) -> None:
    """Resume a paused queue."""
    answer = from_environment(url, token).call("queue_resume", {"queue": name})
    show(answer, output, lambda _: say(f"{name} is not paused"))


def _setting(name: str, metavar: str, help_text: str) -> Any:
    return typer.Option(name, metavar=metavar, help=f"{help_text}; `default` for the server's.")


@queue.command("set")
def set_queue(
    name: Queue,
    lease: Annotated[
        str | None, _setting("--lease", "DURATION", "How long a pulled job is its worker's")
    ] = None,
    max_length: Annotated[
        str | None, _setting("--max-length", "N", "Most unfinished jobs it may hold")
    ] = None,
    retention_completed: Annotated[
        str | None,
        _setting("--retention-completed", "DURATION", "How long completed jobs are kept"),
    ] = None,
    retention_dlq: Annotated[
        str | None, _setting("--retention-dlq", "DURATION", "How long dead letters are kept")
    ] = None,
    retention_cancelled: Annotated[
        str | None,
        _setting("--retention-cancelled", "DURATION", "How long cancelled jobs are kept"),
    ] = None,
    url: Url = None,
    token: Token = None,
    output: Output = Format.TABLE,
) -> None:
    """Change settings of a queue. What is not named stays as it is."""
    fields = {
        "lease_ms": _duration_or_default(lease),
        "max_length": _count_or_default(max_length),
        "retention_completed_ms": _duration_or_default(retention_completed),
        "retention_dlq_ms": _duration_or_default(retention_dlq),
        "retention_cancelled_ms": _duration_or_default(retention_cancelled),
    }
    if all(value is None for value in fields.values()):
        raise usage("no setting was named", "see `jobwire queue set --help`")
    answer = from_environment(url, token).call("queue_update", {"queue": name, **fields})
    show(answer, output, lambda value: _show_one(value["queue"]))


def _duration_or_default(text: str | None) -> int | msgspec.Raw | None:
    if text is None:
        return None
    return _DEFAULT if text == "default" else durations.parse(text)


def _count_or_default(text: str | None) -> int | msgspec.Raw | None:
    if text is None:
        return None
    if text != "default" and not text.isdecimal():
        raise usage(f"--max-length: '{text}' is no number", "give a whole number, or `default`")
    return _DEFAULT if text == "default" else int(text)
