"""The server under test: where it listens, and the control API that moves its clock and breaks its answers."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.raw_http import BrokenResponse, RawConnection, request_of

if TYPE_CHECKING:
    from conformance.runner.raw_http import Response

PATIENCE_S: Final = 30


class ControlError(RuntimeError):
    """The control API refused or did not answer."""


class Control:
    """
    Client of the control API of `jobwire serve --test-mode` (spec/test-mode.md).

    `now` is the last instant that it told of a frozen clock, None while the clock runs.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.now: int | None = None
        self._connection: RawConnection | None = None
        self._turn = asyncio.Lock()

    async def freeze(self, at: int | None = None) -> int:
        self.now = int((await self._post("/clock/freeze", {} if at is None else {"at": at}))["now"])
        return self.now

    async def advance(self, ms: int) -> int:
        """Move the clock, timers in their order; the new instant, once the server is at rest."""
        self.now = int((await self._post("/clock/advance", {"ms": ms}))["now"])
        return self.now

    async def release(self) -> None:
        """Let the real time run again."""
        await self._post("/clock/release", {})
        self.now = None

    async def clock(self) -> dict[str, Any]:
        return await self._ask("GET", "/clock")

    async def reset(self) -> None:
        """Delete everything, forget the faults, and let the real time run."""
        await self._post("/reset", {})
        self.now = None

    async def fault(self, **fields: Any) -> int:
        return int((await self._post("/fault", fields))["id"])

    async def clear_faults(self) -> None:
        await self._ask("DELETE", "/fault")

    async def faults(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._ask("GET", "/faults"))["faults"]
        return found

    async def snapshot(self) -> dict[str, Any]:
        return await self._post("/snapshot", {})

    async def crash(self) -> None:
        """End the process at once; it does not answer."""
        async with self._turn:
            if await self._exchange("POST", "/crash", {}) is not None:
                raise ControlError("the server answered instead of crashing")

    async def barrier(self) -> None:
        """Return when what was written to the server before has been read by its loop."""
        for _ in range(3):
            await self.clock()

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._ask("POST", path, body)

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        async with self._turn:
            answer = await self._exchange(method, path, body)
        if answer is None:
            raise ControlError(f"{method} {path}: the server closed the connection")
        if answer.status != 200:
            raise ControlError(f"{method} {path} answered {answer.status}: {answer.body!r}")
        parsed: dict[str, Any] = json.loads(answer.body)
        return parsed

    async def _exchange(
        self, method: str, path: str, body: dict[str, Any] | None
    ) -> Response | None:
        """One request and its answer; None when the server ended the connection. A library takes five times as long."""
        host = self.url.removeprefix("http://")
        step = {"method": method, "path": path, **({} if body is None else {"json": body})}
        [request] = request_of(step, host=host, base_path="/_test")
        try:
            async with asyncio.timeout(PATIENCE_S):
                connection = await self._connected(host)
                await connection.send(request.data)
                answer = await connection.receive(method=method)
        except TimeoutError as error:
            await self.close()
            raise ControlError(f"{method} {path}: no answer in {PATIENCE_S} s") from error
        except (OSError, BrokenResponse) as error:
            await self.close()
            raise ControlError(f"{method} {path}: {error!r}") from error
        if answer is None:
            await self.close()
        return answer

    async def _connected(self, host: str) -> RawConnection:
        if self._connection is None:
            name, _, port = host.rpartition(":")
            self._connection = await RawConnection.open(name, int(port))
        return self._connection


@dataclass(slots=True, kw_only=True)
class Target:
    """
    One server. A restart changes its addresses, so doors read them when they connect.

    `tcp_address` is host and port. `control` is None for a server that cannot be steered. `capabilities` are the words that its
    cases may require.
    """

    http_url: str
    tcp_address: tuple[str, int]
    token: str | None = None
    control: Control | None = None
    capabilities: frozenset[str] = field(default_factory=frozenset)
    name: str = "reference"
