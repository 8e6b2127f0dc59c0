"""Faults of the Python SDK in what it repeats, when, and in what it makes of errors and answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobwire import _async_client, _backoff, _client, _models
from jobwire import _errors as errors
from jobwire import _operations as operations
from jobwire._error_codes import ERROR_CODES
from jobwire._ids import uuid7

from conformance.mutants.fault import around, everywhere, fault, put

# --- repeating ----------------------------------------------------------------------------------------------------------


@fault("SDK-ERR-003", "SDKF-CONN-007")
def push_has_no_id() -> None:
    """A push leaves its id to the server."""

    def bare(original: Any, queue: str, item: Any, new_id: str) -> Any:
        request = original(queue, item, new_id)
        fields = {key: value for key, value in request.fields.items() if key != "id"}
        body = {key: value for key, value in request.body.items() if key != "id"}
        return replace(request, fields=fields, body=body)

    around(operations, "push", bare)


@fault("SDKF-CONN-007")
def each_try_has_a_new_id() -> None:
    """A push that is repeated is another push."""

    def fresh(original: Any, self: Any) -> Any:
        if self.op != "push":
            return original(self)
        again = {"id": uuid7()}
        return original(replace(self, fields={**self.fields, **again}, body={**self.body, **again}))

    around(operations.Request, "tcp_payload", fresh)
    around(operations.Request, "http_body", fresh)


@fault("SDKF-CONN-008")
def everything_is_repeated() -> None:
    """A request that must not be repeated after a lost answer is repeated."""

    def bold(original: Any, self: Any, policy: Any, retry_class: str) -> None:
        original(self, policy, "safe")

    around(_backoff.RetryState, "__init__", bold)


@fault("SDKF-CONN-007")
def nothing_is_repeated() -> None:
    """A request whose answer was lost is given up, although it may be repeated."""
    put(
        _backoff.RetryState,
        "_allowed",
        lambda self, error: error.retryable and error.code == "CONNECTION_FAILED",
    )


@fault("SDKF-CONN-004")
def first_failed_reconnect_is_the_last() -> None:
    """A connection that cannot be made twice in a row is not tried again."""

    def faint(original: Any, self: Any, error: Any) -> bool:
        if error.code == "CONNECTION_FAILED" and self._failures >= 2:
            return False
        return bool(original(self, error))

    around(_backoff.RetryState, "_allowed", faint)


@fault("SDKF-SESS-009", "SDKF-HTTP-002")
def retry_after_is_ignored() -> None:
    """The time that the server asks to wait is not waited."""

    def hasty(original: Any, self: Any, error: Any, u: float) -> Any:
        asked, error.retry_after = error.retry_after, None
        try:
            return original(self, error, u)
        finally:
            error.retry_after = asked

    around(_backoff.RetryState, "_wait", hasty)


@fault("SDKF-CONN-001")
def backoff_has_no_jitter() -> None:
    """All clients that lost a server come back in the same moment."""
    around(_backoff, "delay", lambda original, attempt, u, **kw: original(attempt, 1.0, **kw))


@fault("SDKF-CONN-001")
def backoff_does_not_grow() -> None:
    """Each pause before a repeat is like the first."""
    around(_backoff, "delay", lambda original, attempt, u, **kw: original(0, u, **kw))


@fault("SDKF-CORR-003")
def calls_wait_for_ever() -> None:
    """The timeout of a call is not kept."""
    for kind in (_client.Client, _async_client.AsyncClient):

        def patient(original: Any, self: Any, *args: Any, **kwargs: Any) -> Any:
            view = original(self, *args, **kwargs)
            view._timeout = 3600.0
            return view

        def made(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
            original(self, *args, **{**kwargs, "timeout": 3600.0})

        around(kind, "with_options", patient)
        around(kind, "__init__", made)


# --- errors -------------------------------------------------------------------------------------------------------------


@fault("SDK-ERR-002")
def missing_job_is_a_conflict() -> None:
    """JOB_NOT_FOUND is raised as ConflictError."""

    def wrong(original: Any, code: str, *args: Any) -> Any:
        return errors.ConflictError if code == "JOB_NOT_FOUND" else original(code, *args)

    around(errors, "_class_of", wrong)


@fault("SDKF-HTTP-009")
def unknown_code_has_no_class() -> None:
    """An error with a code that this version does not know is of no class."""

    def plain(original: Any, code: str, *args: Any) -> Any:
        return original(code, *args) if code in ERROR_CODES else errors.JobwireError

    around(errors, "_class_of", plain)


@fault("SDK-JOBS-002", "SDK-ERR-001")
def details_are_dropped() -> None:
    """An error loses the details that the server gave."""

    def short(original: Any, self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **{**kwargs, "details": None})

    around(errors.JobwireError, "__init__", short)


@fault("SDK-JOBS-004", "SDK-JOBS-002")
def partial_failure_is_an_error() -> None:
    """A batch of which one item failed raises, and tells nothing of the others."""

    def strict(original: Any, reply: Any) -> None:
        results = reply.body.get("results") or ()
        if any(result.get("ok") is False for result in results):
            raise errors.ConflictError("PARTIAL_FAILURE", "an item failed")
        original(reply)

    around(operations, "check", strict)


# --- answers ------------------------------------------------------------------------------------------------------------


@fault("SDKF-BYTES-013")
def unknown_state_breaks() -> None:
    """A job in a state that this version does not know cannot be read."""
    parse = _models.JobState
    everywhere((_models, operations), "parse_state", lambda text: parse(text) if text else text)
    fields = _models._JOB_FIELDS
    put(_models, "_JOB_FIELDS", {**fields, "state": ("state", parse)})


@fault("SDKF-BYTES-013")
def unknown_member_breaks() -> None:
    """A job with a member that this version does not know cannot be read."""
    known = {key for key, _ in _models._JOB_FIELDS.values()} | {"id"}

    def strict(original: Any, wire: Any) -> Any:
        if set(wire) - known - {"metadata", "lease", "errors", "logs"}:
            raise ValueError("unknown member")
        return original(wire)

    put(_models.Job, "parse", staticmethod(_wrapped(_models.Job.parse, strict)))


@fault("SDK-JOBS-001")
def outcome_is_always_created() -> None:
    """A push that met a job that was there says that it made one."""

    def proud(original: Any, body: Any) -> Any:
        return original({**body, "outcome": "created"})

    around(operations, "_parse_push", proud)


def _wrapped(original: Any, changed: Any) -> Any:
    return lambda *args: changed(original, *args)
