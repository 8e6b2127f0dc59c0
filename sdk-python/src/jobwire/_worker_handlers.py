"""
The handlers of a worker: which function runs a job, how it is called, and the type of its data.

No I/O. A handler is brought to one shape, `call(job, ctx)`, when it is registered, and wrapped once, when the worker starts.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from jobwire._errors import Discard
from jobwire._models import Job
from jobwire._worker_core import cut_text

# A handler as users write it, handler(job) or handler(job, ctx), and as a worker calls it. What it returns is the
# job's result, or for AsyncWorker a coroutine of it.
Handler: TypeAlias = Callable[..., Any]
BoundHandler: TypeAlias = Callable[[Job, Any], Any]
Wrapper: TypeAlias = Callable[[BoundHandler], BoundHandler]

_REASON_BYTES: Final = 2000  # of a misfit that is told; pydantic can list thousands of faults
_CONTEXT_NAMES: Final = frozenset({"ctx", "context"})
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


@dataclass(frozen=True, slots=True)
class Registered:
    """A handler in the shape in which it is called; `fit` makes the job's data what the handler wants."""

    call: BoundHandler
    fit: Callable[[Any], Any] | None = None


class HandlerTable:
    """Handlers by job name."""

    def __init__(self, *, is_async: bool) -> None:
        self._is_async = is_async
        self._handlers: dict[str, Registered] = {}

    @property
    def names(self) -> list[str]:
        return sorted(self._handlers)

    def add(self, name: str, handler: Handler, data: Any = None) -> None:
        """Register *handler* for jobs named *name*; ValueError when there is one, TypeError when it cannot be called."""
        if name in self._handlers:
            raise ValueError(f"there is a handler for {name!r} already")
        self._check_kind(handler)
        fit = None if data is None else fitter(data)
        self._handlers[name] = Registered(bind(handler), fit)

    def wrapped(self, wrap: Wrapper | None) -> dict[str, Registered]:
        """The table to work with: every handler inside *wrap*."""
        if wrap is None:
            return dict(self._handlers)
        return {name: replace(one, call=wrap(one.call)) for name, one in self._handlers.items()}

    def _check_kind(self, handler: Handler) -> None:
        is_coroutine = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
            type(handler).__call__  # of an instance that can be called
        )
        if is_coroutine and not self._is_async:
            raise TypeError("Worker runs plain functions; give coroutine functions to AsyncWorker")
        if self._is_async and not is_coroutine:
            raise TypeError(
                "AsyncWorker runs coroutine functions, since a plain one would block its event loop; "
                "use `async def` with asyncio.to_thread, or Worker"
            )


def bind(handler: Handler) -> BoundHandler:
    """*handler* as call(job, ctx), whether it takes the context or not."""
    if takes_context(handler):
        return handler
    return lambda job, ctx: handler(job)


def takes_context(handler: Handler) -> bool:
    """
    Whether *handler* wants a second argument: one without a default, or one named ctx or context.

    Raises TypeError for a function that can be called with neither one argument nor two.
    """
    parameters = list(inspect.signature(handler).parameters.values())
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return True
    places = [p for p in parameters if p.kind in _POSITIONAL]
    second = places[1] if len(places) > 1 else None
    wanted = second is not None and (
        second.default is inspect.Parameter.empty or second.name in _CONTEXT_NAMES
    )
    _check_call(handler, 2 if wanted else 1)
    return wanted


def _check_call(handler: Handler, count: int) -> None:
    try:
        inspect.signature(handler).bind(*range(count))
    except TypeError as exc:
        raise TypeError(f"a handler is called as handler(job) or handler(job, ctx): {exc}") from exc


# --- typed data -----------------------------------------------------------------------------------------------------------


def fitter(kind: Any) -> Callable[[Any], Any]:
    """
    What turns a job's data into *kind*: a dataclass is built by keywords, a TypedDict's keys are looked for, and anything with
    `model_validate` (pydantic) validates.

    What it raises for data that does not fit is Discard: no retry mends a payload.
    """
    if hasattr(kind, "model_validate"):
        return lambda data: _validated(kind, data)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return lambda data: _built(kind, data)
    if hasattr(kind, "__required_keys__"):
        return lambda data: _looked_at(kind, data)
    raise TypeError(f"data must be a dataclass, a TypedDict or a pydantic model, got {kind!r}")


def fit_job(job: Job, fit: Callable[[Any], Any] | None) -> Job:
    """*job* with its data as the handler wants it; raises Discard when it does not fit."""
    return job if fit is None else replace(job, data=fit(job.data))


def _validated(kind: Any, data: Any) -> Any:
    try:
        return kind.model_validate(data)
    except (ValueError, TypeError) as exc:  # pydantic's ValidationError is a ValueError
        raise _misfit(kind, str(exc)) from exc


def _built(kind: type, data: Any) -> Any:
    fields = [field for field in dataclasses.fields(kind) if field.init]
    required = {f.name for f in fields if _has_no_default(f)}
    _check_keys(kind, data, required=required, allowed={f.name for f in fields})
    try:
        return kind(**data)
    except (ValueError, TypeError) as exc:  # __post_init__ may look closer
        raise _misfit(kind, str(exc)) from exc


def _has_no_default(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _looked_at(kind: Any, data: Any) -> Any:
    _check_keys(kind, data, required=set(kind.__required_keys__), allowed=None)
    return data


def _check_keys(kind: Any, data: Any, *, required: set[str], allowed: set[str] | None) -> None:
    if not isinstance(data, dict):
        raise _misfit(kind, f"it is no object but {type(data).__name__}")
    missing = sorted(required - data.keys())
    if missing:
        raise _misfit(kind, f"missing {', '.join(missing)}")
    unknown = sorted(data.keys() - allowed) if allowed is not None else []
    if unknown:
        raise _misfit(kind, f"unknown {', '.join(unknown)}")


def _misfit(kind: Any, why: str) -> Discard:
    name = getattr(kind, "__name__", repr(kind))
    return Discard(cut_text(f"the job's data does not fit {name}: {why}", _REASON_BYTES))
