"""The `dlq …` commands: dead letters, one by one or all of a queue."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.progress import Progress

from jobwire_server.cli.exits import CliError, Exit, usage
from jobwire_server.cli.jobs import show_pages
from jobwire_server.cli.options import Output, Queue, Token, Url
from jobwire_server.cli.output import Format, console, note, say, show_json
from jobwire_server.cli.remote import Remote, from_environment
from jobwire_server.wire import limits

dlq = typer.Typer(help="List, retry and discard dead letters.", no_args_is_help=True)

_STEP: Final = limits.BATCH_ITEMS
_REFUSED_SHOWN: Final = 10

Ids = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...", help="Only these; without ids all dead letters of the queue."
    ),
]


@dlq.command("list")
def list_dlq(
    queue: Queue,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most this many.")] = 50,
    cursor: Annotated[
        str | None,
        typer.Option(
            "--cursor", metavar="CURSOR", help="Go on from here: next_cursor of the answer before."
        ),
    ] = None,
    url: Url = None,
    token: Token = None,
    output: Output = Format.TABLE,
) -> None:
    """List the dead letters of a queue, newest first."""
    show_pages(from_environment(url, token), "dlq", {"queue": queue}, limit, cursor, output)


@dlq.command("retry")
def retry_dlq(
    queue: Queue,
    ids: Ids = None,
    url: Url = None,
    token: Token = None,
    output: Output = Format.TABLE,
) -> None:
    """Let dead letters wait again, their attempts at 0, oldest first."""
    _run("dlq_retry", "retried", from_environment(url, token), queue, ids, output)


@dlq.command("discard")
def discard_dlq(
    queue: Queue,
    ids: Ids = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    url: Url = None,
    token: Token = None,
    output: Output = Format.TABLE,
) -> None:
    """Delete dead letters for good."""
    remote = from_environment(url, token)
    if not yes:
        _confirm(queue, len(ids) if ids else _dead_letters(remote, queue))
    _run("dlq_discard", "discarded", remote, queue, ids, output)


def _confirm(queue: str, count: int) -> None:
    if not _somebody_is_there():
        raise usage("discard deletes for good, and nobody is here to ask", "say --yes")
    question = f"Delete {count} dead letters of {queue} for good?"
    typer.confirm(question, abort=True, err=True)


def _dead_letters(remote: Remote, queue: str) -> int:
    return int(remote.call("stats", {"queue": queue}).value["counts"]["dlq"])


def _somebody_is_there() -> bool:
    return sys.stdin.isatty()


# --- the work, in steps of the wire's batch size ---------------------------------------------------------------


@dataclass
class _Tally:
    """What the steps came to, in the shape of one answer of the wire."""

    count: int = 0
    remaining: int = 0
    results: list[msgspec.Raw] = field(default_factory=list)

    def refused(self) -> list[dict[str, Any]]:
        decoded = (msgspec.json.decode(result) for result in self.results)
        return [result for result in decoded if result.get("error")]


def _run(
    command: str, done: str, remote: Remote, queue: str, ids: list[str] | None, output: Format
) -> None:
    tally = _Tally()
    total = len(ids) if ids else _dead_letters(remote, queue)
    try:
        with Progress(console=console(to_stderr=True), transient=True) as progress:
            bar = progress.add_task(done, total=total)
            for handled in _steps(command, remote, queue, ids, total, tally):
                progress.update(bar, completed=handled)
    except CliError as error:
        error.fix = f"{tally.count} were {done} before this. {error.fix}"
        raise
    _show(tally, done, output)


def _steps(
    command: str, remote: Remote, queue: str, ids: list[str] | None, total: int, tally: _Tally
) -> Iterator[int]:
    """
    Call after call, each yielding how many dead letters were handled so far.

    No more than there were at the start, since a retried job may be dead again by now; and an end where a call
    moves nothing, because the oldest ones that are refused would be refused for ever.
    """
    handled = 0
    while handled < total:
        step = min(_STEP, total - handled)
        which = {"ids": ids[handled : handled + step]} if ids else {"limit": step}
        answer = remote.call(command, {"queue": queue, **which})
        tally.count += answer.value["count"]
        tally.remaining = answer.value["remaining"]
        tally.results += answer.list_of("results")
        handled += step
        yield handled
        if not ids and answer.value["count"] == 0:
            return


def _show(tally: _Tally, done: str, output: Format) -> None:
    refused = tally.refused()
    if output is Format.JSON:
        show_json(
            {
                "ok": True,
                "count": tally.count,
                "results": tally.results,
                "remaining": tally.remaining,
            }
        )
    else:
        say(f"{tally.count} {done}, {tally.remaining} dead letters left")
        for result in refused[:_REFUSED_SHOWN]:
            note(
                f"{result.get('id')}: {result['error'].get('code')}: {result['error'].get('message')}"
            )
    if refused:
        raise CliError(
            "PARTIAL_FAILURE",
            f"{len(refused)} dead letters could not be {done}",
            "look at `error` of each result with -o json",
            exit_code=Exit.CONFLICT,
        )
