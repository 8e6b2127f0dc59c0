"""Faults of the Python SDK's workers: slots, leases, how a handler's end is told, and how a worker stops."""

from __future__ import annotations

from typing import Any

from jobwire import _async_worker, _async_worker_settler, _tcp, _worker, _worker_settler
from jobwire import _worker_core as core
from jobwire import _worker_heart as heart
from jobwire import _worker_settling as settling

from conformance.mutants.fault import around, everywhere, fault, put

_WORKERS = (_worker, _async_worker)


@fault("SDK-WORK-003")
def one_job_too_many_is_taken() -> None:
    """A worker asks for one job more than it has slots."""
    put(
        core.Slots,
        "free",
        property(lambda self: self.total + 1 - self.asked - self.held),
    )


@fault("SDK-WORK-011")
def heartbeats_are_too_rare() -> None:
    """A lease is renewed once in nearly its length."""
    put(core, "HEARTBEATS_A_LEASE", 1.05)


@fault("SDKF-WORK-006", "SDKF-WORK-007")
def silence_is_never_found_out() -> None:
    """A worker waits on a connection whose peer is gone until the time of the call is over."""
    put(_tcp.Silence, "look", lambda self, now, *, can_ping: ("wait", now + self.limit))


@fault("SDKF-WORK-008")
def silence_is_taken_for_the_end() -> None:
    """A worker gives up a connection on which a pull is held, without asking it."""

    def rash(original: Any, self: Any, now: float, *, can_ping: bool) -> Any:
        return original(self, now, can_ping=False)

    around(_tcp.Silence, "look", rash)


@fault("SDKF-WORK-009")
def waits_over_http_are_long() -> None:
    """A pull over HTTP waits for as long as the worker was told."""
    everywhere(_WORKERS, "longest_wait", lambda client, wait, silence: wait)


@fault("SDK-WORK-007")
def heartbeats_name_no_job() -> None:
    """A worker says that it lives, and renews no lease."""

    def idle(original: Any, self: Any, client: Any, sent: Any, report: Any, wait: float) -> Any:
        return original(self, client, [], report, wait)

    around(heart.Heart, "_send", idle)


@fault("SDKF-WORK-001")
def result_of_a_lost_lease_is_sent() -> None:
    """A worker that has lost a lease acks the job all the same."""

    def bold(original: Any, job: Any, ending: Any, reason: Any) -> Any:
        return original(job, ending, None if reason == "lease_lost" else reason)

    everywhere(_WORKERS, "settlement_of", _bound(core.settlement_of, bold))
    put(settling.Ledger, "_may_send", lambda self, held, now, last_contact: True)


@fault("SDK-WORK-006")
def stopping_keeps_the_jobs() -> None:
    """A worker says nothing of the jobs that it gives back; they come back when their leases end."""
    everywhere((_worker_settler, _async_worker_settler), "give_backs", lambda batch: [])


@fault("SDK-WORK-006")
def stopping_burns_an_attempt() -> None:
    """A job that did not finish before its worker stopped has failed."""

    def failed(*, job: Any, delay: float = 0.0) -> Any:
        return core.Fail(job=job, error="the worker was stopped")

    everywhere((core, *_WORKERS), "GiveBack", failed)


@fault("SDK-WORK-004")
def cancel_does_not_reach_the_handler() -> None:
    """A handler is not told that its job was cancelled."""

    def deaf(original: Any, self: Any, news: Any, sent: Any) -> None:
        original(self, news._replace(cancelled=frozenset()), sent)

    around(heart.Heart, "_act", deaf)


@fault("SDK-WORK-002")
def discard_is_a_failure() -> None:
    """A handler that says Discard has its job tried again."""

    def soft(original: Any, job: Any, outcome: Any) -> Any:
        told = original(job, outcome)
        return core.Fail(job=job, error=told.error) if isinstance(told, core.Fail) else told

    around(core, "_by_outcome", soft)


@fault("SDK-WORK-002")
def retry_in_is_lost() -> None:
    """A handler that says RetryIn has its job wait for the backoff."""

    def soft(original: Any, job: Any, outcome: Any) -> Any:
        told = original(job, outcome)
        if isinstance(told, core.Fail):
            return core.Fail(job=job, error=told.error, discard=told.discard)
        return told

    around(core, "_by_outcome", soft)


@fault("SDK-WORK-002")
def errors_have_no_message() -> None:
    """What a handler raised is told by its type alone."""
    put(core, "error_text", lambda error: type(error).__name__)


@fault("SDK-WORK-001")
def results_are_dropped() -> None:
    """What a handler returns is not sent."""
    put(core, "_ack", lambda job, value: core.Ack(job=job))


def _bound(original: Any, changed: Any) -> Any:
    return lambda *args: changed(original, *args)
