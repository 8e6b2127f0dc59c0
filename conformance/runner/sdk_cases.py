"""Cases for SDKs: strict YAML of schema/sdk-case-1.schema.json to plain data. Whatever is wrong with one is a SuiteError."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from conformance.runner import schemas
from conformance.runner.gremlin_script import STEPS as GREMLIN_STEPS
from conformance.runner.loader import CASES, opened, refuse_duplicates, requirement_ids
from conformance.runner.model import AnyCase, SuiteError
from conformance.runner.operations import operations
from conformance.runner.paths import steps_of
from conformance.runner.values import BUILT_IN, references

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from conformance.runner.reading import Document

SCHEMA: Final = Path(__file__).resolve().parents[1] / "schema" / "sdk-case-1.schema.json"
FOLDERS: Final = ("sdk", "sdk-faults")
TRANSPORTS: Final = ("http", "tcp")

# All that a driver may say it can do (`caps`), and what an SDK has no way to do by its nature; test_sdk.py holds it to that.
CAPS: Final = frozenset({"cancel", "bigint", "float"})
LACKS: Final[Mapping[str, frozenset[str]]] = {
    "python": frozenset({"cancel"}),  # a call that blocks its thread
    "node": frozenset({"float"}),  # 1.0 and 1 are one number
}

# A step is named by the first of these that it has.
KINDS: Final = (
    *("call", "join", "many", "each", "cancel", "new", "worker", "close", "job", "resolve"),
    *("stopped", "do", "wire", "proxy", "break", "signal", "await", "pause", "hold", "asleep"),
    *("wake", "assert"),
)
_ASSERTING: Final = frozenset(
    {
        "expect",
        "expect_error",
        "any_of",
        "expect_each",
        "distinct",
        "sleeps",
        "stopped",
        "wire",
        "assert",
    }
)
_SET_BY_RUNNER: Final = BUILT_IN | {"request", "token", "item", "index", "url", "scheme"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkStep:
    kind: str
    body: Mapping[str, Any]
    line: int

    @property
    def label(self) -> str:
        return str(self.body.get("name") or f"{self.kind} {self.body[self.kind]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkCase(AnyCase):
    """One rule for SDKs. `gremlin` is the script of the peer; None where the peer is the reference server."""

    needs: tuple[str, ...]
    virtual: bool
    token: bool
    client: Mapping[str, Any]
    may_leak: str
    gremlin: tuple[Mapping[str, Any], ...] | None
    steps: tuple[SdkStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkItem:
    """A case for one SDK over one transport."""

    case: SdkCase
    sdk: str
    transport: str

    @property
    def name(self) -> str:
        return f"{self.case.id}[{self.sdk}-{self.transport}]"


def items_of(cases: Iterable[SdkCase], sdks: Iterable[str]) -> list[SdkItem]:
    """Each case for each SDK that has what it needs, over each of its transports."""
    wanted = tuple(sdks)
    return [
        SdkItem(case=case, sdk=sdk, transport=transport)
        for case in cases
        for sdk in wanted
        if not LACKS.get(sdk, frozenset()) & set(case.needs)
        for transport in case.transports
    ]


def load(root: Path = CASES) -> list[SdkCase]:
    """Every case of the folders for SDKs, by file and place."""
    paths = [path for folder in FOLDERS for path in sorted((root / folder).rglob("*.yaml"))]
    cases = [case for path in paths for case in load_file(path, root)]
    refuse_duplicates(cases)
    return cases


def load_file(path: Path, root: Path = CASES) -> list[SdkCase]:
    document = opened(path, root, _validate)
    return [_case(document, index, raw) for index, raw in enumerate(document.value["cases"])]


def _case(document: Document, index: int, raw: dict[str, Any]) -> SdkCase:
    line = document.line(("cases", index))
    for problem in problems(raw):
        raise SuiteError(f"{document.name}:{line}: {raw['id']}: {problem}")
    gremlin = tuple(raw["gremlin"]) if "gremlin" in raw else None
    return SdkCase(
        id=raw["id"],
        suite=document.value["suite"],
        title=raw["title"],
        covers=tuple(raw.get("covers", ())),
        level=raw.get("level", "MUST"),
        transports=tuple(raw.get("transports", TRANSPORTS)),
        needs=tuple(raw.get("needs", ())),
        virtual=raw.get("virtual", gremlin is not None),
        quick=raw.get("quick", False),
        token=raw.get("token", False),
        client=raw.get("client", {}),
        may_leak=raw.get("leaks", {}).get("because", ""),
        vars=raw.get("vars", {}),
        gremlin=gremlin,
        steps=tuple(
            SdkStep(
                kind=kind_of(step), body=step, line=document.line(("cases", index, "steps", at))
            )
            for at, step in enumerate(raw["steps"])
        ),
        provenance=raw.get("provenance", ""),
        file=document.name,
        line=line,
    )


def kind_of(step: Mapping[str, Any]) -> str:
    return next(kind for kind in KINDS if kind in step)


# --- what a schema cannot say -----------------------------------------------------------------------------------------


def problems(raw: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a case that fits the schema."""
    unknown = set(raw.get("covers", ())) - requirement_ids()
    if unknown:
        yield f"{', '.join(sorted(unknown))} is not in spec/requirements.lock"
    steps = list(_flat(raw["steps"]))
    if not any(_ASSERTING & step.keys() for step in steps):
        yield "nothing is expected of the SDK: a case without an assertion cannot fail"
    if "gremlin" in raw and any({"do", "proxy", "break"} & step.keys() for step in steps):
        yield "do, proxy and break speak of the reference server, and this case has a gremlin"
    yield from _gremlin_problems(raw.get("gremlin", ()))
    yield from _name_problems(raw, steps)
    for step in steps:
        if "do" in step and step["do"] not in operations():
            yield f"there is no operation {step['do']!r}"
        for path in [*step.get("expect", {}), *step.get("save", {}).values()]:
            yield from _path_problems(path)


def _flat(steps: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for step in steps:
        yield step
        yield from _flat(step.get("steps", ()))


def _gremlin_problems(script: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for step in script:
        kind = next(iter(step))
        if kind not in GREMLIN_STEPS:
            yield f"a step of the gremlin begins with its action, and not with {kind!r}"
        yield from _gremlin_problems(step.get("steps", ()))
        for reactions in (step.get("serve") or {}).values():
            yield from _gremlin_problems(reactions)


def _name_problems(raw: Mapping[str, Any], steps: list[Mapping[str, Any]]) -> Iterator[str]:
    known = set(_SET_BY_RUNNER) | set(raw.get("vars", {}))
    started: set[str] = set()
    for step in [*steps, *_flat(raw.get("gremlin", ()))]:
        known |= set(step.get("save", {})) | set(step.get("expect", {}).get("save", {}))
        known |= {step[kind] for kind in ("job", "each") if kind in step}
        started |= {step["start"]} if "start" in step else set()
    for name, _ in references({"steps": raw["steps"], "gremlin": raw.get("gremlin", [])}):
        if name not in known:
            yield f"nobody sets {{{{{name}}}}}"
    joined = {step[kind] for step in steps for kind in ("join", "cancel") if kind in step}
    if joined - started:
        yield f"nothing is started as {', '.join(sorted(joined - started))}"
    if started - {step["join"] for step in steps if "join" in step}:
        yield f"{', '.join(sorted(started))} is started and never joined"


def _path_problems(path: str) -> Iterator[str]:
    try:
        steps_of(path)
    except ValueError as error:
        yield str(error)


# --- the schema -------------------------------------------------------------------------------------------------------


def _validate(document: Document) -> None:
    error = schemas.fault(SCHEMA, document.value)
    if error is not None:
        place = tuple(error.absolute_path)
        where = f"{document.name}:{document.line(place)}: {schemas.pointer(place)}"
        raise SuiteError(f"{where}: {error.message[-300:]}")
