"""The loop alone: order, rest, threads, and no step back."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from jobwire_server.test_mode.loop import VirtualLoop


def on_a_frozen_loop(main: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    async def frozen() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.freeze()
        await main(loop)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(frozen())


def test_timers_come_due_in_order_each_at_its_instant() -> None:
    seen: list[tuple[str, int]] = []

    async def main(loop: VirtualLoop) -> None:
        async def sleeper(name: str, *ms: int) -> None:
            for pause in ms:
                await asyncio.sleep(pause / 1000)
                seen.append((name, loop.elapsed_ms))

        tasks = [asyncio.create_task(sleeper(*row)) for row in (("a", 30, 1, 70), ("b", 10, 90))]
        await loop.advance(100)
        assert seen == [("b", 10), ("a", 30), ("a", 31), ("b", 100)]
        await loop.advance(1)
        assert seen[-1] == ("a", 101)
        await asyncio.gather(*tasks)

    on_a_frozen_loop(main)


@pytest.mark.parametrize("step", [1, 3, 7, 333])
def test_many_steps_are_as_exact_as_one(step: int) -> None:
    async def main(loop: VirtualLoop) -> None:
        woken = loop.create_future()
        loop.call_later(0.999 * 3, woken.set_result, None)
        for _ in range(2_997 // step):
            assert not woken.done()
            await loop.advance(step)
        await loop.advance(2_997 % step)
        assert woken.done()
        assert loop.elapsed_ms == 2_997

    on_a_frozen_loop(main)


def test_a_timer_that_was_cancelled_is_no_stop_on_the_way() -> None:
    async def main(loop: VirtualLoop) -> None:
        loop.call_later(0.01, lambda: None).cancel()
        await loop.advance(20)
        assert loop.fired == 0

    on_a_frozen_loop(main)


def test_time_waits_for_work_on_other_threads() -> None:
    """The thread is done only after real time has passed, and what it leads to happens at the instant of its start."""
    at: list[int] = []

    async def main(loop: VirtualLoop) -> None:
        done = threading.Event()

        async def work() -> None:
            await asyncio.sleep(0.005)
            threading.Timer(0.05, done.set).start()
            await loop.run_in_executor(None, done.wait)
            at.append(loop.elapsed_ms)

        task = asyncio.create_task(work())
        await loop.advance(1_000)
        await task

    on_a_frozen_loop(main)
    assert at == [5]


def test_a_thaw_goes_on_from_where_time_stands() -> None:
    async def main(loop: VirtualLoop) -> None:
        await loop.advance(3_600_000)
        before = loop.time()
        loop.thaw()
        began = time.monotonic()
        await asyncio.sleep(0.01)
        assert loop.time() >= before + 0.009
        assert loop.time() - before < time.monotonic() - began + 1

    on_a_frozen_loop(main)


def test_a_thaw_ends_a_journey_and_every_wait_for_rest() -> None:
    async def main(loop: VirtualLoop) -> None:
        busy = loop.create_future()
        loop.count_work(busy)
        waits = [asyncio.create_task(loop.advance(10)), asyncio.create_task(loop.rest())]
        await asyncio.sleep(0)
        loop.thaw()
        await asyncio.wait_for(asyncio.gather(*waits), 1)
        busy.set_result(None)

    on_a_frozen_loop(main)
