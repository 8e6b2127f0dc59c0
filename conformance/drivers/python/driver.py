"""
Lets the conformance runner drive the Python SDK: JSON lines on stdin and stdout, as schema/driver-1.schema.json has them.

Rule 1: it calls the public API only, and `_runtime`, the SDK's one seam for time and chance.
Rule 2: it never judges. What the SDK did is told as it is; the runner compares it with what crossed the wire.
With --async it drives AsyncClient and AsyncWorker.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import itertools
import json
import logging
import os
import platform
import random
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import jobwire
from jobwire._runtime import AsyncRuntime, Runtime
from values import ENDINGS, ITEMS, arguments, canonical, failure, load

if TYPE_CHECKING:
    from collections.abc import Callable


async def in_thread(call: Callable[[], Any]) -> Any:
    """Run *call* in a thread that ends with it, so that none is left to be counted."""
    loop, future = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def run() -> None:
        done = future.set_result
        try:
            value = call()
            value = list(value) if inspect.isgenerator(value) else value
        except Exception as exc:  # noqa: BLE001 - whatever the SDK raises is told, and judged elsewhere
            done, value = future.set_exception, exc
        loop.call_soon_threadsafe(done, value)

    threading.Thread(target=run, daemon=True).start()
    return await future


class Driver:
    """One conversation, on one event loop; calls of the sync SDK have a thread each."""

    def __init__(self, *, is_async: bool) -> None:
        self.is_async, self.loop = is_async, asyncio.get_running_loop()
        self.objects: dict[str, Any] = {}
        self.calls: dict[int, asyncio.Task[None]] = {}
        self.sleeps: dict[int, asyncio.Future[None]] = {}
        self.scripts: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self.names, self.slept = itertools.count(1), 0.0

    async def run(self) -> None:
        lines = asyncio.StreamReader(limit=2**26)
        await self.loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        while line := await lines.readline():
            message = json.loads(line)
            getattr(self, "on_" + message.pop("t").replace(".", "_"))(**message)

    def say(self, kind: str, **members: Any) -> None:
        sys.stdout.write(json.dumps({"t": kind, **members}) + "\n")
        sys.stdout.flush()

    async def perform(self, call: Callable[[], Any]) -> Any:
        """One call in the SDK's own idiom."""
        value = call() if self.is_async else await in_thread(call)
        if inspect.isasyncgen(value):
            return [each async for each in value]
        return await value if inspect.isawaitable(value) else value

    def start(self, number: int, call: Callable[[], Any]) -> None:
        self.calls[number] = asyncio.create_task(self.answer(number, call))

    async def answer(self, number: int, call: Callable[[], Any]) -> None:
        told: dict[str, Any] = {"ok": True}
        try:
            told["value"] = canonical(await self.perform(call))
        except (Exception, asyncio.CancelledError) as exc:  # noqa: BLE001 - as above
            told = {"ok": False, "error": failure(exc)}
        del self.calls[number]
        self.say("result", id=number, **told)

    def on_init(self, proto: int, virtual: bool, seed: int) -> None:
        self.virtual, self.random = virtual, random.Random(seed)
        self.baseline = (sockets(), threads())
        sdk = {"name": "python-async" if self.is_async else "python", "lang": "python"}
        sdk |= {"version": jobwire.__version__, "runtime": platform.python_version()}
        caps = ["bigint", "float", *(["cancel"] if self.is_async else [])]
        methods = [name for name in dir(jobwire.Client) if not name.startswith("_")]
        self.say("ready", proto=proto, sdk=sdk, caps=caps, methods=methods)

    def on_new(self, id: int, obj: str, kind: str, args: dict[str, Any]) -> None:
        makers: dict[str, Callable[..., Any]] = {"client": self.client, "worker": self.worker}
        self.start(id, lambda: self.objects.update({obj: makers[kind](obj, **arguments(args))}))

    def on_call(self, id: int, obj: str, method: str, args: Any, opts: Any = None) -> None:
        target = self.objects[obj].with_options(**arguments(opts)) if opts else self.objects[obj]
        items = "jobs" if method == "push_batch" else "items"
        listed = [ITEMS[method](**arguments(each)) for each in args.pop(items, ())]
        given = arguments(args) | ({items: listed} if method in ITEMS else {})
        call = functools.partial(repr, target) if method == "repr" else getattr(target, method)
        self.start(id, functools.partial(call, **given))

    def on_cancel(self, id: int) -> None:
        if id in self.calls:
            self.calls[id].cancel()  # else its result is on the way already

    def on_job_resolve(self, token: str, **how: Any) -> None:
        if token in self.scripts:
            self.scripts[token].put_nowait(how)  # else the handler has been cancelled meanwhile

    def on_wake(self, id: int) -> None:
        if id in self.sleeps:
            self.sleeps[id].set_result(None)  # else the call that slept was cancelled

    def on_close(self, id: int, obj: str) -> None:
        closed = self.objects.pop(obj)
        self.start(id, getattr(closed, "aclose" if self.is_async else "close", lambda: None))

    def on_stats(self, id: int) -> None:
        counts = {
            "sockets": sockets() - self.baseline[0],
            "threads": threads() - self.baseline[1],
            "tasks": len(asyncio.all_tasks()) - len(self.calls) - 1,
            "timers": sum(not timer.cancelled() for timer in self.loop._scheduled),  # type: ignore[attr-defined]
            "calls": len(self.calls) + len(self.scripts) + len(self.sleeps),
        }
        self.say("result", id=id, ok=True, value=counts)

    def client(self, _obj: str, **args: Any) -> Any:
        seam: dict[str, Any] = {"random": self.random.random, "monotonic": lambda: self.slept}
        if self.is_async:
            runtime = AsyncRuntime(sleep=self.sleep, **seam) if self.virtual else None
            return jobwire.AsyncClient(**args, _runtime=runtime)
        sync = Runtime(sleep=self.blocking(self.sleep), **seam) if self.virtual else None
        return jobwire.Client(**args, _runtime=sync)

    def worker(self, obj: str, client: str, handlers: list[str], **args: Any) -> Any:
        make = jobwire.AsyncWorker if self.is_async else jobwire.Worker
        worker = make(self.objects[client], **args)
        script = functools.partial(self.handle, obj)
        for name in handlers:
            worker.handler(name)(script if self.is_async else self.blocking(script))
        return worker

    def blocking(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A coroutine function for a thread to call."""
        return lambda *args: asyncio.run_coroutine_threadsafe(function(*args), self.loop).result()

    async def sleep(self, duration: float) -> None:
        """Until the runner says wake; the clock of the SDK has then moved on."""
        number = next(self.names)
        self.sleeps[number] = self.loop.create_future()
        self.say("sleep", id=number, ms=duration * 1000)
        try:
            await self.sleeps[number]
        finally:
            del self.sleeps[number]
        self.slept += duration

    async def handle(self, obj: str, job: Any, ctx: Any) -> Any:
        """A handler: it does as job.resolve says, step by step, until one ends it."""
        token = f"{obj}.{next(self.names)}"
        script = self.scripts[token] = asyncio.Queue()
        tell = functools.partial(self.say, "event", obj=obj, token=token)
        self.say("job", worker=obj, token=token, job=canonical(job))
        try:
            while (how := await script.get())["as"] != "ok":
                await self.step(ctx, how["as"], how.get("value"))
                tell(event="done", reason=ctx.reason)
            return load(how.get("value"))
        except asyncio.CancelledError:
            tell(event="cancelled", reason=ctx.reason)
            raise
        finally:
            del self.scripts[token]

    async def step(self, ctx: Any, how: str, value: Any) -> None:
        if how in ENDINGS:
            raise ENDINGS[how](value)
        if how == "burn":  # as a handler does that computes: without a break
            end = time.monotonic() + value / 1000
            await self.perform(lambda: all(time.monotonic() < end for _ in itertools.count()))
        elif how == "hang":
            await (asyncio.Event().wait() if self.is_async else in_thread(ctx.cancelled.wait))
        else:
            await self.perform(functools.partial(getattr(ctx, how), *(value or [])))


def sockets() -> int:
    links = (f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd"))
    return sum(os.path.islink(each) and "socket:" in os.readlink(each) for each in links)


def threads() -> int:
    """Without those of the event loop's executor, which end with the loop."""
    return sum(not each.name.startswith("asyncio_") for each in threading.enumerate())


async def main() -> None:
    await Driver(is_async="--async" in sys.argv).run()


logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
# Not in the main thread, where a worker would take the signals and drain: a SIGTERM ends a driver at once.
with concurrent.futures.ThreadPoolExecutor(1) as thread:
    thread.submit(asyncio.run, main()).result()
