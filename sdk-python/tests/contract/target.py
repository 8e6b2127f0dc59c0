"""What a contract test needs to know of the server it runs against: where it is, and how time passes there."""

from __future__ import annotations

import itertools
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

import pytest

from jobwire import Client, Job, JobwireError

PATIENCE = 10.0  # seconds that a test waits for something before it counts as failed
SOON = 1.0  # seconds until something falls due that the calls before it must not miss, on a slow machine either
# The command of a fake in another language (fake_process.py), which then has to pass in place of ours and of the real server.
OTHER_FAKE = os.environ.get("CONTRACT_FAKE", "")
_names = itertools.count(1)


def targets(*doors: str) -> list[Any]:
    """
    The servers that have to pass, each through *doors*.

    A real server runs in a process of its own and on the real clock: `make check` leaves it out.
    """
    kinds = ("other",) if OTHER_FAKE else ("fake", "real")
    marks = {"real": [pytest.mark.slow]}
    return [
        pytest.param(f"{kind}-{door}", marks=marks.get(kind, []))
        for kind in kinds
        for door in doors
    ]


class Target(ABC):
    """A server under test."""

    def __init__(self, url: str, door: str) -> None:
        self.url = url
        self.door = door

    def client(self) -> Client:
        return Client(self.url, retries=0, timeout=PATIENCE)

    def new_queue(self) -> str:
        """A name that no other test has, in this run or another."""
        return f"q{os.getpid()}-{next(_names)}"

    @abstractmethod
    def elapse(self, seconds: float) -> None:
        """Let time pass; what falls due may happen up to a second later."""


class Advancing(Protocol):
    """A fake server, whose clock stands still but for this."""

    def advance(self, seconds: float) -> None: ...


class FakeTarget(Target):
    def __init__(self, url: str, door: str, fake: Advancing) -> None:
        super().__init__(url, door)
        self._fake = fake

    def elapse(self, seconds: float) -> None:
        self._fake.advance(seconds)


class RealTarget(Target):
    def elapse(self, seconds: float) -> None:
        """Its clock cannot be moved: a pull of a queue that stays empty takes that long."""
        with self.client() as one:
            assert one.pull(self.new_queue(), wait=seconds) == []


def until(condition: Callable[[], Any]) -> Any:
    """
    What *condition* says once it is true.

    It asks the server; the server may be another process, which gives no other signal.
    """
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {PATIENCE} s in vain"
    return found


def state_of(client: Client, job: Job | str) -> str:
    return str(client.get_job(job).state)


def take(client: Client, queue: str, **options: Any) -> Job:
    """Pull the one job that is expected, waiting for it when it is not ready yet."""
    [job] = client.pull(queue, wait=PATIENCE / 2, **options)
    return job


def push_and_take(client: Client, queue: str, **options: Any) -> Job:
    client.push(queue, "job", **options)
    return take(client, queue)


def dead_letter(client: Client, queue: str, **options: Any) -> Job:
    """A job that has just become a dead letter."""
    job = push_and_take(client, queue, **options)
    client.fail(job, "no", discard=True)
    return client.get_job(job)


def refused(call: Callable[..., Any], *args: Any, **kwargs: Any) -> JobwireError:
    """The error that this call meets; a call that is answered ok fails the test."""
    with pytest.raises(JobwireError) as caught:
        call(*args, **kwargs)
    return caught.value


def refused_at(call: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[str, Any]:
    """The code of the error that this call meets, and the JSON pointer in it."""
    error = refused(call, *args, **kwargs)
    return error.code, error.details.get("pointer")
