"""The server that suffers: a process as users start it, on a file, and what the harness asks of it past the SDKs and their routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import httpx

from conformance.runner.processes import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE: Final = 20.0  # seconds for an answer


class Server(ServerProcess):
    """`start`, `kill` and `start` again on the same file, `stop`. Ports are new after each start."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, {})
        self._client: httpx.AsyncClient | None = None

    async def start(self) -> None:
        await super().start()
        await self._forget()
        self._client = httpx.AsyncClient(
            base_url=f"{self.target.http_url}/api/v1", timeout=_PATIENCE
        )

    async def stop(self) -> None:
        await self._forget()
        await super().stop()

    def _flags(self) -> list[str]:
        """Time is that of the machine, as it is for users."""
        flags = super()._flags()
        return flags[: flags.index("--test-mode")]

    async def _forget(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def address(self, door: str) -> tuple[str, int]:
        if door == "tcp":
            return self.target.tcp_address
        return "127.0.0.1", httpx.URL(self.target.http_url).port or 0

    # --- past the SDKs ----------------------------------------------------------------------------------------------

    async def push(self, queue: str, name: str) -> str:
        """The id of a new job."""
        answer = await self._post(f"/queues/{queue}/jobs", {"name": name})
        return str(answer["id"])

    async def work_off(self, queue: str) -> None:
        """Pull a job that is there, and ack it."""
        job = (await self._post(f"/queues/{queue}/pull", {"count": 1}))["job"]
        await self._post(f"/jobs/{job['id']}/ack", {"lease": job["lease"]})

    async def cancel(self, job_id: str) -> None:
        await self._post(f"/jobs/{job_id}/cancel", {})

    async def state(self, job_id: str) -> str:
        """The state of a job; "missing" when there is none."""
        answer = await self._http.get(f"/jobs/{job_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return "missing"
        return str(answer.raise_for_status().json()["job"]["state"])

    async def unfinished(self, queue: str) -> int:
        """Jobs of the queue that have not come to an end."""
        answer = (await self._http.get(f"/queues/{queue}/stats")).raise_for_status().json()
        return sum(answer["counts"][state] for state in ("waiting", "active", "delayed"))

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await self._http.post(path, json=body)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    @property
    def _http(self) -> httpx.AsyncClient:
        assert self._client is not None, "the server is not there"
        return self._client
