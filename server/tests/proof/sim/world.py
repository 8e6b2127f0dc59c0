"""One simulated machine: a store that stays, servers that come and go on it, a clock, a network and a history."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from random import Random
from typing import Any

from tests.proof.crash.traffic import QUEUES
from tests.proof.sim.faults import FaultyStore
from tests.proof.sim.loop import SimLoop
from tests.proof.sim.network import BrokenLinkError, Link
from tests.proof.sim.recording import History, Ledger
from tests.proof.sim.setting import Setting

from jobwire_server.auth import Gate
from jobwire_server.config import Settings
from jobwire_server.engine.flows import resolve_child
from jobwire_server.errors import StoreFailed
from jobwire_server.events import EventBus
from jobwire_server.maintenance import Maintenance
from jobwire_server.operations.core import Core, Options
from jobwire_server.operations.service import Operations
from jobwire_server.store.memory import MemoryStore
from jobwire_server.tcp_api.connection import Connection
from jobwire_server.tcp_api.deadlines import SLOT_MS, Deadlines
from jobwire_server.tcp_api.shared import Limits, Shared

EPOCH_MS = 1_767_225_600_000
LIMITS = Limits.of(Settings())
UNFINISHED = ("waiting", "delayed", "blocked", "active")


class SimClock:
    """Runs with the loop; the wall clock beside it can be set, and then `now` follows at the next resync, which is recorded."""

    def __init__(self, loop: SimLoop, ledger: Ledger) -> None:
        self._loop = loop
        self._ledger = ledger
        self._wall = self._followed = (
            0  # ms by which the wall clock was set, and how far `now` followed
        )

    def now(self) -> int:
        return EPOCH_MS + self._loop.now_us // 1_000 + self._followed

    def drift(self) -> int:
        return self._wall - self._followed

    def resync(self) -> None:
        self._followed = self._wall
        self._ledger.note("resync")

    def jump(self, ms: int) -> None:
        self._wall += ms
        self._ledger.note("jump", ms=ms)


class Log:
    """What the server logs; errors are bugs, because nothing that a client or a store does may be one."""

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems

    def debug(self, event: str, **fields: Any) -> None:
        """Of no interest."""

    def warning(self, event: str, **fields: Any) -> None:
        """Of no interest."""

    def error(self, event: str, **fields: Any) -> None:
        self._problems.append(f"{event}: {fields}")


class Server:
    """What app.py makes of a store, without sockets. It ends with its process, as by SIGKILL."""

    def __init__(self, world: World, number: int) -> None:
        self._loop = world.loop
        chance = Random(f"{world.seed}-server-{number}")
        self.store = FaultyStore(
            world.store, chance, world.trace, world.on_failed, world.setting.pace
        )
        self.core = Core(
            store=self.store,  # type: ignore[arg-type]
            clock=world.clock,
            new_id=lambda: f"{chance.getrandbits(128):032x}",
            random=chance.random,
            bus=EventBus(),
            options=Options(),
        )
        self.operations = Operations(self.core)
        self.maintenance = Maintenance(self.core)
        self._shared = Shared(
            operations=self.operations,
            gate=Gate([], world.clock),
            log=Log(world.loop.problems),
            limits=LIMITS,
            deadlines=Deadlines(world.clock),
        )
        self._housekeeping: asyncio.Task[None] | None = None
        self._links: list[Link] = []

    async def start(self) -> None:
        await self.maintenance.start()
        self._housekeeping = self._loop.create_task(self._keep_house())
        self._sweep()

    async def _keep_house(self) -> None:
        with suppress(StoreFailed):  # of which the store tells the world by itself
            await self.maintenance.run()

    def _sweep(self) -> None:
        for connection in self._shared.deadlines.advance():
            connection.look()
        self._sweeping = self._loop.call_later(SLOT_MS / 1_000, self._sweep)

    def accept(self, link: Link) -> None:
        self._links = [each for each in self._links if each.is_open] + [link]
        link.connect(Connection(self._shared))

    def kill(self) -> None:
        self.store.die()
        self._sweeping.cancel()
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        for link in self._links:
            link.lose_server()


class World:
    """`is_healed`: no more faults, finish what there is. `is_over`: everybody goes home."""

    def __init__(self, seed: str, setting: Setting) -> None:
        self.seed = seed
        self.setting = setting
        self.chance = Random(f"{seed}-world")
        self.loop = SimLoop(Random(f"{seed}-loop"), shuffled=setting.is_shuffled)
        self.history = History(lambda: self.loop.now_us)
        self.ledger = Ledger(self.history, "world")
        self.clock = SimClock(self.loop, self.ledger)
        self.store = MemoryStore(resolve_child)
        self.server: Server | None = None
        self.is_healed = False
        self.is_over = False
        self.deeds = 0  # verbs that the store carried out
        self._digest = hashlib.sha256()
        self._servers = 0
        self._network = Random(f"{seed}-network")
        self._crashes: set[asyncio.Task[None]] = set()

    def trace(self, verb: str) -> None:
        self.deeds += 1
        self._digest.update(f"{self.loop.now_us} {verb}\n".encode())

    def fingerprint(self) -> str:
        """What two runs of one seed must have in common: every verb and every line, at their instants."""
        whole = self._digest.copy()
        whole.update(repr(self.history.lines).encode())
        return whole.hexdigest()

    # --- the network ---

    async def connect(self) -> Link:
        """A connection of wire version 2.

        Raises:
            BrokenLinkError: nobody listens, or it ended at once.
        """
        if self.server is None:
            raise BrokenLinkError
        link = Link(self.loop, self._network)
        self.server.accept(link)
        answer = await link.send("hello", v=[2])
        assert answer["v"] == 2, answer
        return link

    # --- what goes wrong ---

    async def start(self) -> None:
        self._servers += 1
        server = Server(self, self._servers)
        await server.start()
        self.server = server

    async def crash(self, down_s: float) -> None:
        """SIGKILL, and a new server after a while; the call in the history ends when that one looks at its clock."""
        if self.server is None:
            return
        key = self.ledger.invoke("kill", {})
        server, self.server = self.server, None
        server.kill()
        await asyncio.sleep(down_s)
        self.ledger.end(key, "ok", {})
        await self.start()

    def on_failed(self) -> None:
        """The store has failed, so the server stops by itself, soon (JW-JOB-9)."""
        task = self.loop.create_task(self._stop_soon())
        self._crashes.add(task)
        task.add_done_callback(self._crashes.discard)

    async def _stop_soon(self) -> None:
        await asyncio.sleep(self.chance.uniform(0, 0.02))
        await self.crash(self.chance.uniform(0.01, 0.5))

    async def heal(self) -> None:
        """No fault is to come, and none is under way."""
        if self.server is not None:
            self.server.store.next_fault = None
        while self._crashes:
            await asyncio.wait(self._crashes)
        self.is_healed = True

    def stall(self, seconds: float) -> None:
        """The machine sleeps: nobody runs, and then everything is late."""
        key = self.ledger.invoke("stall", {})
        self.loop.stand_still(seconds)
        self.ledger.end(key, "ok", {})

    # --- what is left to do ---

    def unfinished(self) -> int:
        return sum(self.store.queue(q).counts.get(s, 0) for q in QUEUES for s in UNFINISHED)
