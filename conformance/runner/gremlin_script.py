"""
The gremlin: a peer for SDKs that does exactly what a script says, over TCP or HTTP, and nothing else.

A script is a list of steps, run one after another beside the steps of the SDK; `gremlin_actions` has the actions. A step speaks to
the connection that was accepted or named last, or to the one in `on`. Connections that no step accepts, and requests that no step
expects, fail the case when the script is over: an SDK that repeats what it must not is found out so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.gremlin import PATIENCE, Connection, Peer, Unexpected
from conformance.runner.gremlin_actions import ACTIONS, ALONE, answer
from conformance.runner.gremlin_answers import line, rustqueue_answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.runner.sdk_signals import Signals
    from conformance.runner.sdk_wire import WireLog
    from conformance.runner.values import Variables

    Step = Mapping[str, Any]

SERVING: Final = frozenset({"serve", "rustqueue"})
STEPS: Final = frozenset({*ACTIONS, *ALONE, *SERVING, "repeat"})


class Gremlin(Peer):
    """Runs its script from `async with` on; `finish` waits for its end."""

    def __init__(
        self,
        transport: str,
        script: Sequence[Step],
        variables: Variables,
        log: WireLog,
        signals: Signals,
        seed: int = 7,
    ) -> None:
        super().__init__(transport, variables, log, signals, seed)
        self.at = "the start"
        self._script = script
        self._tasks: list[asyncio.Task[None]] = []
        self._serves = False

    async def __aenter__(self) -> Gremlin:
        await self.open()
        self._tasks.append(asyncio.create_task(self._run()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.end()

    async def finish(self) -> list[str]:
        """Wait for the end of the script. What the SDK did otherwise, or beyond it."""
        try:
            async with asyncio.timeout(PATIENCE + 1):
                await asyncio.shield(self._tasks[0])
        except TimeoutError:
            return [f"{self.at}: it is still waiting"]
        except AssertionError as error:
            return [f"{self.at}: {error}"]
        if self._serves:
            broken = [task.exception() for task in self._tasks[1:] if task.done()]
            return [f"{self.at}: {error!r}" for error in broken if error]
        return [f"beyond the script, {what}" for what in self.beyond()]

    async def _run(self) -> None:
        try:
            await self._run_all(self._script)
        except AssertionError:
            await (
                self.end()
            )  # a peer that has stopped would let the SDK wait until its patience is over
            raise

    async def _run_all(self, script: Sequence[Step]) -> None:
        for number, step in enumerate(script, 1):
            kind = next(iter(step))
            self.at = f"gremlin step {number} ({kind})"
            if kind == "repeat":
                for _ in range(step["repeat"]):
                    await self._run_all(step["steps"])
            elif kind in SERVING:
                self._serves = True
                self._tasks.append(asyncio.create_task(self._serve(step)))
            else:
                await self._perform(self.variables.resolve(dict(step)))

    async def _perform(self, step: Step) -> None:
        """One step, whose variables are filled in."""
        kind = next(iter(step))
        if kind in ALONE:
            await ALONE[kind](self, step)
            return
        connection = self.connections[step["on"]] if "on" in step else self.current
        if connection is None:
            raise Unexpected(f"{kind} before any accept")
        self.current = connection
        await ACTIONS[kind](self, connection, step)

    # --- answering everything ---------------------------------------------------------------------------------------

    async def _serve(self, step: Step) -> None:
        """Every request gets its next reaction, or the plain answer; connections that are there are served too."""
        reactions = {op: list(listed) for op, listed in (step.get("serve") or {}).items()}
        rust = self.variables.resolve(step["rustqueue"] or {}) if "rustqueue" in step else None
        async with asyncio.TaskGroup() as group:
            for connection in self.connections.values():
                group.create_task(self._serve_one(connection, reactions, rust))
            while True:
                connection = await self.arrival(None)
                group.create_task(self._serve_one(connection, reactions, rust))

    async def _serve_one(
        self, connection: Connection, reactions: dict[str, list[Step]], rust: Step | None
    ) -> None:
        while (seen := await connection.next()) is not None:
            if rust is not None:
                body = rustqueue_answer(seen, rust.get("token"), shown=connection.shown_token)
                connection.shown_token |= seen.command == "auth" and body["ok"] is True
                connection.unanswered.remove(seen)
                seen.answer = body
                await connection.send(line(body))  # without a rid, which it does not know
            elif reactions.get(seen.command):
                self.current = connection
                self.variables["request"] = seen.fields
                reaction = dict(reactions[seen.command][0])
                if not reaction.pop("again", False):
                    reactions[seen.command].pop(0)
                await self._perform(self.variables.resolve(reaction))
            else:
                await answer(connection, {}, seen, {})
