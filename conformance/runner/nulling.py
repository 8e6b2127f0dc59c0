"""
Every case against every null server: which pass, and whether that was said.

A `do:` is answered here, by what the null server would have said, since there are some 25,000 runs; raw steps go over sockets.
Nothing is judged by the recorder: a case must fail by what it asserts itself.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from conformance.nullservers import KINDS, Addresses, Kind, running
from conformance.runner.doors import Doors
from conformance.runner.model import Case, Item, Outcome
from conformance.runner.operations import (
    Answer,
    Operation,
    WrongAnswer,
    encode,
    http_answer,
    http_request,
    parse,
    tcp_answer,
)
from conformance.runner.recorder import Recorder
from conformance.runner.running import run_item
from conformance.runner.target import Control, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# Few where there are answers, so that a run has the time to come to a pass; many where all of them only wait.
AT_ONCE: Final[Mapping[str, int]] = {"answers": 64, "hangs_up": 64, "silent": 400}
LIMIT_S: Final = 1.0  # for one run: who has not failed by then waits for what never comes
ALONE_S: Final = 10.0  # for one that should pass and did not, by itself
_NOW: Final = 1_767_225_600_000


class NullControl(Control):
    """A control API that does as it is told, and has no server behind it."""

    def __init__(self) -> None:  # no super(): there is nobody to connect to
        self.url = ""
        self.now = None

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        moved = (body or {}).get("ms", 0) if path == "/clock/advance" else 0
        now = (self.now or _NOW) + moved
        return {
            "now": now,
            "frozen": True,
            "fired": 0,
            "id": 1,
            "faults": [],
            "hash": "",
            "jobs": 0,
        }

    async def crash(self) -> None:
        return None

    async def close(self) -> None:
        return None


class NullDoors(Doors):
    """The doors of a null server; its answers to operations need no socket."""

    def __init__(self, kind: Kind, *rest: Any) -> None:
        super().__init__(*rest)
        self._kind = kind

    async def call(
        self,
        door: str,
        connection: str,
        operation: Operation,
        fields: Mapping[str, Any],
        on_sent: Callable[[], None] | None = None,
    ) -> Answer:
        if on_sent is not None:
            on_sent()
        if self._kind.manner == "silent":
            raise TimeoutError(f"{operation.name} is not answered by a server that hangs")
        if self._kind.manner == "hangs_up":
            return Answer(fields={}, lost="the server closed the connection")
        if door == "http":
            body = http_request(operation, fields).body or b""
            return http_answer(operation, *_parts(self._kind.http(body)))
        line = parse(self._kind.line(encode({"cmd": operation.name, **fields})))
        if not isinstance(line, dict):
            raise WrongAnswer(f"{operation.name} was answered with {line!r:.100}")
        return tcp_answer(operation, line, wire=1 if door == "tcp1" else 2)


def _parts(answer: bytes) -> tuple[int, str, bytes]:
    """Status, media type and body of an answer of a null server."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return int(first.split(" ")[1]), headers["Content-Type"], body


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a case that must not be: it passes without a reason, or has a reason and does not pass."""

    case: Case
    kind: str
    why: str

    def __str__(self) -> str:
        return f"{self.case.where}: {self.case.id} on `{self.kind}`: {self.why}"


def passes(case: Case, kind: str) -> bool:
    """Whether the case says that it passes on this kind."""
    return case.passes_on_null is not None and kind in case.passes_on_null["kinds"]


def judge(case: Case, kind: str, outcome: Outcome | None) -> Finding | None:
    """What is wrong with an outcome; None for a run that took too long, which is no pass, means the same as a failure."""
    passed = outcome is not None and outcome.verdict == "pass"
    if passed and not passes(case, kind):
        return Finding(case=case, kind=kind, why="it passes, and `passes_on_null` does not say why")
    if not passed and passes(case, kind):
        return Finding(case=case, kind=kind, why="`passes_on_null` names it, and it does not pass")
    return None


def findings_apart(
    cases: Sequence[Case], kinds: Iterable[str], processes: int = 1
) -> list[Finding]:
    """
    The findings of some kinds, `processes` of them at a time. Forked, so that the cases are read once, and so that what a run
    leaves open that was given up in the midst of a connection ends with its process.
    """
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        parts = [pool.submit(_one_kind, cases, kind) for kind in kinds]
        return [finding for part in parts for finding in part.result()]


def _one_kind(cases: Sequence[Case], kind: str) -> list[Finding]:
    """Without the search for garbage, which takes a quarter of the time, and is made up for at the end."""
    gc.disable()
    try:
        return asyncio.run(findings(cases, {kind: KINDS[kind]}))
    finally:
        gc.enable()


async def findings(cases: Sequence[Case], kinds: Mapping[str, Kind] = KINDS) -> list[Finding]:
    """Run every case on every kind. A case of several transports takes turns with them from kind to kind."""
    found: list[Finding] = []
    for kind in kinds.values():
        number = list(KINDS).index(kind.name) if kind.name in KINDS else 0
        items = [
            Item(case=case, transport=case.transports[(place + number) % len(case.transports)])
            for place, case in enumerate(cases)
        ]
        outcomes = await _run_all(items, kind)
        for item, outcome in zip(items, outcomes, strict=True):
            if passes(item.case, kind.name) and (outcome is None or outcome.verdict != "pass"):
                [outcome] = await _run_all([item], kind, ALONE_S)  # it may have had too little time
            finding = judge(item.case, kind.name, outcome)
            found += [finding] if finding is not None else []
    return found


async def _run_all(
    items: Sequence[Item], kind: Kind, limit: float = LIMIT_S
) -> list[Outcome | None]:
    recorder = Recorder(None, judge=False)
    turns = asyncio.Semaphore(AT_ONCE[kind.manner])
    async with running(kind) as addresses:

        async def one(item: Item) -> Outcome | None:
            async with turns:
                return await _run(item, kind, addresses, recorder, limit)

        try:
            return await asyncio.gather(*map(one, items))
        finally:
            recorder.close()


async def _run(
    item: Item, kind: Kind, addresses: Addresses, recorder: Recorder, limit: float
) -> Outcome | None:
    target = Target(
        http_url=addresses.http_url,
        tcp_address=("127.0.0.1", addresses.tcp_port),
        token=(item.case.server.get("auth.tokens") or [None])[0],
        control=NullControl(),
        capabilities=frozenset(item.case.requires),
        name=kind.name,
    )

    async def restart(how: str) -> None:
        """It is as it was."""

    try:
        async with asyncio.timeout(limit):
            doors = partial(NullDoors, kind)
            return await run_item(item, target, recorder, restart=restart, doors=doors)
    except TimeoutError:
        return None
