"""A server process with settings and an environment of its own, maybe broken on purpose; and what can be seen of its process."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.acceptance.forks import Process
from tests.acceptance.processes import Server, until

REAL: Final = ("jobwire_server",)

Entry = Sequence[str]


def entry(module: str, fault: str) -> Entry:
    """What `python -m` runs for a control: a module of the proofs that breaks one thing and then serves; the real server without a fault."""
    return (module, fault) if fault else REAL


class Launched(Server):
    """`jobwire serve` with `settings` (TOML)."""

    def __init__(
        self,
        folder: Path,
        *,
        settings: str = "",
        environment: Mapping[str, str] | None = None,
        entry: Entry = REAL,
    ) -> None:
        super().__init__(folder)
        self._settings = settings
        self._environment = dict(environment or {})
        if "LD_PRELOAD" in self._environment:  # is read before Python is
            self.is_forked = False
        self._entry = entry

    def launch(self) -> Process:
        config = self.folder / "proof.toml"
        config.write_text(self._settings)
        module, *first = self._entry
        arguments = [*first, "serve", "--config", str(config), "--storage", self.storage]
        return self.run(module, [*arguments, *self.ports], self._environment)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def sockets(self) -> int:
        """Sockets that the process has open: listening, connected and its own pairs."""
        return sum(_is_socket(entry) for entry in Path(f"/proc/{self.pid}/fd").iterdir())

    def url(self, door: str) -> str:
        return f"{door}://127.0.0.1:{self.port(door)}"

    def port(self, door: str) -> int:
        return self.tcp if door == "tcp" else self.http

    def restart(self) -> tuple[float, float]:
        """SIGTERM, then a new process on the same file and ports; when the old one had ended and the new one was ready."""
        assert self.stop() == 0, self.log
        ended = time.monotonic()
        self.start()
        return ended, time.monotonic()

    def counts(self, queue: str) -> dict[str, int]:
        counts: dict[str, int] = self.get(f"/queues/{queue}/stats")[1]["counts"]
        return counts

    def wait_until_done(self, queue: str, seconds: float) -> dict[str, int]:
        """Until every job of the queue has ended; the counts then."""
        unfinished = ("waiting", "delayed", "blocked", "active")

        def is_done() -> dict[str, int] | None:
            counts = self.counts(queue)
            return None if any(counts[state] for state in unfinished) else counts

        found: dict[str, int] = until(is_done, seconds, f"the jobs of {queue} have ended")
        return found


def _is_socket(entry: Path) -> bool:
    try:
        return str(entry.readlink()).startswith("socket:")
    except FileNotFoundError:  # closed while this looked
        return False


@contextmanager
def launched(
    folder: Path,
    *,
    settings: str = "",
    environment: Mapping[str, str] | None = None,
    entry: Entry = REAL,
) -> Iterator[Launched]:
    """Ready at the beginning, gone at the end."""
    folder.mkdir(exist_ok=True)
    server = Launched(folder, settings=settings, environment=environment, entry=entry)
    try:
        yield server.start()
    finally:
        server.end()
