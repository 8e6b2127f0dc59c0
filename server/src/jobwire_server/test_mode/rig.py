"""What a server in test mode is made of instead of the usual parts, and the levers that move them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from jobwire_server.test_mode.clock import VirtualClock
from jobwire_server.test_mode.faults import FaultBoard
from jobwire_server.test_mode.http_faults import FaultyHandlers
from jobwire_server.test_mode.ids import VirtualIds
from jobwire_server.test_mode.state import wipe
from jobwire_server.test_mode.steering import Steering
from jobwire_server.test_mode.tcp_faults import FaultyConnection
from jobwire_server.test_mode.watching import watched

if TYPE_CHECKING:
    from jobwire_server.auth import Gate
    from jobwire_server.maintenance import Maintenance
    from jobwire_server.operations.service import Operations
    from jobwire_server.store.base import Store
    from jobwire_server.test_mode.loop import VirtualLoop


class Rig:
    """
    The parts of one server; app.py puts them in place and then calls `connect`. Made on a VirtualLoop that runs.
    """

    def __init__(self, loop: VirtualLoop, seed: int | None, frozen_at: int | None) -> None:
        self.loop = loop
        self.clock = VirtualClock(loop)
        if frozen_at is not None:
            self.clock.freeze()
            self.clock.set_to(frozen_at)
            self.clock.resync()
        self.board = FaultBoard()
        # A class of its own for each server, so that doors can make handlers and connections as usual.
        self.handlers = type("RiggedHandlers", (FaultyHandlers,), {"board": self.board})
        self.connection = type(
            "RiggedConnection", (FaultyConnection,), {"board": self.board, "__slots__": ()}
        )
        self._seed = seed
        self._chance = Random()
        self._id_chance = Random()
        self._ids = VirtualIds(self.clock, self._id_chance)
        self.new_id = self._ids.new
        self.random = self._chance.random
        self._start_over()

    def watch(self, store: Store) -> Store:
        """The store, with its calls counted."""
        return watched(store, self.loop)

    def connect(
        self, store: Store, operations: Operations, gate: Gate, housekeeper: Maintenance
    ) -> None:
        """Tell what there is to steer and to reset."""
        self.store = store
        self.steering = Steering(self.loop, self.clock, housekeeper)
        self._operations = operations
        self._gate = gate

    async def reset(self) -> None:
        """As if the server had just been started on an empty store, but for connections that are open."""
        self.board.clear()
        await wipe(self.store)
        self._operations.forget_all()
        self._gate.forget_all()
        self._start_over()
        await self.steering.release()

    def let_go(self) -> None:
        """The server is told to stop: its deadlines must pass by themselves."""
        self.clock.thaw()

    def _start_over(self) -> None:
        if self._seed is not None:
            self._chance.seed(f"{self._seed} chance")
            self._id_chance.seed(f"{self._seed} ids")
        self._ids.forget()
