"""The commands that look at a server: status, workers, version."""

from __future__ import annotations

import platform
from typing import Any, Final

import apsw
import msgspec

from jobwire_server import __version__
from jobwire_server.cli import durations
from jobwire_server.cli.options import Output, Token, Url
from jobwire_server.cli.output import Format, show, show_json, show_members, show_table
from jobwire_server.cli.queues import show_queues
from jobwire_server.cli.remote import from_environment

_WORKER_COLUMNS: Final = (
    "id",
    "state",
    "queues",
    "concurrency",
    "free",
    "held",
    "client",
    "transport",
    "last_seen_at",
    "last_pull_at",
)


def status(url: Url = None, token: Token = None, output: Output = Format.TABLE) -> None:
    """
    Show how the server is, and its queues.

    With -o json: {"ok", "health": the answer of GET /health, "queues": the list of GET /queues}.
    """
    remote = from_environment(url, token)
    health, queues = remote.call("health"), remote.call("queues")
    if output is Format.JSON:
        listed = queues.members["queues"]
        show_json({"ok": True, "health": msgspec.Raw(health.text), "queues": listed})
        return
    show_members(_people(health.value))
    show_queues(queues.value["queues"])


def _people(health: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in health.items() if name not in ("ok", "uptime_seconds")}
    return shown | {"uptime": durations.show(int(health.get("uptime_seconds", 0)) * 1000)}


def workers(url: Url = None, token: Token = None, output: Output = Format.TABLE) -> None:
    """List the workers and how they are; a deaf one has free slots and does not ask for the work that is there."""
    show(from_environment(url, token).call("workers"), output, _show_workers)


def _show_workers(value: dict[str, Any]) -> None:
    rows = [[each.get(name) for name in _WORKER_COLUMNS] for each in value["workers"]]
    show_table(_WORKER_COLUMNS, rows, empty="No worker has reported.")


def version(output: Output = Format.TABLE) -> None:
    """Show the version of this program and of what it stands on."""
    versions = {
        "jobwire": __version__,
        "python": platform.python_version(),
        "sqlite": apsw.sqlite_lib_version(),
    }
    if output is Format.JSON:
        show_json(versions)
    else:
        show_members(versions)
