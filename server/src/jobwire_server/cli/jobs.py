"""The commands that work with jobs: push, pull, ack, fail, release, and `job …`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
import typer

from jobwire_server.cli import payload
from jobwire_server.cli.exits import CliError
from jobwire_server.cli.options import Duration, JobId, Lease, Output, Queue, Token, Url, duration
from jobwire_server.cli.output import Format, note, say, show, show_json, show_members, show_table
from jobwire_server.cli.remote import Answer, Remote, from_environment
from jobwire_server.ids import IdMaker

job = typer.Typer(help="Look at one job, or change it.", no_args_is_help=True)

_COLUMNS: Final = ("id", "queue", "name", "state", "attempt", "priority", "created_at", "run_at")
_DEAD_COLUMNS: Final = ("id", "name", "reason", "attempt", "updated_at", "last_error")


def show_jobs(jobs: list[dict[str, Any]], *, empty: str, dead: bool = False) -> None:
    """Jobs as a table; dead letters with why they died."""
    columns = _DEAD_COLUMNS if dead else _COLUMNS
    show_table(columns, ([each.get(name) for name in columns] for each in jobs), empty=empty)


# --- push ------------------------------------------------------------------------------------------------------


def _option(name: str, help_text: str, **more: Any) -> Any:
    return typer.Option(name, help=help_text, rich_help_panel="Job options", **more)


def _time_option(name: str, help_text: str) -> Any:
    return _option(name, help_text, parser=duration, metavar="DURATION")


def push(
    queue: Queue,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the job; it picks the handler.")
    ],
    data: Annotated[
        str | None,
        typer.Argument(metavar="DATA", help="JSON, or @FILE, or - for stdin; {} when left out."),
    ] = None,
    job_id: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="UUID", help="Id of the job; the same id again makes no second job."
        ),
    ] = None,
    priority: Annotated[
        int | None, _option("--priority", "Higher goes first; 0 by default.")
    ] = None,
    delay: Annotated[Duration | None, _time_option("--delay", "Run it after this long.")] = None,
    run_at: Annotated[
        str | None,
        _option("--run-at", "Run it at this instant, as in 2026-11-22T09:00:00Z.", metavar="TIME"),
    ] = None,
    max_attempts: Annotated[
        int | None, _option("--max-attempts", "Tries before the dead letters.")
    ] = None,
    backoff: Annotated[
        str | None, _option("--backoff", "fixed, linear or exponential.", metavar="KIND")
    ] = None,
    backoff_delay: Annotated[
        Duration | None, _time_option("--backoff-delay", "Wait before the first retry.")
    ] = None,
    backoff_schedule: Annotated[
        str | None,
        _option(
            "--backoff-schedule", "The waits themselves, as in 1s,10s,5m.", metavar="DURATIONS"
        ),
    ] = None,
    backoff_max: Annotated[
        Duration | None, _time_option("--backoff-max", "Longest wait before a retry.")
    ] = None,
    jitter: Annotated[
        float | None, _option("--jitter", "Part of each wait that is drawn at random, 0 to 1.")
    ] = None,
    ttl: Annotated[
        Duration | None, _time_option("--ttl", "Cancel it if it still waits after this long.")
    ] = None,
    timeout: Annotated[
        Duration | None, _time_option("--timeout", "Longest run of one attempt.")
    ] = None,
    unique_key: Annotated[
        str | None,
        _option(
            "--unique-key", "No other unfinished job of the queue may have this key.", metavar="KEY"
        ),
    ] = None,
    unique_for: Annotated[
        Duration | None,
        _time_option("--unique-for", "Keep the key taken this long, even when the job has ended."),
    ] = None,
    on_conflict: Annotated[
        str | None,
        _option(
            "--on-conflict", "When the key is taken: reject, ignore or replace.", metavar="WHAT"
        ),
    ] = None,
    tags: Annotated[
        list[str] | None, _option("--tag", "A tag; may be repeated.", metavar="TAG")
    ] = None,
    group_id: Annotated[
        str | None, _option("--group-id", "Group that it belongs to.", metavar="GROUP")
    ] = None,
    lifo: Annotated[bool, _option("--lifo", "Go ahead of equals.")] = False,
    remove_on_complete: Annotated[
        bool, _option("--remove-on-complete", "Do not keep it when it is completed.")
    ] = False,
    remove_on_fail: Annotated[
        bool, _option("--remove-on-fail", "Do not keep it as a dead letter.")
    ] = False,
    custom_id: Annotated[
        str | None, _option("--custom-id", "An id of your own, to find it by.", metavar="ID")
    ] = None,
    metadata: Annotated[
        str | None,
        _option("--metadata", "JSON that travels with it, or @FILE, or -.", metavar="JSON"),
    ] = None,
    depends_on: Annotated[
        list[str] | None,
        _option("--depends-on", "Job that must complete first; may be repeated.", metavar="UUID"),
    ] = None,
    flow_id: Annotated[
        str | None, _option("--flow-id", "Flow that it belongs to.", metavar="FLOW")
    ] = None,
    url: Url = None,
    token: Token = None,
    output: Output = Format.TABLE,
) -> None:
    """Put a job into a queue, and print its id."""
    fields = {
        "queue": queue,
        "id": job_id or IdMaker().new(),
        "name": name,
        "data": payload.read(data, "DATA"),
        "priority": priority,
        "delay_ms": delay,
        "run_at": run_at,
        "max_attempts": max_attempts,
        "backoff": backoff,
        "backoff_delay_ms": backoff_delay,
        "backoff_schedule_ms": _durations(backoff_schedule),
        "backoff_max_ms": backoff_max,
        "jitter": jitter,
        "ttl_ms": ttl,
        "timeout_ms": timeout,
        "unique_key": unique_key,
        "unique_for_ms": unique_for,
        "on_conflict": on_conflict,
        "tags": tags or None,
        "group_id": group_id,
        "lifo": lifo or None,
        "remove_on_complete": remove_on_complete or None,
        "remove_on_fail": remove_on_fail or None,
        "custom_id": custom_id,
        "metadata": payload.read(metadata, "--metadata"),
        "depends_on": depends_on or None,
        "flow_id": flow_id,
    }
    answer = _push(from_environment(url, token), fields)
    show(answer, output, lambda value: say(_pushed(value)))


def _durations(text: str | None) -> list[int] | None:
    return None if text is None else [duration(part.strip()) for part in text.split(",")]


def _push(remote: Remote, fields: Mapping[str, Any]) -> Answer:
    """Push; where the answer was lost, say how to repeat it without making a second job."""
    try:
        return remote.call("push", fields)
    except CliError as error:
        if error.code in ("TIMEOUT", "CONNECTION_LOST"):
            error.fix = f"repeat the push with --id {fields['id']}: if it was accepted, it answers with that job"
        raise


def _pushed(value: dict[str, Any]) -> str:
    outcome = value.get("outcome", "created")
    return str(value["id"]) if outcome == "created" else f"{value['id']} ({outcome})"


# --- pull, ack, fail, release ----------------------------------------------------------------------------------


def pull(
    queues: Annotated[
        list[str], typer.Argument(metavar="QUEUE...", help="Queues, tried in this order.")
    ],
    count: Annotated[int, typer.Option("--count", "-n", help="At most this many jobs.")] = 1,
    wait: Annotated[
        Duration | None,
        typer.Option(
            "--wait", parser=duration, metavar="DURATION", help="Wait this long for a job."
        ),
    ] = None,
    lease: Annotated[
        Duration | None,
        typer.Option(
            "--lease",
            parser=duration,
            metavar="DURATION",
            help="How long the jobs are yours; else the queue's.",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="NAME", help="Only jobs of this name; may be repeated."),
    ] = None,
    worker_id: Annotated[
        str | None, typer.Option("--worker-id", metavar="ID", help="Who takes them.")
    ] = None,
    url: Url = None,
    token: Token = None,
    output: Output = Format.TABLE,
) -> None:
    """Take jobs that wait. They are yours until the lease ends: ack or fail each of them."""
    fields = {
        "queues": queues,
        "count": count,
        "wait_ms": wait,
        "lease_ms": lease,
        "names": names or None,
        "worker_id": worker_id,
    }
    show(from_environment(url, token).call("pull", fields), output, _show_pulled)


def _show_pulled(value: dict[str, Any]) -> None:
    jobs = value["jobs"] if "jobs" in value else [value["job"]]
    columns = ("id", "lease", "queue", "name", "attempt", "lease_expires_at", "data")
    rows = [[each.get(name) for name in columns] for each in jobs if each]
    show_table(columns, rows, empty="No job waits.")


def ack(
    job_id: JobId,
    lease: Lease = None,
    result: Annotated[
        str | None,
        typer.Option("--result", metavar="JSON", help="What came out: JSON, or @FILE, or -."),
    ] = None,
    url: Url = None,
    token: Token = None,
    output: Output = Format.TABLE,
) -> None:
    """Say that a job is done."""
    fields = {"id": job_id, "lease": lease, "result": payload.read(result, "--result")}
    answer = from_environment(url, token).call("ack", fields)
    show(answer, output, lambda value: say(_done(job_id, "completed", value)))


def fail(
    job_id: JobId,
    lease: Lease = None,
    error: Annotated[
        str, typer.Option("--error", metavar="TEXT", help="What went wrong.")
    ] = "unknown error",
    retry_in: Annotated[
        Duration | None,
        typer.Option(
            "--retry-in",
            parser=duration,
            metavar="DURATION",
            help="Wait this long, in place of the backoff.",
        ),
    ] = None,
    discard: Annotated[bool, typer.Option("--discard", help="Do not try again.")] = False,
    url: Url = None,
    token: Token = None,
    output: Output = Format.TABLE,
) -> None:
    """Say that an attempt at a job failed."""
    fields = {
        "id": job_id,
        "lease": lease,
        "error": error,
        "retry_in_ms": retry_in,
        "discard": discard or None,
    }
    show(from_environment(url, token).call("fail", fields), output, _show_failed)


def _show_failed(value: dict[str, Any]) -> None:
    if not value.get("will_retry", value.get("retry")):
        say("failed; it will not be tried again")
    else:
        say(f"failed; next attempt {value.get('next_attempt_at') or 'at once'}")


def release(
    job_id: JobId,
    lease: Lease = None,
    delay: Annotated[
        Duration | None,
        typer.Option("--delay", parser=duration, metavar="DURATION", help="Not before this long."),
    ] = None,
    url: Url = None,
    token: Token = None,
    output: Output = Format.TABLE,
) -> None:
    """Give a job back without burning an attempt."""
    fields = {"id": job_id, "lease": lease, "delay_ms": delay}
    answer = from_environment(url, token).call("release", fields)
    show(
        answer, output, lambda value: say(_done(job_id, str(value.get("state", "released")), value))
    )


def _done(job_id: str, state: str, value: Mapping[str, Any]) -> str:
    return f"{job_id} {state}{' (already)' if value.get('already') else ''}"


# --- job … -----------------------------------------------------------------------------------------------------


@job.command("get")
def get(job_id: JobId, url: Url = None, token: Token = None, output: Output = Format.TABLE) -> None:
    """Show a job, all of it."""
    answer = from_environment(url, token).call("get", {"id": job_id})
    show(answer, output, lambda value: show_members(_lines_of(value["job"])))


def _lines_of(members: Mapping[str, Any]) -> dict[str, Any]:
    """What is set, and always what a person looks for first."""
    return {
        name: value
        for name, value in members.items()
        if value not in (None, [], {}, False) or name == "data"
    }


@job.command("cancel")
def cancel(
    job_id: JobId, url: Url = None, token: Token = None, output: Output = Format.TABLE
) -> None:
    """Cancel a job; a running one is asked to stop."""
    answer = from_environment(url, token).call("cancel", {"id": job_id})
    show(answer, output, lambda value: say(_cancelled(job_id, value)))


def _cancelled(job_id: str, value: Mapping[str, Any]) -> str:
    state = str(value.get("state", "cancelled"))
    return _done(job_id, "is asked to stop" if state == "active" else state, value)


@job.command("retry")
def retry(
    job_id: JobId, url: Url = None, token: Token = None, output: Output = Format.TABLE
) -> None:
    """Let a dead letter or a cancelled job wait again, its attempts at 0."""
    _simple("retry", job_id, url, token, output)


@job.command("promote")
def promote(
    job_id: JobId, url: Url = None, token: Token = None, output: Output = Format.TABLE
) -> None:
    """Let a delayed job run now."""
    _simple("promote", job_id, url, token, output)


@job.command("delete")
def delete(
    job_id: JobId, url: Url = None, token: Token = None, output: Output = Format.TABLE
) -> None:
    """Delete a job that is not active."""
    _simple("delete", job_id, url, token, output)


def _simple(command: str, job_id: str, url: str | None, token: str | None, output: Format) -> None:
    answer = from_environment(url, token).call(command, {"id": job_id})
    show(
        answer, output, lambda value: say(_done(job_id, str(value.get("state", "deleted")), value))
    )


@job.command("find")
def find(
    queue: Annotated[
        str | None, typer.Option("--queue", metavar="QUEUE", help="Of this queue.")
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", metavar="STATE", help="In this state; may be repeated."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Of this name.")
    ] = None,
    tag: Annotated[str | None, typer.Option("--tag", metavar="TAG", help="With this tag.")] = None,
    group_id: Annotated[
        str | None, typer.Option("--group-id", metavar="GROUP", help="Of this group.")
    ] = None,
    flow_id: Annotated[
        str | None, typer.Option("--flow-id", metavar="FLOW", help="Of this flow.")
    ] = None,
    custom_id: Annotated[
        str | None, typer.Option("--custom-id", metavar="ID", help="With this custom id.")
    ] = None,
    created_after: Annotated[
        str | None,
        typer.Option("--created-after", metavar="TIME", help="Pushed at this instant or later."),
    ] = None,
    created_before: Annotated[
        str | None,
        typer.Option("--created-before", metavar="TIME", help="Pushed before this instant."),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, help="At most this many jobs.")
    ] = 50,
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
    """List jobs, newest first."""
    fields = {
        "queue": queue,
        "state": state or None,
        "name": name,
        "tag": tag,
        "group_id": group_id,
        "flow_id": flow_id,
        "custom_id": custom_id,
        "created_after": created_after,
        "created_before": created_before,
    }
    show_pages(from_environment(url, token), "find", fields, limit, cursor, output)


_PAGE: Final = 1_000  # the wire's find_limit


def show_pages(
    remote: Remote,
    command: str,
    fields: Mapping[str, Any],
    limit: int,
    cursor: str | None,
    output: Format,
) -> None:
    """
    Up to `limit` jobs of find or dlq, over as many pages as that takes (a page may be short of its limit, or empty).

    With -o json the shape is that of one page: {"ok", "jobs", "next_cursor"}.
    """
    jobs: list[msgspec.Raw] = []
    while True:
        page = remote.call(
            command, {**fields, "limit": min(limit - len(jobs), _PAGE), "cursor": cursor}
        )
        jobs += page.list_of("jobs")
        cursor = page.value.get("next_cursor")
        if cursor is None or len(jobs) >= limit:
            break
    if output is Format.JSON:
        show_json({"ok": True, "jobs": jobs, "next_cursor": cursor})
        return
    shown = [msgspec.json.decode(each) for each in jobs]
    show_jobs(shown, empty="No such job.", dead=command == "dlq")
    if cursor is not None:
        note(f"There are more: --cursor {cursor}")
