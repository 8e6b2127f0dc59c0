"""
Server processes with a fault in a tenth of a second: a process that has imported everything, and forks for each.

To start 140 servers by their command costs two minutes of processor time, most of it imports.

stdin has one JSON object a line: {"mutant": name, "argv": ["serve", …], "log": path}. stdout answers {"pid": n} in their order, and
tells {"ended": pid, "code": n} of each that ends; a code below 0 is a signal. When stdin ends, so do all of them.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
from collections.abc import Callable
from typing import IO, Any, Final, NoReturn

from jobwire_server import app, cli, log
from jobwire_server.cli import serve

from conformance.mutants.server import MUTANTS

PRELOADED: Final = (app, cli, log, serve)  # what a server would import when it starts

Handle = Callable[[dict[str, Any]], None]


class Zygote:
    """Forks, and waits for what it has forked. One thread, nothing that a child could inherit half done."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests = requests
        self._answers = answers
        self._children: set[int] = set()
        self._begun = b""  # of a request whose end has not arrived
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)

    def run(self) -> None:
        """Until stdin ends."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._tell)
        with selectors.DefaultSelector() as selector:
            selector.register(self._requests, selectors.EVENT_READ)
            selector.register(self._told, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._told in ready:
                    os.read(self._told, 4096)
                    self._bury()
                if self._requests in ready and not self._serve():
                    break
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)

    def _serve(self) -> bool:
        """Fork for each request that has arrived; False at the end. Read past the buffer: a line that stays in it wakes no selector."""
        data = os.read(self._requests.fileno(), 65_536)
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            self._fork(json.loads(line))
        return bool(data)

    def _bury(self) -> None:
        for pid in list(self._children):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                self._children.discard(pid)
                self._say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})

    def _fork(self, asked: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            _be(asked)
        self._children.add(pid)
        self._say({"pid": pid})

    def _say(self, told: dict[str, Any]) -> None:
        self._answers.write(json.dumps(told).encode() + b"\n")
        self._answers.flush()


def _be(asked: dict[str, Any]) -> NoReturn:
    """The child: a server with its fault, and nothing left of the parent's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    said = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(old, new)
    os.closerange(3, 256)
    code = 70
    try:
        if asked["mutant"]:
            MUTANTS[asked["mutant"]].apply()
        sys.argv = ["jobwire", *asked["argv"]]
        cli.main()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - a child must not return into its parent's code
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    Zygote(sys.stdin.buffer, sys.stdout.buffer).run()
