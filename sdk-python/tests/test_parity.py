"""Client and AsyncClient, argument by argument."""

from __future__ import annotations

import inspect
import re

import pytest

from jobwire import AsyncClient, Client

# What differs by design: how a client is closed, and how its context is entered.
RENAMED = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}


def methods(kind: type) -> set[str]:
    return {
        name
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and (not name.startswith("_") or name in RENAMED)
    }


def names() -> list[str]:
    return sorted(methods(Client) | {"__init__", "_notices", "_interrupt_waits"})


def asynchronous(annotation: object) -> str:
    """What an annotation of Client says, in the words of AsyncClient."""
    text = str(annotation)
    text = re.sub(r"\b(Client|Transport|Runtime)\b", r"Async\1", text)
    return text.replace("Iterator[", "AsyncIterator[")


def test_both_have_the_same_methods() -> None:
    renamed = set(RENAMED.values())

    assert {RENAMED.get(name, name) for name in methods(Client)} == (
        methods(AsyncClient) | {name for name in renamed if hasattr(AsyncClient, name)}
    )


@pytest.mark.parametrize("name", names())
def test_arguments_defaults_and_results_are_the_same(name: str) -> None:
    sync = inspect.signature(getattr(Client, name))
    other = inspect.signature(getattr(AsyncClient, RENAMED.get(name, name)))

    assert list(sync.parameters) == list(other.parameters)
    for one, two in zip(sync.parameters.values(), other.parameters.values(), strict=True):
        assert (one.kind, one.default) == (two.kind, two.default), one.name
        assert asynchronous(one.annotation) == str(two.annotation), one.name
    assert asynchronous(sync.return_annotation) == str(other.return_annotation)


@pytest.mark.parametrize("name", sorted(methods(Client) - {"__enter__", "__exit__"}))
def test_every_public_method_is_documented(name: str) -> None:
    assert inspect.getdoc(getattr(Client, name))
    assert inspect.getdoc(getattr(AsyncClient, RENAMED.get(name, name)))
