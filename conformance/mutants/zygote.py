"""
Servers, and drivers of the Python SDK, in a tenth of a second: a process that has imported everything, and forks for each.

To start 140 servers by their command costs two minutes of processor time, most of it imports.

stdin has one JSON object a line: {"what": "server" or "driver", "mutant": name, "argv": ["serve", …], "stdin": path, "stdout": path,
"stderr": path}; the paths are those of files or of named pipes. stdout answers {"pid": n} in their order, and tells
{"ended": pid, "code": n} of each that ends; a code below 0 is a signal. When stdin ends, so do all of them.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import sys
from typing import IO, TYPE_CHECKING, Any, Final, NoReturn
from unittest.mock import patch

import jobwire
import typer.main
from jobwire_server import app, cli, log
from jobwire_server.cli import root, serve
from jobwire_server.test_mode import control, loop, rig

from conformance.mutants import launch, launch_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What each would import when it starts.
PRELOADED: Final = (app, cli, log, serve, control, loop, rig, jobwire)
PROGRAMS: Final[Mapping[str, Callable[[], None]]] = {
    "server": launch.run,
    "driver": launch_driver.run,
}


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
        files = _opened(
            asked
        )  # before the answer, so that whoever gets it knows that they are open
        pid = os.fork()
        if pid == 0:
            _be(asked, files)
        for file in files:
            os.close(file)
        self._children.add(pid)
        self._say({"pid": pid})

    def _say(self, told: dict[str, Any]) -> None:
        self._answers.write(json.dumps(told).encode() + b"\n")
        self._answers.flush()


def _opened(asked: dict[str, Any]) -> tuple[int, ...]:
    """What is to be stdin, stdout and stderr."""
    writing = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    return (
        os.open(asked["stdin"], os.O_RDONLY),
        os.open(asked["stdout"], writing),
        os.open(asked["stderr"], writing),
    )


def _be(asked: dict[str, Any], files: tuple[int, ...]) -> NoReturn:
    """The child: a program with its fault, and nothing left of the parent's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for new, old in enumerate(files):
        os.dup2(old, new)
    os.closerange(3, 256)
    code = 70
    try:
        sys.argv = [asked["what"], asked["mutant"], *asked["argv"]]
        PROGRAMS[asked["what"]]()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - a child must not return into its parent's code
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    # To make the command line of its functions takes longer than all else of a start.
    patch.object(root, "root", typer.main.get_command(root.root)).start()
    gc.collect()
    gc.freeze()  # a collection in a child would copy all that they share
    Zygote(sys.stdin.buffer, sys.stdout.buffer).run()
