"""
Interop: what one SDK pushes, another works on, and the first sees the outcome. Every pair, over either transport, on the reference server.

An exchange is a function of the two sides; AssertionError is a fault of one of them. What they claim is held against the wire, as in
every case.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.driver_messages import DriverBroken
from conformance.runner.matching import mismatches
from conformance.runner.paths import select
from conformance.runner.proxy import Proxy
from conformance.runner.sdk_calls import Caller
from conformance.runner.sdk_vectors import differences, vectors
from conformance.runner.sdk_wire import WireLog

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from conformance.runner.recorder import Recorder
    from conformance.runner.sdk_pool import Drivers

_TEXT: Final = 'żółć 🎉 \u2028 \u0000 \\ " </script>'


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A producer and a consumer over one transport."""

    producer: str
    consumer: str
    transport: str

    @property
    def name(self) -> str:
        return f"{self.producer}-to-{self.consumer}-{self.transport}"


def pairs(sdks: Iterable[str], transports: Sequence[str] = ("http", "tcp")) -> list[Pair]:
    wanted = list(sdks)
    return [
        Pair(producer=producer, consumer=consumer, transport=transport)
        for producer, consumer, transport in itertools.product(wanted, wanted, transports)
    ]


class Side:
    """One SDK of a pair: calls that must succeed, and what they gave."""

    def __init__(self, caller: Caller, obj: str, caps: frozenset[str]) -> None:
        self._caller = caller
        self._obj = obj
        self.caps = caps

    async def call(self, method: str, **args: Any) -> Any:
        result = await self._caller.end(await self._caller.begin(self._obj, method, args))
        assert result.error is None, f"{method}: {result.shown()}"
        return result.value


def _fits(value: Any, **wanted: Any) -> None:
    for path, expected in wanted.items():
        found = mismatches(expected, select(f"$.{path}", value), path=path)
        assert not found, "; ".join(map(str, found))


# --- exchanges ------------------------------------------------------------------------------------------------------------


async def _values(producer: Side, consumer: Side, queue: str) -> None:
    """Every JSON value: as data of a job, and back again as the result of its ack. By push and get_job they are golden vectors."""
    caps = producer.caps & consumer.caps
    given = [{"name": "n", "data": vector.value} for vector in vectors()]
    pushed = await producer.call("push_batch", queue=queue, jobs=given)
    jobs = await consumer.call("pull", queues=[queue], count=len(given))
    ids = [job["id"] for job in pushed]
    assert [job["id"] for job in jobs] == ids, "other jobs came"
    for vector, job in zip(vectors(), jobs, strict=True):
        why = differences(vector, job["data"], caps)
        assert not why, f"{vector.id}: data: {why}"
    await consumer.call("ack_batch", items=[{"job": job, "result": job["data"]} for job in jobs])
    found = await producer.call("find", queue=queue, state="completed")
    results = {job["id"]: job["result"] for job in found}
    assert results.keys() == set(ids), "other jobs are completed"
    for vector, job_id in zip(vectors(), ids, strict=True):
        why = differences(vector, results[job_id], caps)
        assert not why, f"{vector.id}: result: {why}"


async def _held(producer: Side, consumer: Side, queue: str, **options: Any) -> dict[str, Any]:
    await producer.call("push", queue=queue, name="n", data=_TEXT, **options)
    (job,) = await consumer.call("pull", queues=[queue], lease_ms=60000)
    assert job["data"] == _TEXT, f"the data is {job['data']!r}"
    return dict(job)


async def _fail(producer: Side, consumer: Side, queue: str) -> None:
    job = await _held(producer, consumer, queue)
    await consumer.call("fail", job=job, error=_TEXT, discard=True)
    seen = await producer.call("get_job", job=job["id"])
    _fits(seen, state="dlq", last_error=_TEXT, reason="failed", attempt=1)


async def _progress(producer: Side, consumer: Side, queue: str) -> None:
    job = await _held(producer, consumer, queue)
    await consumer.call("progress", job=job, percent=42, message=_TEXT)
    seen = await producer.call("get_job", job=job["id"])
    _fits(seen, progress=42, logs=[{"message": _TEXT}], state="active")


async def _cancel(producer: Side, consumer: Side, queue: str) -> None:
    """The producer cancels; the consumer hears of it by its heartbeat, and gives the job up."""
    job = await _held(producer, consumer, queue)
    _fits(await producer.call("cancel", job=job["id"]), state="active", already=False)
    _fits(await consumer.call("heartbeat", job=job), cancelled=True)
    _fits(await consumer.call("release", job=job), state="cancelled")


async def _retry(producer: Side, consumer: Side, queue: str) -> None:
    """A dead letter of the consumer is tried again by the producer, and comes with its history."""
    job = await _held(producer, consumer, queue, max_attempts=1)
    _fits(await consumer.call("fail", job=job, error=_TEXT), retry=False)
    _fits(await producer.call("retry_dlq", queue=queue, ids=[job["id"]]), count=1, remaining=0)
    (again,) = await consumer.call("pull", queues=[queue])
    _fits(again, id=job["id"], data=_TEXT, errors=[{"message": _TEXT}], delivery=2)
    await consumer.call("ack", job=again)


async def _batch(producer: Side, consumer: Side, queue: str) -> None:
    listed = await producer.call(
        "push_batch",
        queue=queue,
        jobs=[
            {"name": "n", "data": number, "metadata": {"n": [number]}, "tags": ["a"]}
            for number in range(20)
        ],
    )
    jobs = await consumer.call("pull", queues=[queue], count=20)
    assert [job["id"] for job in jobs] == [each["id"] for each in listed], "another order"
    assert [job["metadata"] for job in jobs] == [{"n": [number]} for number in range(20)]
    acked = await consumer.call(
        "ack_batch", items=[{"job": job, "result": job["data"]} for job in jobs]
    )
    assert all(each["ok"] for each in acked), f"{acked}"
    seen = await producer.call("find", queue=queue, state="completed")
    assert sorted(job["result"] for job in seen) == list(range(20))


async def _options(producer: Side, consumer: Side, queue: str) -> None:
    """What the producer asks for is what the consumer sees, in its own units."""
    options: Mapping[str, Any] = {
        "priority": -3,
        "max_attempts": 9,
        "backoff": "linear",
        "backoff_delay_ms": 1500,
        "jitter": 0.5,
        "ttl_ms": 90000,
        "timeout_ms": 12345,
        "tags": ["ä", "b"],
        "group_id": "g",
        "custom_id": "c",
        "metadata": {"ä": [1.5, None]},
    }
    job = await _held(producer, consumer, queue, **options)
    _fits(job, **{name: {"equal": value} for name, value in options.items()})
    _fits(await consumer.call("release", job=job), state="waiting")


EXCHANGES: Final[Mapping[str, Callable[[Side, Side, str], Awaitable[None]]]] = {
    "values": _values,
    "fail": _fail,
    "progress": _progress,
    "cancel": _cancel,
    "retry": _retry,
    "batch": _batch,
    "options": _options,
}


# --- running --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InteropOutcome:
    """verdict: pass, fail, or error (of a driver)."""

    name: str
    verdict: str
    failure: str | None
    seconds: float


async def run_pair(
    pair: Pair, exchange: str, drivers: Drivers, recorder: Recorder
) -> InteropOutcome:
    """One exchange of one pair."""
    name = f"INTEROP-{exchange}[{pair.name}]"
    began = time.monotonic()
    verdict, failure = "pass", None
    recorder.note(name)
    try:
        async with (
            _side(pair.producer, pair.transport, drivers, recorder, "producer") as producer,
            _side(pair.consumer, pair.transport, drivers, recorder, "consumer") as consumer,
        ):
            await EXCHANGES[exchange](producer, consumer, f"{exchange}-{pair.name}")
        problems = recorder.problems_of(name)
        assert not problems, f"undocumented on the wire: {'; '.join(problems)}"
    except DriverBroken as error:
        verdict, failure = "error", str(error)
    except AssertionError as error:
        verdict, failure = "fail", str(error)
    seconds = round(time.monotonic() - began, 3)
    recorder.item(
        name,
        id=f"INTEROP-{exchange}",
        suite="interop",
        title=f"{exchange}: {pair.producer} produces, {pair.consumer} consumes",
        covers=[],
        level="MUST",
        transport=pair.transport,
        requires=[],
        column="interop",
        verdict=verdict,
        assertions=1,
        seconds=seconds,
        failure=failure,
        steps=[],
    )
    return InteropOutcome(name=name, verdict=verdict, failure=failure, seconds=seconds)


@contextlib.asynccontextmanager
async def _side(
    sdk: str, transport: str, drivers: Drivers, recorder: Recorder, obj: str
) -> AsyncIterator[Side]:
    driver = await drivers.get(sdk, virtual=False)
    server = await drivers.server(with_token=False)
    log = WireLog()
    driver.forget()
    async with Proxy(
        transport, server.doors.addresses[transport], log, recorder, f"sdk:{sdk}"
    ) as proxy:
        await driver.ask("new", obj=obj, kind="client", args={"url": proxy.url})
        try:
            yield Side(Caller(driver, log, recorder, sdk), obj, frozenset(driver.ready["caps"]))
        finally:
            if driver.broken is None:
                await driver.ask("close", obj=obj)
