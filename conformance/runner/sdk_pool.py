"""Drivers and servers that cases share: a driver for each SDK and each kind of time, a server with and without a token."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from conformance.runner.driver import Driver
from conformance.runner.sdk_builds import Commands, go_driver
from conformance.runner.sdk_server import SdkServer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DRIVERS: Final = Path(__file__).resolve().parents[1] / "drivers"
_PYTHON: Final = (sys.executable, str(_DRIVERS / "python" / "driver.py"))
# Where the machine has none, tools/node.sh has brought one.
_NODE: Final = shutil.which("node") or str(_DRIVERS.parents[1] / ".venv" / "node" / "bin" / "node")

# Another language joins with a line here.
SDKS: Final[Mapping[str, Sequence[str]]] = Commands(
    {
        "python": _PYTHON,
        "python-async": (*_PYTHON, "--async"),
        "node": (_NODE, str(_DRIVERS / "node" / "start.mjs")),
        "go": go_driver,
    }
)


class Drivers:
    """
    Lends a driver for the time of a case, so that a run starts few processes. One that broke or leaked is replaced.

    `commands` is SDK → command; `launcher` takes the place of the server's command.
    """

    token: Final = "secret-of-the-reference-server"

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]] = SDKS,
        seed: int = 7,
        launcher: Sequence[str] | None = None,
    ) -> None:
        self._commands = commands
        self._seed = seed
        self._launcher = launcher
        self._drivers: dict[tuple[str, bool], Driver] = {}
        self._servers: dict[bool, SdkServer] = {}
        self._starting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def get(self, sdk: str, *, virtual: bool) -> Driver:
        """A driver of *sdk*. DriverBroken when it cannot be had."""
        key = (sdk, virtual)
        if key not in self._drivers:
            self._drivers[key] = await self.start(self._commands[sdk], virtual=virtual)
        return self._drivers[key]

    async def start(self, command: Sequence[str], *, virtual: bool) -> Driver:
        return await Driver.start(command, virtual=virtual, seed=self._seed)

    async def discard(self, driver: Driver) -> None:
        """It is not clean any more; the next case gets a new one."""
        self._drivers = {key: one for key, one in self._drivers.items() if one is not driver}
        await driver.stop()

    async def server(self, *, with_token: bool) -> SdkServer:
        async with self._starting:  # mutants ask two at a time
            if with_token not in self._servers:
                token = self.token if with_token else None
                more = {"launcher": self._launcher} if self._launcher else {}
                self._servers[with_token] = await SdkServer(token, **more).start()
            return self._servers[with_token]

    async def close(self) -> None:
        for driver in self._drivers.values():
            await driver.stop()
        for server in self._servers.values():
            await server.stop()
        self._drivers.clear()
        self._servers.clear()
