"""The reference server for SDKs: one process for all cases, as users start it, with a token or without."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from conformance.runner.operations import Answer, http_answer, http_request, operations

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COMMAND: Final = (str(Path(sys.executable).parent / "jobwire"),)
_PATIENCE: Final = 20.0  # seconds to start, or to end
API: Final = "/api/v1"


class NoServer(Exception):  # noqa: N818 - named for what is missing
    """The server did not start, which is no fault of an SDK."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where a server listens, by transport, and what it wants to be shown."""

    addresses: Mapping[str, tuple[str, int]]
    token: str | None


class SdkServer:
    """`jobwire serve` that keeps nothing. `launcher` is put in place of the command (mutants)."""

    def __init__(self, token: str | None = None, launcher: Sequence[str] = _COMMAND) -> None:
        self._token = token
        self._launcher = launcher
        self._process: asyncio.subprocess.Process | None = None
        self._log: asyncio.Task[None] | None = None
        self._client: httpx.AsyncClient | None = None
        self.doors = Doors(addresses={}, token=token)

    async def start(self) -> SdkServer:
        options = ["--storage", "memory://", "--http-port", "0", "--tcp-port", "0"]
        options += ["--log-format", "json"] + (["--token", self._token] if self._token else [])
        self._process = await asyncio.create_subprocess_exec(
            *self._launcher, "serve", *options, stdout=-1, stderr=asyncio.subprocess.STDOUT
        )
        started = await self._started()
        addresses = {name: ("127.0.0.1", int(started[name])) for name in ("http", "tcp")}
        self.doors = Doors(addresses=addresses, token=self._token)
        self._log = asyncio.create_task(self._drain())
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        base = f"http://127.0.0.1:{addresses['http'][1]}{API}"
        self._client = httpx.AsyncClient(base_url=base, headers=headers)
        return self

    async def stop(self) -> None:
        if self._client is not None:
            await self._client.aclose()
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._log is not None:
            await self._log

    async def do(self, operation: str, fields: Mapping[str, Any]) -> Answer:
        """An abstract operation over HTTP, past the SDK and its proxy: how a case looks behind the SDK's back."""
        assert self._client is not None
        row = operations()[operation]
        request = http_request(row, fields)
        headers = {"Content-Type": "application/json"} if request.body is not None else {}
        answer = await self._client.request(
            request.method, request.target, content=request.body, headers=headers
        )
        media_type = answer.headers.get("content-type", "")
        return http_answer(row, answer.status_code, media_type, answer.content)

    async def _started(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        said = b""
        try:
            async with asyncio.timeout(_PATIENCE):
                while line := await self._process.stdout.readline():
                    said += line
                    event = json.loads(line) if line.startswith(b"{") else {}
                    if event.get("event") == "server.started":
                        return dict(event)
        except TimeoutError:
            pass  # told below, with what it said
        raise NoServer(f"the server did not start: {said.decode(errors='replace')[-2000:]}")

    async def _drain(self) -> None:
        """A server whose log nobody reads stops when the pipe is full."""
        assert self._process is not None
        assert self._process.stdout is not None
        while await self._process.stdout.read(65536):
            pass
