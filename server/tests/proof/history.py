"""What clients saw, one JSON line before each call and one after it (guarantees §3).

    {"call": "w1-7", "op": "ack", "worker": "w1", "id": …, "lease": …, "delivery": 2, "t0": µs, "request": {…}}
    {"call": "w1-7", "t1": µs, "out": "ok", "answer": {…}}

Instants are microseconds of CLOCK_MONOTONIC, which all processes of a machine share. A call without a second line is `info`: the
process or the connection ended first, so that it may or may not have had its effect. A line is one write to a file opened with
O_APPEND, so that whoever kills the writer finds whole lines. A line about a batch becomes one call for each of its jobs.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from tests.proof.crash.batches import parts_of

Out = Literal["ok", "fail", "info"]
Delivery = int | list[int] | None


def now_us() -> int:
    return time.monotonic_ns() // 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of one client. `t1` is None, `answer` empty and `out` info where no answer came."""

    key: str
    op: str
    worker: str
    t0: int
    t1: int | None = None
    out: Out = "info"
    id: str | None = None
    lease: str | None = None
    delivery: int | None = None
    request: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    lines: tuple[str, ...] = ()
    batch: str | None = None  # what the calls share that happen all or not at all

    @property
    def returned(self) -> int:
        """The latest instant of the effect of a call that was answered, in µs."""
        assert self.t1 is not None, f"{self.key} was never answered"
        return self.t1

    @property
    def latest(self) -> float:
        """As `returned`; without bound for a call that was not answered, which a server may still carry out."""
        return inf if self.t1 is None else self.t1

    @property
    def may_have_happened(self) -> bool:
        return self.out != "fail"


class Ledger:
    """The file of one client process."""

    def __init__(self, folder: Path, worker: str) -> None:
        self.worker = worker
        self._calls = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(folder / f"{worker}.jsonl", flags, 0o600)

    def invoke(self, op: str, request: dict[str, Any], *, delivery: Delivery = None) -> str:
        """Note a call that is about to be made; answers the key to end it with. A batch has a delivery for each item."""
        self._calls += 1
        key = f"{self.worker}-{self._calls}"
        subject = {"id": request.get("id"), "lease": request.get("lease"), "delivery": delivery}
        line = {"call": key, "op": op, "worker": self.worker, **subject}
        self._write({**line, "t0": now_us(), "request": request})
        return key

    def end(self, key: str, out: Out, answer: dict[str, Any]) -> None:
        self._write({"call": key, "t1": now_us(), "out": out, "answer": answer})

    def note(self, op: str, *, delivery: int | None = None, **request: Any) -> None:
        """Something that a client did by itself, such as forgetting a job."""
        self.end(self.invoke(op, request, delivery=delivery), "ok", {})

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if os.write(self._file, text) != len(text):
            raise OSError("a ledger line was cut; is the disk full?")

    def close(self) -> None:
        os.close(self._file)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_folder(folder: Path) -> list[Call]:
    """The calls of every ledger in a folder, by their beginning."""
    calls = [call for path in sorted(folder.glob("*.jsonl")) for call in read_file(path)]
    return sorted(calls, key=lambda call: (call.t0, call.key))


def read_file(path: Path) -> list[Call]:
    return pair(
        (f"{path.name}:{number}", json.loads(text))
        for number, text in enumerate(path.read_text().splitlines(), 1)
    )


def pair(lines: Iterable[tuple[str, dict[str, Any]]]) -> list[Call]:
    """Calls from (place, line) in the order of their beginnings.

    Raises:
        ValueError: an end without a beginning, or a second beginning or end of the same call.
    """
    begun: dict[str, tuple[str, dict[str, Any]]] = {}
    ended: dict[str, tuple[str, dict[str, Any]]] = {}
    for place, line in lines:
        side = ended if "t1" in line else begun
        if line["call"] in side or (side is ended and line["call"] not in begun):
            raise ValueError(f"{place}: call {line['call']} does not pair")
        side[line["call"]] = (place, line)
    return [_call(*part) for key in begun for part in _parts(key, begun[key], ended.get(key))]


Placed = tuple[str, dict[str, Any]]


def _parts(
    key: str, begun: Placed, ended: Placed | None
) -> Iterator[tuple[str, Placed, Placed | None]]:
    for part, start, end in parts_of(key, begun[1], ended[1] if ended else None):
        yield part, (begun[0], start), (ended[0], end) if ended and end else None


def _call(key: str, begun: Placed, ended: Placed | None) -> Call:
    place, start = begun
    facts = {name: start[name] for name in ("op", "worker", "id", "lease", "delivery", "t0")}
    begin = Call(
        key=key, **facts, request=start["request"], lines=(place,), batch=start.get("batch")
    )
    if ended is None:
        return begin
    end_place, end = ended
    return replace(
        begin, t1=end["t1"], out=end["out"], answer=end["answer"], lines=(place, end_place)
    )
