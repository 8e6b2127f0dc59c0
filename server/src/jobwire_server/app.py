"""
The composition root: settings in, a running server out. The only module that names concrete classes.

It owns every task. SIGTERM and SIGINT drain: pulls that wait are answered, what is in flight is finished, the store is closed. A
second signal, or a store that failed, ends it at once.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal

import structlog

from jobwire_server.auth import Gate
from jobwire_server.clock import Clock, SystemClock
from jobwire_server.config import Settings, token_hashes
from jobwire_server.engine.flows import resolve_child
from jobwire_server.errors import StoreFailed
from jobwire_server.events import Event, EventBus
from jobwire_server.http_api.door import HttpDoor
from jobwire_server.http_api.handlers import Handlers
from jobwire_server.ids import IdMaker
from jobwire_server.maintenance import Maintenance
from jobwire_server.metrics import Metrics
from jobwire_server.operations.core import Core, JobDefaults, Options
from jobwire_server.operations.service import Operations
from jobwire_server.store import urls
from jobwire_server.store.memory import MemoryStore
from jobwire_server.store.sqlite import SqliteStore
from jobwire_server.tcp_api.connection import Connection
from jobwire_server.tcp_api.server import TcpDoor
from jobwire_server.tls import TlsError, tls_files

if TYPE_CHECKING:
    from jobwire_server.store.base import Store
    from jobwire_server.test_mode.door import ControlDoor
    from jobwire_server.test_mode.rig import Rig

_log = structlog.get_logger(__name__)

# (http port, tcp port, durability) when both doors are open; in test mode the URL of the control API is the fourth.
OnStarted = Callable[..., None]
OnFailed = Callable[[StoreFailed], None]

# What an answer has beside its jobs: the counts and the id of a flow, a cursor, a rid.
ANSWER_FRAME_BYTES: Final = 16 * 1024

SWITCH_S: Final = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What test mode replaces; everything else of a server is the same with and without it (docs/adr/0014)."""

    clock: Clock
    new_id: Callable[[], str]
    random: Callable[[], float]
    handlers: type[Handlers] = Handlers
    connection: type[Connection] = Connection


class Server:
    """Everything that runs for one store; `running` makes one, the doors open."""

    def __init__(self, settings: Settings, core: Core, parts: Parts) -> None:
        self.core = core
        self.metrics = Metrics()
        self.metrics.watch(
            lambda: {name: info.counts for name, info in core.store.queues().items()}
        )
        self.operations = Operations(core, self.metrics.command)
        self.maintenance = Maintenance(core, settings.jobs.tick_ms)
        self.gate = gate = Gate(token_hashes(settings.auth), core.clock)
        self._tcp_tls = tls_files(settings.tcp.tls_cert, settings.tcp.tls_key)
        context = None if self._tcp_tls is None else self._tcp_tls.context
        self.http = HttpDoor(self.operations, gate, settings, self.metrics, _log, parts.handlers)
        self.tcp = TcpDoor(
            self.operations, gate, settings, core.clock, _log, context, parts.connection
        )
        core.bus.subscribe(self._count)

    async def drain(self) -> None:
        """Accept nothing new and finish what is in flight, both doors at a time."""
        self.operations.drain()
        await asyncio.gather(self.http.drain(), self.tcp.drain())

    def reload(self) -> None:
        """Read certificates and keys again (SIGHUP); what cannot be read is logged, and the old ones stay."""
        try:
            self.http.reload()
            if self._tcp_tls is not None:
                self._tcp_tls.reload()
            _log.info("tls.reloaded")
        except TlsError as error:
            _log.error("tls.reload_failed", error=str(error))

    def _count(self, events: Sequence[Event]) -> None:
        for name, number in Counter(map(_EVENT_NAME, events)).items():
            counter = _COUNTERS.get(name)
            if counter is not None:
                counter(self.metrics, number)


_EVENT_NAME: Final = attrgetter("name")
_COUNTERS: Final[dict[str, Callable[[Metrics, int], None]]] = {
    "job.pushed": Metrics.pushed,
    "job.started": Metrics.pulled,
    "job.completed": Metrics.completed,
    "job.failed": Metrics.failed,
}


_SYNCHRONOUS: Final[dict[str, Literal["FULL", "NORMAL", "OFF"]]] = {
    "full": "FULL",
    "normal": "NORMAL",
    "off": "OFF",
}


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    clock: Clock | None = None,
    on_failed: OnFailed | None = None,
    rig: Rig | None = None,
) -> AsyncIterator[Server]:
    """
    A server with its doors open and its housekeeper at work; closed at the end, without draining.

    Raises StoreInUse, StoreUnusable, OSError (an address that cannot be bound) or TlsError before it yields.
    """
    parts = _usual_parts(clock or SystemClock()) if rig is None else _rigged_parts(rig)
    store = open_store(settings, on_failed)
    if rig is not None:
        store = rig.watch(store)
    await store.open(parts.clock.now())
    try:
        server = Server(settings, _core(settings, store, parts), parts)
        if rig is not None:
            rig.connect(store, server.operations, server.gate, server.maintenance)
        await server.maintenance.start()
        housekeeping = asyncio.create_task(_keep_house(server, on_failed), name="housekeeping")
        try:
            await server.tcp.start()
            await (
                server.http.start()
            )  # last: who is told that the server is ready may use either door
            yield server
        finally:
            await server.tcp.close()
            await server.http.close()
            housekeeping.cancel()
            await asyncio.wait([housekeeping])
    finally:
        await store.close()


async def serve(settings: Settings, *, on_started: OnStarted | None = None) -> None:
    """
    Run a server until SIGTERM or SIGINT, then drain. Raises what `running` raises, and StoreFailed when the store gave up.
    """
    # The store's threads and the event loop hand the interpreter to each other many times a batch; at the default of 5 ms a
    # busy loop made a transaction wait fifteen times as long (docs/adr/0009).
    sys.setswitchinterval(SWITCH_S)
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()
    failures: list[StoreFailed] = []

    def give_up(error: StoreFailed) -> None:
        failures.append(error)
        if not stop.done():
            stop.set_exception(error)

    def failed(error: StoreFailed) -> None:  # called on a thread of the store
        loop.call_soon_threadsafe(give_up, error)

    rig = _rig(settings)
    async with (
        running(settings, on_failed=failed, rig=rig) as server,
        _control(rig, settings) as door,
    ):
        hurry = asyncio.Event()
        with _signals(stop, hurry, server):
            durability = server.core.store.durability
            control = {} if door is None else {"control": door.url}
            _log.info(
                "server.started",
                http=server.http.port,
                tcp=server.tcp.port,
                durability=durability,
                **control,
            )
            if on_started is not None:
                on_started(server.http.port, server.tcp.port, durability, **control)
            await stop
            if rig is not None:
                rig.let_go()
            _log.info("server.draining")
            await _drain(server, hurry, settings.server.drain_timeout_ms)
    if (
        failures
    ):  # while it drained: whoever waits for the exit code must not take it for a clean end
        raise failures[0]
    _log.info("server.stopped")


def open_store(settings: Settings, on_failed: OnFailed | None = None) -> Store:
    """The store that `settings.storage` names; not open yet."""
    place = urls.parse(settings.storage)
    if place.kind == "memory":
        return MemoryStore(resolve_child)
    return SqliteStore(
        place.path,
        resolve_child,
        synchronous=_SYNCHRONOUS[settings.sqlite.synchronous],
        on_failed=on_failed,
    )


def _usual_parts(clock: Clock) -> Parts:
    return Parts(clock=clock, new_id=IdMaker().new, random=random.random)


def _rigged_parts(rig: Rig) -> Parts:
    return Parts(
        clock=rig.clock,
        new_id=rig.new_id,
        random=rig.random,
        handlers=rig.handlers,
        connection=rig.connection,
    )


def _rig(settings: Settings) -> Rig | None:
    """The parts of test mode, where it was asked for; its code is not even loaded otherwise."""
    if not settings.test.enabled:
        return None
    from jobwire_server.test_mode.loop import VirtualLoop
    from jobwire_server.test_mode.rig import Rig

    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop), "cli/serve.py runs test mode on a loop of its own"
    return Rig(loop, settings.test.seed, settings.test.clock_ms)


@asynccontextmanager
async def _control(rig: Rig | None, settings: Settings) -> AsyncIterator[ControlDoor | None]:
    """The control API of test mode, open."""
    if rig is None:
        yield None
        return
    from jobwire_server.test_mode.door import ControlDoor

    door = ControlDoor(rig, settings.test.port)
    await door.start()
    _log.warning("test_mode.on", control=door.url)
    try:
        yield door
    finally:
        await door.close()


def _core(settings: Settings, store: Store, parts: Parts) -> Core:
    jobs = settings.jobs
    return Core(
        store=store,
        clock=parts.clock,
        new_id=parts.new_id,
        random=parts.random,
        bus=EventBus(),
        options=Options(
            require_lease=settings.auth.require_lease,
            job=JobDefaults(
                max_attempts=jobs.max_attempts,
                backoff=jobs.backoff,
                backoff_delay_ms=jobs.backoff_delay_ms,
                backoff_max_ms=jobs.backoff_max_ms,
                jitter=jobs.jitter,
            ),
            lease_ms=jobs.lease_ms,
            heartbeat_ms=max(jobs.lease_ms // 3, 1),
            max_answer_bytes=settings.server.max_response_bytes - ANSWER_FRAME_BYTES,
            retention_ms={
                "completed": jobs.retention_completed_ms,
                "dlq": jobs.retention_dlq_ms,
                "cancelled": jobs.retention_cancelled_ms,
            },
        ),
    )


@contextmanager
def _signals(stop: asyncio.Future[None], hurry: asyncio.Event, server: Server) -> Iterator[None]:
    """SIGTERM or SIGINT: stop; once more: without waiting for what is in flight. SIGHUP: read certificates again."""
    loop = asyncio.get_running_loop()

    def told() -> None:
        if stop.done():
            hurry.set()
        else:
            stop.set_result(None)

    handlers = {signal.SIGTERM: told, signal.SIGINT: told, signal.SIGHUP: server.reload}
    for number, handler in handlers.items():
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)


async def _drain(server: Server, hurry: asyncio.Event, limit_ms: int) -> None:
    """Until everything in flight is answered, a second signal comes, or the time is over."""
    drained = asyncio.create_task(server.drain(), name="drain")
    hurried = asyncio.create_task(hurry.wait(), name="hurry")
    done, _ = await asyncio.wait(
        [drained, hurried], timeout=limit_ms / 1000, return_when=asyncio.FIRST_COMPLETED
    )
    if not done:
        _log.warning("server.drain_timeout", after_ms=limit_ms)
    for task in (drained, hurried):
        task.cancel()
    await asyncio.wait([drained, hurried])
    if not drained.cancelled():
        drained.result()


async def _keep_house(server: Server, on_failed: OnFailed | None) -> None:
    """The housekeeper. Ends with the store."""
    try:
        await server.maintenance.run()
    except StoreFailed as error:
        _log.error("store.failed", error=str(error))
        if on_failed is not None:
            on_failed(error)
