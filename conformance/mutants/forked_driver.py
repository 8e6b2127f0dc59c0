"""A driver of the Python SDK that is forked by the zygote: the same conversation, over named pipes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.mutants.forking import Forked, Nursery

_LINE: Final = 64 * 1024 * 1024  # bytes of a message


class _Writer:
    """What a driver's stdin is used for."""

    def __init__(self, transport: asyncio.WriteTransport) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    async def drain(self) -> None:
        """The transport keeps what the pipe does not take."""

    def close(self) -> None:
        self._transport.close()


class ForkedDriver:
    """A process with pipes, as far as a driver's is used."""

    def __init__(self, child: Forked, stdin: _Writer, stdout: asyncio.StreamReader) -> None:
        self._child = child
        self.pid = child.pid
        self.stdin = stdin
        self.stdout = stdout

    def kill(self) -> None:
        self._child.kill()

    async def wait(self) -> int:
        return await self._child.wait()


async def forked_driver(
    nursery: Nursery, mutant: str, argv: Sequence[str], errors: IO[bytes]
) -> asyncio.subprocess.Process:
    """The driver with this fault, "" for none; what it says on stderr is written to `errors`."""
    with tempfile.TemporaryDirectory(prefix="driver-") as folder, contextlib.ExitStack() as opened:
        to_it, from_it = (str(Path(folder) / name) for name in ("in", "out"))
        os.mkfifo(to_it)
        os.mkfifo(from_it)
        # Each end has its other end by the time the zygote opens it, so that neither side waits in open().
        reading = os.open(from_it, os.O_RDONLY | os.O_NONBLOCK)
        opened.callback(os.close, os.open(to_it, os.O_RDWR | os.O_NONBLOCK))
        child = await nursery.fork("driver", mutant, argv, (to_it, from_it, _path(errors)))
        writing = os.open(to_it, os.O_WRONLY | os.O_NONBLOCK)
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=_LINE)
    await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), os.fdopen(reading, "rb", 0)
    )
    transport, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(writing, "wb", 0))
    # It has the members of a process that a driver uses, and no others.
    return cast("asyncio.subprocess.Process", ForkedDriver(child, _Writer(transport), lines))


def _path(file: IO[bytes]) -> str:
    """A name under which another process can open a file that is open here."""
    return str(file.name)
