"""TCP, versions 1 and 2: one connection that is read all the time, its lines handed to whoever waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.operations import Answer, Operation, WrongAnswer, encode, parse, tcp_answer
from conformance.runner.raw_http import send_chunks
from conformance.runner.validating import Undocumented

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.runner.recorder import Recorder
    from conformance.runner.wire_log import WireLog

TIMEOUT_S: Final = 15.0
_FIRST_RID: Final = 1_000_000  # above those that cases choose
_numbers = itertools.count(1)

Line = tuple[bytes, dict[str, Any]]


class TcpConnection:
    """
    A socket of JSON lines. Lines wait in `inbox` in the order in which they came, until somebody takes them.

    `ended` is None while the connection is open, then fin or rst.
    """

    def __init__(
        self,
        name: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        recorder: Recorder,
        log: WireLog,
    ) -> None:
        self.name = name
        self.id = f"{name}#{next(_numbers)}"
        self.wire = 1
        self.ended: str | None = None
        self.inbox: list[Line] = []
        self.abandoned: set[int] = set()
        self._reader = reader
        self._writer = writer
        self._recorder = recorder
        self._log = log
        self._partial = b""
        self._changed = asyncio.Condition()
        self._rids = itertools.count(_FIRST_RID)
        self._turn = asyncio.Lock()
        self._pump = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls, name: str, address: tuple[str, int], recorder: Recorder, log: WireLog
    ) -> TcpConnection:
        reader, writer = await asyncio.open_connection(*address)
        return cls(name, reader, writer, recorder, log)

    # --- reading --------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        how = "fin"
        while True:
            try:
                data = await self._reader.read(262144)
            except ConnectionError:
                how, data = "rst", b""
            if not data:
                break
            with contextlib.suppress(Undocumented):  # kept by the recorder, which fails the item
                self._recorder.tcp_line(self.id, "received", data)
            await self._add(data)
        self._log.add(self.name, "←", f"closed ({how})")
        async with self._changed:
            self.ended = how
            self._changed.notify_all()

    async def _add(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        if not lines:
            return
        for line in lines:
            self._log.add(self.name, "←", line)
        async with self._changed:
            self.inbox += [(line, _object(line)) for line in lines]
            self._changed.notify_all()

    async def take(self, fits: Callable[[Mapping[str, Any]], bool], within_s: float) -> Line | None:
        """The first line that fits, taken out of the inbox; None when the connection ends first. Raises TimeoutError."""
        async with asyncio.timeout(within_s), self._changed:
            while True:
                for index, (_, parsed) in enumerate(self.inbox):
                    if fits(parsed):
                        return self.inbox.pop(index)
                if self.ended is not None:
                    return None
                await self._changed.wait()

    async def wait_ended(self, within_s: float) -> str | None:
        """fin or rst once the connection has ended, None when it has not in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._changed:
                await self._changed.wait_for(lambda: self.ended is not None)
        return self.ended

    async def stays_silent(self, for_s: float) -> bool:
        """Whether no line comes and the connection stays open for so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(for_s), self._changed:
                await self._changed.wait_for(lambda: bool(self.inbox) or self.ended is not None)
        return not self.inbox and self.ended is None

    def leftover(self) -> list[bytes]:
        """Lines that nobody took: each answers a request that was never made, or one a second time. Notices are none."""
        lines = [
            line
            for line, parsed in self.inbox
            if "notice" not in parsed and parsed.get("rid") not in self.abandoned
        ]
        return [*lines, *([self._partial] if self._partial and self.ended is None else [])]

    # --- writing --------------------------------------------------------------------------------------------

    async def send(self, data: bytes, chunks: Any = None, *, half_close: bool = False) -> None:
        """Send bytes as they are. A connection that the server has closed is no error here."""
        if data:
            self._log.add(self.name, "→", data)
            self._recorder.tcp_line(self.id, "sent", data)
        with contextlib.suppress(ConnectionError):
            await send_chunks(self._writer, data, chunks)
            if half_close:
                self._log.add(self.name, "→", "end of what is sent")
                self._writer.write_eof()

    async def hello(self, token: str | None, fields: Mapping[str, Any] | None = None) -> Answer:
        """Choose version 2, or what `fields` say."""
        body = {"v": [1, 2], **({} if token is None else {"token": token}), **(fields or {})}
        answer = await self.call(
            Operation(name="hello", method="", path="", wire=1), body, with_rid=False
        )
        if answer.ok:
            if answer.fields.get("v") not in (1, 2):
                raise WrongAnswer(f"hello was answered without a version: {dict(answer.fields)}")
            self.wire = int(answer.fields["v"])
        return answer

    async def call(
        self,
        operation: Operation,
        fields: Mapping[str, Any],
        on_sent: Callable[[], None] | None = None,
        *,
        with_rid: bool | None = None,
    ) -> Answer:
        """
        Ask and wait. Version 2 has a rid, and so any number of calls at a time; version 1 has one at a time.

        Raises WrongAnswer, and TimeoutError when no answer comes.
        """
        if self.wire == 1 if with_rid is None else not with_rid:
            async with self._turn:
                return await self._ask(operation, fields, None, on_sent)
        return await self._ask(operation, fields, next(self._rids), on_sent)

    async def _ask(
        self,
        operation: Operation,
        fields: Mapping[str, Any],
        rid: int | None,
        on_sent: Callable[[], None] | None,
    ) -> Answer:
        request = {"cmd": operation.name, **fields, **({} if rid is None else {"rid": rid})}
        wire = self.wire
        await self.send(encode(request) + b"\n")
        if on_sent is not None:
            on_sent()

        def answers(line: Mapping[str, Any]) -> bool:
            return "notice" not in line and (line.get("rid") == rid)

        try:
            found = await self.take(answers, TIMEOUT_S)
        except TimeoutError as error:
            raise TimeoutError(
                f"{operation.name} was not answered in {TIMEOUT_S:g} s on {self.name}"
            ) from error
        except asyncio.CancelledError:
            if rid is not None:
                self.abandoned.add(rid)
            raise
        if found is None:
            return Answer(fields={}, lost=f"the connection {self.name} ended ({self.ended})")
        return tcp_answer(operation, found[1], wire=wire)

    # --- the end --------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End the connection; what was on its way is given up."""
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        self._recorder.tcp_closed(self.id)
        if self.ended is None:
            self._log.add(self.name, "→", "closed")
        self.ended = self.ended or "ours"


def _object(line: bytes) -> dict[str, Any]:
    """The line as an object; one that is none is kept as text, and the recorder has a word about it."""
    try:
        parsed = parse(line)
    except WrongAnswer:
        return {"": line.decode(errors="backslashreplace")}
    return parsed if isinstance(parsed, dict) else {"": parsed}
