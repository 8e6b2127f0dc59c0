"""Handlers: how they are called, and the type of their data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict

import pydantic
import pytest

from jobwire import Discard, Job
from jobwire._worker_handlers import HandlerTable, fit_job, fitter, takes_context


@dataclass
class Welcome:
    to: str
    subject: str = "Hello"

    def __post_init__(self) -> None:
        if "@" not in self.to:
            raise ValueError("to needs an @")


class WelcomeDict(TypedDict):
    to: str


class WelcomeModel(pydantic.BaseModel):
    to: str


def one(job: Job) -> None: ...
def two(job: Job, anything: Any) -> None: ...
def named(job: Job, ctx: Any = None) -> None: ...
def defaulted(job: Job, retries: int = 3) -> None: ...
def starred(*args: Any) -> None: ...


class Callable:
    def __call__(self, job: Job, ctx: Any) -> None: ...


class AsyncCallable:
    async def __call__(self, job: Job) -> None: ...


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (one, False),
        (two, True),
        (named, True),
        (defaulted, False),
        (starred, True),
        (Callable(), True),
    ],
)
def test_the_context_goes_to_handlers_that_take_it(handler: Any, expected: bool) -> None:
    assert takes_context(handler) is expected


@pytest.mark.parametrize("handler", [lambda: None, lambda a, b, c: None, lambda *, job: None])
def test_a_function_that_cannot_be_called_so_is_refused_when_registered(handler: Any) -> None:
    with pytest.raises(TypeError, match=r"handler\(job\) or handler\(job, ctx\)"):
        HandlerTable(is_async=False).add("a", handler)


async def coroutine(job: Job) -> None: ...


@pytest.mark.parametrize(
    ("is_async", "handler"),
    [(False, coroutine), (False, AsyncCallable()), (True, one)],
)
def test_a_handler_of_the_other_kind_is_refused(is_async: bool, handler: Any) -> None:
    with pytest.raises(TypeError, match="AsyncWorker"):
        HandlerTable(is_async=is_async).add("a", handler)


def test_an_async_callable_object_is_a_handler_of_an_async_worker() -> None:
    table = HandlerTable(is_async=True)

    table.add("a", AsyncCallable())

    assert table.names == ["a"]


def test_a_name_has_one_handler() -> None:
    table = HandlerTable(is_async=False)
    table.add("a", one)

    with pytest.raises(ValueError, match="'a'"):
        table.add("a", two)


def test_a_wrapper_gets_every_handler_with_both_arguments() -> None:
    table = HandlerTable(is_async=False)
    table.add("a", lambda job: f"ran {job.id}")

    wrapped = table.wrapped(lambda handler: lambda job, ctx: f"<{handler(job, ctx)}>")

    assert wrapped["a"].call(Job(id="j"), None) == "<ran j>"


def data_of(kind: Any, data: Any) -> Any:
    return fit_job(Job(id="j", data=data), fitter(kind)).data


def test_data_becomes_what_the_handler_wants() -> None:
    data = {"to": "ada@example.org"}

    assert data_of(Welcome, data) == Welcome(to="ada@example.org")
    assert data_of(WelcomeModel, data) == WelcomeModel(to="ada@example.org")
    assert data_of(WelcomeDict, data) is data


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        (Welcome, {}, "does not fit Welcome: missing to"),
        (Welcome, {"to": "a@b", "cc": "x"}, "unknown cc"),
        (Welcome, {"to": "ada"}, "to needs an @"),
        (Welcome, [1], "no object but list"),
        (WelcomeDict, {}, "missing to"),
        (WelcomeModel, {"to": 1}, "does not fit WelcomeModel"),
    ],
)
def test_data_that_does_not_fit_is_discarded_with_a_clear_reason(
    kind: Any, data: Any, words: str
) -> None:
    with pytest.raises(Discard) as caught:
        data_of(kind, data)

    assert words in caught.value.reason


def test_a_type_that_cannot_be_filled_is_refused_when_registered() -> None:
    with pytest.raises(TypeError, match="dataclass"):
        HandlerTable(is_async=False).add("a", one, data=int)
