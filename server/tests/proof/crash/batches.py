"""A call about several jobs, as one call for each of them, so that the rules know only single jobs.

The parts have the instants of the whole, and an answer of their own where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Line = dict[str, Any]
Part = tuple[str, Line, Line | None]  # key, beginning, end


def parts_of(key: str, start: Line, end: Line | None) -> Iterator[Part]:
    """The call itself, or one part for each of its jobs."""
    split = SPLITS.get(start["op"])
    if split is None:
        yield key, start, end
        return
    op, requests, answers = split
    for place, request in enumerate(requests(start)):
        subject = {"id": request["id"], "lease": request.get("lease")}
        part = {**start, **subject, "op": op, "request": request, "batch": _batch(key, start)}
        if start["delivery"] is not None:
            part["delivery"] = start["delivery"][place]
        yield f"{key}.{place}", part, None if end is None else _end(end, answers, place)


def _batch(key: str, start: Line) -> str | None:
    """What the parts have in common when they must all happen or none."""
    return key if start["op"] == "push_batch" and start["request"]["atomic"] else None


def _end(end: Line, answers: Callable[[Line], list[Line]], place: int) -> Line:
    if end["out"] != "ok":
        return end
    answer = answers(end["answer"])[place]
    return {**end, "out": "ok" if answer["ok"] else "fail", "answer": answer}


def _pushes(start: Line) -> list[Line]:
    request = start["request"]
    return [{**job, "queue": request["queue"]} for job in request["jobs"]]


def _pushed(answer: Line) -> list[Line]:
    if "results" in answer:
        return list(answer["results"])
    pairs = zip(answer["ids"], answer["outcomes"], strict=True)
    return [{"ok": True, "id": job_id, "outcome": outcome} for job_id, outcome in pairs]


def _acks(start: Line) -> list[Line]:
    return list(start["request"]["items"])


def _retries(start: Line) -> list[Line]:
    return [{"id": job_id} for job_id in start["request"]["ids"]]


def _results(answer: Line) -> list[Line]:
    return list(answer["results"])


SPLITS: dict[str, tuple[str, Callable[[Line], list[Line]], Callable[[Line], list[Line]]]] = {
    "push_batch": ("push", _pushes, _pushed),
    "ack_batch": ("ack", _acks, _results),
    "dlq_retry": ("retry", _retries, _results),
}
