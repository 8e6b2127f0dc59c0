"""The ledgers of tests/proof/history.py for clients that live in one process and in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.proof.history import Call, Delivery, Out, pair

Line = dict[str, Any]


class History:
    """All lines of a run, in the order in which they came about."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self.now_us = now_us
        self.lines: list[Line] = []

    def calls(self) -> list[Call]:
        return pair((str(number), line) for number, line in enumerate(self.lines, 1))

    def about(self, job_id: str) -> list[Line]:
        """What was said to and of one job."""
        begun = [line for line in self.lines if job_id in str(line.get("request", ""))]
        told = [line for line in self.lines if job_id in str(line.get("answer", ""))]
        keys = {line["call"] for line in (*begun, *told)}
        return [line for line in self.lines if line["call"] in keys]


class Ledger:
    """The lines of one client."""

    def __init__(self, history: History, worker: str) -> None:
        self._history = history
        self._calls = 0
        self.worker = worker

    def invoke(self, op: str, request: dict[str, Any], *, delivery: Delivery = None) -> str:
        self._calls += 1
        key = f"{self.worker}-{self._calls}"
        subject = {"id": request.get("id"), "lease": request.get("lease"), "delivery": delivery}
        line = {"call": key, "op": op, "worker": self.worker, **subject}
        self._history.lines.append({**line, "t0": self._history.now_us(), "request": request})
        return key

    def end(self, key: str, out: Out, answer: dict[str, Any]) -> None:
        line = {"call": key, "t1": self._history.now_us(), "out": out, "answer": answer}
        self._history.lines.append(line)

    def note(self, op: str, *, delivery: int | None = None, **request: Any) -> None:
        self.end(self.invoke(op, request, delivery=delivery), "ok", {})
