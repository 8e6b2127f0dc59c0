"""Case files to cases. Whatever is wrong with one is a SuiteError with file:line, and never a case that is left out."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from conformance.runner import checking, schemas
from conformance.runner.checking import Place, step_of
from conformance.runner.model import (
    ALL_TRANSPORTS,
    RAW_TRANSPORTS,
    AnyCase,
    Case,
    SuiteError,
)
from conformance.runner.reading import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import jsonschema

HERE: Final = Path(__file__).resolve().parent.parent
REPOSITORY: Final = HERE.parent
CASES: Final = HERE / "cases"
SCHEMA: Final = HERE / "schema" / "case-1.schema.json"
LOCK: Final = REPOSITORY / "spec" / "requirements.lock"

# Folders below cases/ with a format of their own: those of drivers, which runner/driver.py reads.
OTHER_FORMATS: Final = frozenset({"sdk", "sdk-faults", "interop"})


def load(root: Path = CASES) -> list[Case]:
    """Every case below `root`, by file and place. Raises SuiteError, which starts with file:line."""
    cases = [case for path in case_files(root) for case in load_file(path, root)]
    refuse_duplicates(cases)
    return cases


def case_files(root: Path = CASES) -> list[Path]:
    """The files that hold cases in this format."""
    return [
        path
        for path in sorted(root.rglob("*.yaml"))
        if path.relative_to(root).parts[0] not in OTHER_FORMATS
    ]


def refuse_duplicates(cases: Iterable[AnyCase]) -> None:
    """Raise SuiteError when two cases have one id."""
    seen: dict[str, AnyCase] = {}
    for case in cases:
        if case.id in seen:
            raise SuiteError(f"{case.where}: the id {case.id} is that of {seen[case.id].where}")
        seen[case.id] = case


def load_file(path: Path, root: Path = CASES) -> list[Case]:
    """The cases of one file, duplicates within it refused."""
    return list(_read(path, root, path.stat().st_mtime_ns))


@functools.cache  # every kind of item of a test run reads them again
def _read(path: Path, root: Path, _changed: int) -> tuple[Case, ...]:
    document = opened(path, root, _validate)
    cases = [_case(document, index, raw) for index, raw in enumerate(document.value["cases"])]
    refuse_duplicates(cases)
    return tuple(cases)


def opened(path: Path, root: Path, validate: Callable[[Document], None]) -> Document:
    """A file of cases that `validate` has nothing against, and whose suite is the one of its place. Raises SuiteError."""
    shown = path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path
    document = Document(path, str(shown))
    validate(document)
    suite = path.relative_to(root).with_suffix("").as_posix()
    if document.value["suite"] != suite:
        raise SuiteError(f"{shown}:{document.line(('suite',))}: the suite of this file is {suite}")
    return document


def _case(document: Document, index: int, raw: dict[str, Any]) -> Case:
    place: Place = ("cases", index)
    raw = {**raw, "transports": _transports(document, place, raw)}
    _check_covers(document, place, raw)
    for where, problem in checking.problems(raw):
        raise _problem(document, (*place, *where), f"{raw['id']}: {problem}")
    return Case(
        id=raw["id"],
        suite=document.value["suite"],
        title=raw["title"],
        covers=tuple(raw.get("covers", ())),
        level=raw.get("level", "MUST"),
        transports=raw["transports"],
        requires=(*document.value.get("requires", ()), *raw.get("requires", ())),
        server=raw.get("server", {}).get("settings", {}),
        time=raw.get("time", False),
        steps=_steps(document, (*place, "steps"), raw["steps"]),
        always=_steps(document, (*place, "always"), raw.get("always", [])),
        vars=raw.get("vars", {}),
        file=document.name,
        line=document.line(place),
        passes_on_null=raw.get("passes_on_null"),
        quick=raw.get("quick", False),
        provenance=raw.get("provenance", ""),
    )


def _steps(document: Document, place: Place, steps: list[Any]) -> Any:
    return tuple(step_of(step, document.line((*place, index))) for index, step in enumerate(steps))


def _transports(document: Document, place: Place, raw: dict[str, Any]) -> tuple[str, ...]:
    """Those of the case. One whose steps are all raw has to name its own, and only one of them."""
    kinds = {checking.kind_of(step) for step in raw["steps"]}
    if "transports" not in raw:
        if kinds & {"http", "tcp"} and not kinds & {"do", "parallel"}:
            raise _problem(
                document, place, f"{raw['id']}: a case of raw steps has to name its transports"
            )
        return ALL_TRANSPORTS
    given = tuple(raw["transports"])
    if set(given) & set(RAW_TRANSPORTS) and len(given) > 1:
        raise _problem(
            document, (*place, "transports"), f"{raw['id']}: raw-http and raw-tcp stand alone"
        )
    return given


def _check_covers(document: Document, place: Place, raw: dict[str, Any]) -> None:
    for index, requirement in enumerate(raw.get("covers", ())):
        if requirement not in requirement_ids():
            raise _problem(
                document,
                (*place, "covers", index),
                f"{raw['id']}: {requirement} is not in spec/requirements.lock",
            )


@functools.cache
def requirement_ids() -> frozenset[str]:
    """Every id of spec/requirements.lock."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return frozenset(line.split()[0] for line in lines if line.startswith("JW-"))


def _problem(document: Document, place: Place, what: str) -> SuiteError:
    return SuiteError(f"{document.name}:{document.line(place)}: {what}")


# --- the schema -------------------------------------------------------------------------------------------------


def _validate(document: Document) -> None:
    error = schemas.fault(SCHEMA, document.value)
    if error is not None:
        place = tuple(error.absolute_path)
        raise _problem(document, place, f"{_case_id(document, place)}{_where(place)}{_told(error)}")


def _case_id(document: Document, place: Place) -> str:
    if len(place) < 2 or place[0] != "cases":
        return ""
    case = document.value["cases"][place[1]]
    return f"{case['id']}: " if isinstance(case, dict) and "id" in case else ""


def _where(place: Place) -> str:
    return schemas.pointer(place) + ": " if place else ""


def _told(error: jsonschema.ValidationError) -> str:
    """What the schema has against a value, in the words of the schema but for what stands together and must not."""
    message = str(error.message)
    if error.validator == "not" and isinstance(error.instance, dict):
        pairs: Any = error.validator_value
        together = [set(each.get("required", ())) for each in pairs["anyOf"]]
        found = next(each for each in together if each <= error.instance.keys())
        message = f"{' and '.join(sorted(found))} do not stand together"
    return message if len(message) <= 300 else f"…{message[-300:]}"
