"""A server in test mode as a process of its own, its control API, and the plainest clients of its doors."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from tests.acceptance.forks import forked
from tests.acceptance.processes import Lines, until

START = 1_800_000_000_000  # 2027-01-15T08:00:00Z, where the clock of a test stands at first


class Client:
    """JSON over HTTP on one connection, that is opened anew when it was closed."""

    def __init__(self, port: int, prefix: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._prefix = prefix

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Status and body; raises OSError or HTTPException when the connection is cut."""
        text = None if body is None else json.dumps(body)
        try:
            self._connection.request(
                method,
                self._prefix + path,
                text,
                {"Content-Type": "application/json"}
                | {k.replace("_", "-"): v for k, v in headers.items()},
            )
            answer = self._connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            self._connection.close()

    def post(self, path: str, **fields: Any) -> dict[str, Any]:
        """The body of an answer that must be 2xx."""
        status, body = self.ask("POST", path, fields)
        assert status < 300, body
        return body


class Numbered(Lines):
    """Gives each request its rid."""

    last = 0

    def send(self, **fields: Any) -> None:
        self.last += 1
        super().send(rid=self.last, **fields)


class Subject:
    """`jobwire serve --test-mode` on free ports; `end` it in any case."""

    def __init__(self, folder: Path, *flags: str, storage: str | None = None) -> None:
        self._lines: list[Numbered] = []
        self._log = folder / f"server-{id(self)}.log"
        arguments = ["serve", "--test-mode", "--storage", storage or f"sqlite:///{folder}/jobs.db"]
        arguments += ["--log-format", "json", "--http-port", "0", "--tcp-port", "0", *flags]
        self.process = forked("jobwire_server", arguments, self._log)
        self.started: dict[str, Any] = until(self._line, 20, f"a start\n{self._log.read_text()}")
        self.control = Client(int(self.started["control"].rpartition(":")[2]), "/_test")
        self.api = Client(self.started["http"], "/api/v1")

    def _line(self) -> dict[str, Any] | None:
        assert self.process.poll() is None, self._log.read_text()
        lines = [line for line in self._log.read_text().splitlines() if "server.started" in line]
        return json.loads(lines[0]) if lines and lines[0].endswith("}") else None

    def end(self) -> None:
        self.hang_up()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    # --- control ---

    def freeze(self, at: int = START) -> int:
        now: int = self.control.post("/clock/freeze", at=at)["now"]
        return now

    def advance(self, ms: int) -> int:
        now: int = self.control.post("/clock/advance", ms=ms)["now"]
        return now

    def fault(self, op: str, action: str, **more: Any) -> None:
        self.control.post("/fault", op=op, action=action, **more)

    @property
    def hits(self) -> list[int]:
        return [fault["hits"] for fault in self.control.ask("GET", "/faults")[1]["faults"]]

    # --- the doors ---

    def lines(self, **hello: Any) -> Numbered:
        """A TCP connection of version 2 that has been greeted; closed by `hang_up`."""
        self._lines.append(lines := Numbered(self.started["tcp"]))
        assert lines.call(cmd="hello", v=[2], **hello).get("ok"), hello
        return lines

    def hang_up(self) -> None:
        for lines in self._lines:
            lines.close()
        self._lines.clear()

    def push(self, queue: str, **options: Any) -> str:
        job: str = self.api.post(f"/queues/{queue}/jobs", name="n", options=options)["id"]
        return job

    def pull(self, queue: str, **fields: Any) -> Any:
        return self.api.post("/pull", queue=queue, **fields)["job"]

    def job(self, job_id: str) -> dict[str, Any]:
        status, body = self.api.ask("GET", f"/jobs/{job_id}")
        assert status == 200, body
        found: dict[str, Any] = body["job"]
        return found


def is_silent(lines: Lines) -> bool:
    """Nothing has come, nor the end. To be asked after an answer of the control API, by which everything due was sent."""
    lines.socket.settimeout(0.02)
    try:
        return lines.socket.recv(1, socket.MSG_PEEK) == b"nothing has that length"
    except TimeoutError:
        return True
    finally:
        lines.socket.settimeout(20)


def seconds(text: str | None) -> float:
    """How long after START an instant of an answer is."""
    from datetime import datetime

    assert text is not None
    return round(datetime.fromisoformat(text).timestamp() - START / 1000, 3)
