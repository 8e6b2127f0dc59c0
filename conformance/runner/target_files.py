"""targets/*.yaml: what is known of a server before anything is sent to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from conformance.runner import known_failing, schemas
from conformance.runner.model import SuiteError
from conformance.runner.profiles import profiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conformance.runner.model import Item

HERE: Final = Path(__file__).resolve().parents[1]
TARGETS: Final = HERE / "targets"
SCHEMA: Final = HERE / "schema" / "target-1.schema.json"
REFERENCE: Final = TARGETS / "ref.yaml"
ALL_TRANSPORTS: Final = ("http", "tcp1", "tcp2")
# The door through which a case of raw steps goes; in version 2 it needs a capability.
_RAW: Final = {"raw-http": "http", "raw-tcp": "tcp1", "raw-tcp2": "tcp2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFile:
    """One file. `capabilities` is None for a server that declares them itself."""

    name: str
    title: str
    profile: str
    version: str = ""
    start: tuple[str, ...] = ()
    capabilities: frozenset[str] | None = None
    transports: tuple[str, ...] = ALL_TRANSPORTS
    realtime: bool = False
    known_failing: tuple[known_failing.KnownFailing, ...] = ()

    @property
    def identity(self) -> dict[str, Any]:
        """What results.json says of it."""
        about: dict[str, Any] = {"name": self.name}
        if self.version:
            about["version"] = self.version
        if self.capabilities is not None:
            about["capabilities"] = sorted(self.capabilities)
        return about


def load(path: Path = REFERENCE) -> TargetFile:
    """The target of a file. ValueError says what is wrong with it."""
    row = yaml.safe_load(path.read_text(encoding="utf-8"))
    problem = next(iter(schemas.validator(SCHEMA).iter_errors(row)), None)
    if problem is not None:
        place = "/".join(str(step) for step in problem.instance_path)
        raise ValueError(f"{path.name}: /{place}: {problem.message}")
    profiles()[row["profile"]]  # there is such a profile
    listed = row.get("known_failing")
    declared = row.get("capabilities")
    return TargetFile(
        name=row["name"],
        title=row["title"],
        profile=row["profile"],
        version=row.get("version", ""),
        start=tuple(row.get("start", ())),
        capabilities=None if declared is None else frozenset(declared),
        transports=tuple(row.get("transports", ALL_TRANSPORTS)),
        realtime=row.get("realtime", False),
        known_failing=tuple(known_failing.load(path.parent / listed)) if listed else (),
    )


def chosen(target: TargetFile, items: Sequence[Item]) -> list[Item]:
    """
    The items that say something about the target: of its profile, over its transports, and with no capability that it does not declare.

    SuiteError when there is none, since a run of nothing is no proof.
    """
    found = [item for item in items if _concerns(target, item)]
    if not found:
        raise SuiteError(f"no case concerns {target.name}")
    return found


def _concerns(target: TargetFile, item: Item) -> bool:
    case = item.case
    needs = profiles().needs(requires=case.requires, covers=case.covers, transport=item.transport)
    return (
        _RAW.get(item.transport, item.transport) in target.transports
        and profiles()[target.profile].has(suite=case.suite, needs=needs)
        and (target.capabilities is None or set(case.requires) <= target.capabilities)
    )
