"""Real processes for the tests of the examples: a Jobwire server, the e-mail app, and a mail server over a socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

from jobwire import Client

if TYPE_CHECKING:
    from tests.examples.apps import Commands

EXAMPLES = Path(__file__).parents[2] / "examples"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `condition` says once it is true. Other processes give no signal to wait for, so it is asked again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not in {seconds} s: {what}")


class Process:
    """A program that can be killed and started again with the same arguments; its output goes to a file."""

    def __init__(self, log: Path, command: list[str], **environment: str) -> None:
        self._log = log
        self._command = command
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        return self._log.read_text()

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(30)


class Server(Process):
    """`jobwire serve` on a file of its own."""

    def __init__(self, folder: Path) -> None:
        self.http, self.tcp = free_port(), free_port()
        command = [sys.executable, "-m", "jobwire_server", "serve"]
        command += ["--storage", f"sqlite:///{folder}/jobs.db"]
        command += ["--http-port", str(self.http), "--tcp-port", str(self.tcp)]
        super().__init__(folder / "server.log", command)

    def start(self) -> None:
        super().start()
        until(lambda: self._answers, 20, f"the server answers\n{self.output}")

    def empty(self) -> None:
        """Delete all jobs. None may be active."""
        with Client(f"http://127.0.0.1:{self.http}") as client:
            for job in list(client.find()):
                if job.state in {"waiting", "delayed"}:
                    client.cancel(job.id)
                client.delete_job(job.id)

    @property
    def _answers(self) -> bool:
        try:
            return get(f"http://127.0.0.1:{self.http}/api/v1/health/ready")[0] == 200
        except OSError:
            return False


class MailServer:
    """A real SMTP server. `refuse(recipient)` may answer a reply such as "451 later", which refuses the mail."""

    def __init__(self, refuse: Callable[[str], str | None] = lambda recipient: None) -> None:
        self.mails: list[EmailMessage] = []
        self.refused = 0
        self._refuse = refuse
        self._lock = threading.Lock()
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    @property
    def port(self) -> int:
        return int(self._controller.port)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd calls it so
        with self._lock:
            reply = self._refuse(envelope.rcpt_tos[0])
            if reply is not None:
                self.refused += 1
                return reply
            self.mails.append(
                message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default)
            )
        return "250 OK"

    def __enter__(self) -> MailServer:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


class App:
    """The web app and the worker of the e-mail example, beside a server; both end with the `with` block, the worker by a drain."""

    def __init__(
        self,
        commands: Commands,
        folder: Path,
        server: Server,
        mail_port: int | None,
        **environment: str,
    ) -> None:
        self.port = free_port()
        web, tcp = f"http://127.0.0.1:{server.http}", f"tcp://127.0.0.1:{server.tcp}"
        mail = (
            {}
            if mail_port is None
            else {
                "SMTP_HOST": "127.0.0.1",
                "SMTP_PORT": str(mail_port),
                "MAIL_FROM": "app@example.com",
            }
        )
        self.web = Process(folder / "web.log", commands.web, JOBWIRE_URL=web, PORT=str(self.port))
        self.worker = Process(
            folder / "worker.log", commands.worker, **{"JOBWIRE_URL": tcp, **mail, **environment}
        )

    def __enter__(self) -> App:
        return self

    def __exit__(self, *_: object) -> None:
        with running(self.web, self.worker):
            if self.worker.is_running:
                assert self.worker.stop() == 0, self.worker.output

    def post(self, page: str, form: dict[str, str]) -> bool:
        """Whether the app accepted it."""
        return get(f"http://127.0.0.1:{self.port}/{page}", json.dumps(form).encode())[0] == 202

    def stats(self) -> dict[str, int]:
        return dict(get(f"http://127.0.0.1:{self.port}/stats")[1])

    def start_web(self) -> None:
        self.web.start()
        until(lambda: "http://" in self.web.output, 20, "the web app listens")


def get(url: str, data: bytes | None = None) -> tuple[int, Any]:
    """Status and JSON body."""
    try:
        with urllib.request.urlopen(url, data, timeout=60) as answer:
            return int(answer.status), json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@contextmanager
def running(*processes: Process) -> Iterator[None]:
    """Kill what still runs at the end."""
    try:
        yield
    finally:
        for process in processes:
            if process.is_running:
                process.kill()
