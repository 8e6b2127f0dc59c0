"""A fake server in a process of its own, such as the one of another SDK."""

from __future__ import annotations

import json
import shlex
import subprocess


class FakeProcess:
    """
    It says `{"http": URL, "tcp": URL}` in its first line, obeys `{"advance_ms": N}` with a line in answer, and ends with
    its input.
    """

    def __init__(self, command: str) -> None:
        self._process = subprocess.Popen(
            shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.urls: dict[str, str] = json.loads(self._line())

    def __enter__(self) -> FakeProcess:
        return self

    def __exit__(self, *exc_info: object) -> None:
        try:
            self._process.communicate(timeout=20)
        finally:
            self._process.kill()
        assert self._process.returncode == 0

    def advance(self, seconds: float) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"advance_ms": round(seconds * 1000)}) + "\n")
        self._process.stdin.flush()
        self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the fake has ended"
        return line
