"""The server under test: where it listens, and the control API that moves its clock and breaks its answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx


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
        self._client = httpx.AsyncClient(
            base_url=f"{url}/_test", timeout=30, trust_env=False, verify=False
        )

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
        try:
            await self._client.post("/crash", json={})
        except httpx.TransportError:
            return
        raise ControlError("the server answered instead of crashing")

    async def barrier(self) -> None:
        """Return when what was written to the server before has been read by its loop."""
        for _ in range(3):
            await self.clock()

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return await self._ask("POST", path, body)

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        try:
            answer = await self._client.request(method, path, json=body)
        except httpx.TransportError as error:
            raise ControlError(f"{method} {path}: {error!r}") from error
        if answer.status_code != 200:
            raise ControlError(f"{method} {path} answered {answer.status_code}: {answer.text}")
        parsed: dict[str, Any] = answer.json()
        return parsed


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
