"""The public surface of the Python SDK as `inspect` shows it, and where it differs from spec/sdk-surface.yaml."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

import jobwire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# section of sdk-surface.yaml → the classes that have its methods, and what stands before the names there
SECTIONS: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "methods": ((jobwire.Client, jobwire.AsyncClient), ""),
    "worker_methods": ((jobwire.Worker, jobwire.AsyncWorker), "worker."),
    "job_methods": ((jobwire.JobContext, jobwire.AsyncJobContext), "job."),
}


def faults(surface: dict[str, Any], package: Any = jobwire) -> list[str]:
    """Where a table of the surface says something else than the package."""
    return [
        *_names(surface, package),
        *_constructors(surface, package),
        *(fault for section in SECTIONS for fault in _methods(surface, section)),
        *_errors(surface, package),
    ]


def signature(function: Callable[..., Any]) -> str:
    """Arguments and defaults, without annotations, `self` and what begins with an underscore."""
    parts: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self" or parameter.name.startswith("_"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in parts:
            parts.append("*")
        parts.append(parameter.name + _default(parameter.default))
    return f"({', '.join(parts)})"


def public_methods(kind: type) -> set[str]:
    """The methods that a class defines itself and that are public; properties are no methods."""
    return {
        name
        for name, value in vars(kind).items()
        if inspect.isfunction(value) and not name.startswith("_")
    }


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return ""
    return "=UNSET" if value is jobwire.UNSET else f"={value!r}"


def _names(surface: dict[str, Any], package: Any) -> Iterator[str]:
    listed = set(surface["names"]["python"]) | set(surface["classes"])
    listed |= {row["python"] for row in surface["errors"].values()}
    for name in sorted(listed - set(package.__all__)):
        yield f"{name} is listed, and jobwire does not have it"
    for name in sorted(set(package.__all__) - listed):
        yield f"jobwire has {name}, which is not listed"


def _constructors(surface: dict[str, Any], package: Any) -> Iterator[str]:
    for name, row in surface["classes"].items():
        kind = getattr(package, name, None)
        found = signature(kind.__init__) if kind else " is not there, and"
        if found != row["python"]:
            yield f"{name}{found} is listed as {row['python']}"


def _methods(surface: dict[str, Any], section: str) -> Iterator[str]:
    kinds, prefix = SECTIONS[section]
    for number, kind in enumerate(kinds):
        listed = {
            (row.get("python_async") if number else None) or name.removeprefix(prefix): row[
                "python"
            ]
            for name, row in surface[section].items()
        }
        found = public_methods(kind)
        for name in sorted(found - set(listed)):
            yield f"{kind.__name__}.{name} is not listed in {section}"
        for name in sorted(set(listed) - found):
            yield f"{kind.__name__}.{name} is listed in {section}, and not there"
        for name in sorted(set(listed) & found):
            arguments = signature(getattr(kind, name))
            if arguments != listed[name]:
                yield f"{kind.__name__}.{name}{arguments} is listed as {listed[name]}"


def _errors(surface: dict[str, Any], package: Any) -> Iterator[str]:
    for category, row in surface["errors"].items():
        kind = getattr(package, row["python"], None)
        if kind is None or not issubclass(kind, package.JobwireError):
            yield f"{row['python']} of {category} is no JobwireError"
