"""targets/*.yaml: what is known of a server before anything is sent to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from conformance.runner import known_failing, schemas
from conformance.runner.profiles import profiles

HERE: Final = Path(__file__).resolve().parents[1]
TARGETS: Final = HERE / "targets"
SCHEMA: Final = HERE / "schema" / "target-1.schema.json"
REFERENCE: Final = TARGETS / "ref.yaml"
ALL_TRANSPORTS: Final = ("http", "tcp1", "tcp2")


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
