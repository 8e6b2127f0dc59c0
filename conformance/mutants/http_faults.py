"""Faults of the HTTP door, and of the shape of answers and errors on both."""

from __future__ import annotations

from typing import Any

import msgspec
from jobwire_server.errors import JobwireError
from jobwire_server.http_api import answers, bodies, handlers, middleware, routing
from jobwire_server.wire import job_view, responses

from conformance.mutants.fault import around, fault, put

# --- answers ------------------------------------------------------------------------------------------------------------


@fault("JW-HTTP-3")
def created_is_200() -> None:
    """A push that made a job is answered with 200."""
    put(responses, "_created", lambda result: 200)


@fault("JW-HTTP-1")
def answers_are_plain_text() -> None:
    """JSON is sent as text/plain."""
    put(answers, "JSON", "text/plain")


@fault("JW-FIND-1", "JW-HTTP-1")
def envelope_is_missing() -> None:
    """A page of jobs is answered without `ok`."""

    def bare(original: Any, result: Any) -> Any:
        shape = original(result)
        if isinstance(shape, dict) and "next_cursor" in shape:
            del shape["ok"]
        return shape

    around(responses, "_shape", bare)


@fault("RQ-HTTP-006", "JW-FIND-1", "JW-JOB-6")
def answer_has_a_secret_member() -> None:
    """A page of jobs has a member that is not documented."""

    def chatty(original: Any, result: Any) -> Any:
        shape = original(result)
        if isinstance(shape, dict) and "next_cursor" in shape:
            return {**shape, "internal_rows": 1}
        return shape

    around(responses, "_shape", chatty)


@fault("RQ-GAP-095")
def worker_is_left_out() -> None:
    """A completed job in an answer lacks a member that it must have."""

    def thin(original: Any, job: Any, *args: Any) -> Any:
        shown = original(job, *args)
        if job.state == "completed":
            shown.worker_id = msgspec.UNSET
        return shown

    around(responses, "view", thin)


@fault("READY-001", "JW-JOB-7", "JW-JOB-6")
def instants_are_local() -> None:
    """Instants of a job are written in another time zone, without saying so."""
    around(job_view, "rfc3339", lambda original, ms: original(ms + 7_200_000))


@fault("READY-001", "JW-JOB-7")
def delay_until_stays() -> None:
    """delay_until is shown of every job."""

    def lasting(original: Any, job: Any, *args: Any) -> Any:
        shown = original(job, *args)
        shown.delay_until = shown.run_at
        return shown

    around(responses, "view", lasting)


@fault("JW-HTTP-17")
def request_id_is_not_echoed() -> None:
    """Every answer has a request id of the server's own."""
    put(middleware.App, "_request_id", lambda self, given: self._ids.new())


# --- errors -------------------------------------------------------------------------------------------------------------


def _with_code(old: str, new: str) -> None:
    """Have one error go by the name of another."""

    def renamed(original: Any, self: Any, code: str, *args: Any, **kwargs: Any) -> None:
        original(self, new if code == old else code, *args, **kwargs)

    around(JobwireError, "__init__", renamed)


@fault("JW-LEASE-3")
def lost_lease_is_invalid_state() -> None:
    """LEASE_LOST is answered as INVALID_STATE."""
    _with_code("LEASE_LOST", "INVALID_STATE")


@fault("JW-UNIQ-2", "JW-PUSH-4")
def taken_key_is_an_id_conflict() -> None:
    """DUPLICATE_KEY is answered as ID_CONFLICT."""
    _with_code("DUPLICATE_KEY", "ID_CONFLICT")


@fault("JW-ERR-2")
def errors_do_not_say_retryable() -> None:
    """An error lacks `retryable`."""

    def short(original: Any, *args: Any) -> Any:
        return {key: value for key, value in original(*args).items() if key != "retryable"}

    around(responses, "error_view", short)


@fault("JW-ERR-6", "JW-ERR-5")
def details_are_empty() -> None:
    """An error does not say which field is wrong."""
    around(responses, "error_view", lambda original, *args: {**original(*args), "details": None})


@fault("JW-HTTP-4")
def retry_after_is_missing() -> None:
    """An error that says how long to wait lacks its Retry-After header."""

    def silent(original: Any, error: JobwireError) -> Any:
        return {k: v for k, v in original(error).items() if k != "Retry-After"}

    around(answers, "error_headers", silent)


@fault("JW-HTTP-2")
def problems_are_envelopes() -> None:
    """A client that accepts application/problem+json gets the envelope."""
    put(middleware, "prefers_problem", lambda accept: False)


@fault("HTTP-pushBatch-405-METHOD_NOT_ALLOWED", "JW-HTTP-5")
def allow_is_missing() -> None:
    """A wrong method is refused without an Allow header."""

    def silent(original: Any, error: JobwireError) -> Any:
        return {k: v for k, v in original(error).items() if k != "Allow"}

    around(answers, "error_headers", silent)


# --- requests -----------------------------------------------------------------------------------------------------------


@fault("JW-HTTP-6")
def head_takes_a_job() -> None:
    """HEAD on the path of the legacy pull is a pull."""

    def lax(original: Any, self: Any, method: str) -> Any:
        return self.methods.get("GET") if method == "HEAD" else original(self, method)

    around(routing.Place, "route", lax)


@fault("JW-HTTP-15")
def paths_are_not_decoded() -> None:
    """A percent-encoded character in a path stays encoded."""
    put(routing, "_decoded", lambda segment: segment)


@fault("JW-HTTP-7")
def any_media_type_is_json() -> None:
    """A body is read whatever its Content-Type says."""
    put(bodies, "is_json", lambda content_type: True)


@fault("HTTP-findJobs-422-VALIDATION_ERROR", "JW-HTTP-11")
def unknown_query_is_ignored() -> None:
    """A query parameter that is not known is dropped in silence."""

    def lenient(original: Any, text: str, known: Any) -> Any:
        parts = [part for part in text.split("&") if part.partition("=")[0] in known]
        return original("&".join(parts), known)

    around(handlers, "read_query", lenient)


@fault("HTTP-AUTH-002", "JW-AUTH-5")
def paths_can_be_probed() -> None:
    """An unknown path is told from a known one without a token."""

    def frank(original: Any, self: Any, request: Any, peer: str) -> None:
        if self._router.find(request.rel_url.raw_path) is not None:
            original(self, request, peer)

    around(middleware.App, "_authenticate", frank)


@fault("JW-HTTP-9")
def any_page_may_ask() -> None:
    """A page of a foreign origin is served."""
    put(middleware.App, "_refuse_pages", lambda self, request, route, *, any_host: None)
