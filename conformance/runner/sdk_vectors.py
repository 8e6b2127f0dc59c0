"""
Golden vectors in the directions of the SDKs: client.encode (what an SDK writes for a value) and client.decode (what it makes of bytes).

They go through the real wire, over either door: the gremlin looks at the bytes of a push, and answers a get_job with the text of a
vector, whole, byte by byte and cut at every place inside it. No driver needs a codec of its own for that.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.driver_messages import pack, unpack
from conformance.runner.gremlin import Connection, Peer
from conformance.runner.gremlin_answers import ANSWERS, line, response
from conformance.runner.matching import mismatches
from conformance.runner.sdk_signals import Signals
from conformance.runner.sdk_wire import Seen, WireLog
from conformance.runner.specification import REPOSITORY
from conformance.runner.values import Variables

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from conformance.runner.driver import Driver

VALUES: Final = REPOSITORY / "spec" / "vectors" / "json_values.json"
# A text of so many bytes is cut at every place, a longer one at so many; over HTTP fewer, since its bodies are read by length.
PLACES: Final = {"tcp": 12, "http": 6}
_MARK: Final = b'"@@"'
_ID: Final = "0190b6e4-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """A JSON value as text; `exact` when every language can keep it."""

    id: str
    text: str
    exact: bool

    @property
    def value(self) -> Any:
        return json.loads(self.text)


@functools.cache
def vectors() -> tuple[Vector, ...]:
    listed = json.loads(VALUES.read_text(encoding="utf-8"))["vectors"]
    return tuple(Vector(**each) for each in listed)


def differences(vector: Vector, found: Any, caps: Collection[str]) -> str:
    """
    Why *found* is not the value of the vector; empty when it is.

    Where the vector is not exact, the nearest double is as good for an SDK without the cap of its kind of number: `bigint`, or
    `float` (1.0 is not 1).
    """
    kept = ("float" if isinstance(vector.value, float) else "bigint") in caps
    if not vector.exact and not kept and _near(vector.value, found):
        return ""
    return "; ".join(map(str, mismatches({"equal": vector.value}, found)))


def _near(wanted: Any, found: Any) -> bool:
    numbers = isinstance(wanted, (int, float)) and isinstance(found, (int, float))
    try:
        return numbers and float(wanted) == float(found)
    except OverflowError:
        return False


# --- one SDK over one door ------------------------------------------------------------------------------------------------


class Doors(Peer):
    """The gremlin without a script: `turn` makes one exchange."""

    async def __aenter__(self) -> Doors:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.end()

    async def turn(self) -> tuple[Connection, Seen]:
        """The next request, once a connection is there."""
        if self.current is None or self.current.ended:
            self.current = await self.arrival()
            if not self.current.is_http:
                hello = await self.current.request("hello")
                await self.current.send(line({"ok": True, **ANSWERS["hello"]({})}, hello.rid))
        seen = await self.current.request("a request")
        self.current.unanswered.clear()
        self.log.seen.clear()
        return self.current, seen


async def check(driver: Driver, transport: str) -> list[str]:
    """Both directions of every vector. What is wrong, by the id of the vector; empty when nothing is."""
    variables = Variables("vectors", 7, transport)
    problems: list[str] = []
    async with Doors(transport, variables, WireLog(), Signals()) as doors:
        await driver.ask("new", obj="v", kind="client", args={"url": doors.url, "retries": 0})
        for vector in vectors():
            problems += [
                f"client.encode {vector.id}: {why}" for why in await _encode(driver, doors, vector)
            ]
            problems += [
                f"client.decode {vector.id}: {why}" for why in await _decode(driver, doors, vector)
            ]
        await driver.ask("close", obj="v")
    return problems


async def _encode(driver: Driver, doors: Doors, vector: Vector) -> list[str]:
    args = {"queue": "q", "name": "n", "id": _ID, "data": pack(vector.value)}
    _, future = await driver.begin("call", obj="v", method="push", args=args)
    connection, seen = await doors.turn()
    await connection.send(_answer(connection, seen, json.dumps({"ok": True, "id": _ID}).encode()))
    await driver.result(future, "push")
    raw = seen.raw if seen.http is None else seen.http.body
    return [
        *_byte_rules(raw),
        *filter(None, [differences(vector, seen.fields["data"], driver.ready["caps"])]),
    ]


def _byte_rules(raw: bytes) -> Iterator[str]:
    """What holds for the bytes of every request (wire.md): UTF-8 without a BOM, no line end inside, keys once."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        yield f"it is no UTF-8: {error}"
        return
    if text.startswith("\ufeff"):
        yield "it begins with a BOM"
    if "\n" in text or "\r" in text:
        yield "it has a line end inside"
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.extend(key for key, _ in pairs if [each for each, _ in pairs].count(key) > 1)
        return dict(pairs)

    json.loads(text, object_pairs_hook=once)
    if twice:
        yield f"keys stand twice: {twice}"


async def _decode(driver: Driver, doors: Doors, vector: Vector) -> list[str]:
    """The same answer whole, with the value byte by byte, and in two pieces at every place of the value."""
    problems = []
    for chunking in _chunkings(vector, PLACES[doors.transport]):
        _, future = await driver.begin("call", obj="v", method="get_job", args={"job": _ID})
        connection, seen = await doors.turn()
        data = _answer(connection, seen, _job(vector))
        start = data.index(vector.text.encode())
        await connection.send(data, _cuts(chunking, start, len(vector.text.encode())))
        job = await driver.result(future, "get_job")
        why = differences(vector, unpack(job["data"]), driver.ready["caps"])
        if not why and job["raw"]["data"] != vector.text:
            why = f"the text is {job['raw']['data'][:100]!r}"
        if why:
            problems.append(f"({chunking}) {why}")
    return problems


def _chunkings(vector: Vector, places: int) -> list[str | int]:
    size = len(vector.text.encode())
    step = max(1, -(-size // places))
    return ["whole", *(["bytes"] if size <= 4 * places else []), *range(0, size + 1, step)]


def _cuts(chunking: str | int, start: int, size: int) -> list[int]:
    if chunking == "whole":
        return []
    return list(range(start, start + size + 1)) if chunking == "bytes" else [start + int(chunking)]


def _job(vector: Vector) -> bytes:
    job = {
        "ok": True,
        "job": {"id": _ID, "queue": "q", "name": "n", "state": "waiting", "data": "@@"},
    }
    return json.dumps(job).encode().replace(_MARK, vector.text.encode())


def _answer(connection: Connection, seen: Seen, body: bytes) -> bytes:
    if connection.is_http:
        return response(200, body)
    return b'{"rid":%d,' % (seen.rid or 0) + body[1:] + b"\n"
