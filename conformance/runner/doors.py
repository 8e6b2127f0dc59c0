"""The connections of one item, by name: opened when a step first uses one, all closed at the end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from conformance.runner.http_door import HttpDoor
from conformance.runner.model import SuiteError
from conformance.runner.operations import Answer, Operation
from conformance.runner.raw_http import RawConnection
from conformance.runner.tcp_door import TcpConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.runner.recorder import Recorder
    from conformance.runner.target import Target
    from conformance.runner.wire_log import WireLog


class Doors:
    """Every way to the server that one item uses."""

    def __init__(self, target: Target, recorder: Recorder, log: WireLog) -> None:
        self.target = target
        self.recorder = recorder
        self.log = log
        self._http: HttpDoor | None = None
        self._tcp: dict[str, TcpConnection] = {}
        self._raw_http: dict[str, RawConnection] = {}
        self._opening = asyncio.Lock()

    async def call(
        self,
        door: str,
        connection: str,
        operation: Operation,
        fields: Mapping[str, Any],
        on_sent: Callable[[], None] | None = None,
    ) -> Answer:
        """Ask an operation over http, tcp1 or tcp2. The connection matters to TCP alone."""
        if door == "http":
            if self._http is None:
                self._http = HttpDoor(self.target, self.recorder, self.log)
            return await self._http.call(operation, fields, on_sent)
        tcp = await self._ready(connection, door)
        return await tcp.call(operation, fields, on_sent)

    async def _ready(self, name: str, door: str) -> TcpConnection:
        """A connection that speaks the door's version and has shown the token."""
        async with self._opening:
            open_one = self._tcp.get(name)
            if open_one is not None and open_one.ended is None:
                return open_one
            tcp = await self.connect(name)
            token = self.target.token
            if door == "tcp2":
                answer = await tcp.hello(token)
            elif token is not None:
                auth = Operation(name="auth", method="", path="", wire=1)
                answer = await tcp.call(auth, {"token": token})
            else:
                return tcp
            if not answer.ok:
                raise SuiteError(f"the connection {name} could not be set up: {answer}")
            return tcp

    async def connect(self, name: str) -> TcpConnection:
        """A TCP connection as it comes from the socket; an earlier one of this name that has ended is let go."""
        old = self._tcp.pop(name, None)
        if old is not None:
            await old.close()
        self._tcp[name] = await TcpConnection.open(
            name, self.target.tcp_address, self.recorder, self.log
        )
        return self._tcp[name]

    def tcp(self, name: str) -> TcpConnection | None:
        """The TCP connection of a name, open or ended."""
        return self._tcp.get(name)

    def has(self, name: str) -> bool:
        return name in self._tcp or name in self._raw_http

    async def raw_http(self, name: str | None) -> RawConnection:
        """A raw HTTP connection: kept under its name, a new one without."""
        if name is not None and name in self._raw_http and not self._raw_http[name].eof:
            return self._raw_http[name]
        host, port = _host_and_port(self.target.http_url)
        connection = await RawConnection.open(host, port)
        key = name or f"raw {len(self._raw_http)}"
        if key in self._raw_http:
            await self._raw_http[key].close()
        self._raw_http[key] = connection
        return connection

    async def close_one(self, name: str) -> None:
        """Close the connections of this name. SuiteError when there is none."""
        tcp, http = self._tcp.pop(name, None), self._raw_http.pop(name, None)
        for each in (tcp, http):
            if each is not None:
                await each.close()
        if tcp is None and http is None:
            raise SuiteError(f"there is no connection {name!r} to close")

    def leftovers(self) -> list[str]:
        """Lines that the server sent and that answer nothing."""
        return [
            f"{name}: {line.decode(errors='backslashreplace'):.300}"
            for name, tcp in self._tcp.items()
            for line in tcp.leftover()
        ]

    async def close(self) -> None:
        for tcp in self._tcp.values():
            await tcp.close()
        for raw in self._raw_http.values():
            await raw.close()
        if self._http is not None:
            await self._http.close()


def _host_and_port(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)
