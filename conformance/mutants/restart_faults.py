"""Faults in what outlives a process, and in how one ends."""

from __future__ import annotations

from typing import Any

from jobwire_server import maintenance
from jobwire_server.operations import service
from jobwire_server.store.sqlite import store
from jobwire_server.wire import answers

from conformance.mutants.fault import around, fault, put

# --- restarts -----------------------------------------------------------------------------------------------------------


@fault("JW-TIME-1")
def no_grace_after_a_restart() -> None:
    """Leases that ended while the server was down are over when it starts."""

    async def strict(self: Any) -> None:
        return None

    put(maintenance.Maintenance, "start", strict)


@fault("JW-JOB-1")
def newest_push_is_lost() -> None:
    """A server that starts again has lost the job that it accepted last."""

    def forgetful(original: Any, self: Any, now: int) -> Any:
        connection = original(self, now)
        connection.execute("DELETE FROM jobs WHERE seq = (SELECT max(seq) FROM jobs)")
        return connection

    around(store.SqliteStore, "_prepare", forgetful)


@fault("CRASH-002", "JW-JOB-1")
def ack_is_lost() -> None:
    """A server that starts again has the jobs that were completed once more."""

    def forgetful(original: Any, self: Any, now: int) -> Any:
        connection = original(self, now)
        connection.execute(
            "UPDATE jobs SET state = 'waiting', completed_at = NULL, finished_at = NULL WHERE state = 'completed'"
        )
        return connection

    around(store.SqliteStore, "_prepare", forgetful)


@fault("DRAIN-002", "JW-HEALTH-3")
def draining_server_is_ready() -> None:
    """A server that stops says that it is ready."""

    async def ready(self: Any) -> Any:
        return answers.Status(status="ready")

    put(service.Operations, "_ready", ready)


@fault("JW-QUEUE-5")
def pause_ends_with_the_process() -> None:
    """A server that starts again has forgotten which queues are paused."""

    async def forgetful(original: Any, self: Any, now: int) -> Any:
        await original(self, now)
        for name in list(self.queues()):
            await self.set_queue(name, {"paused": None})

    around(store.SqliteStore, "open", forgetful)
