"""Profiles: which cases a server of a given kind has to pass. The table is profiles.yaml."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROFILES: Final = Path(__file__).resolve().parents[1] / "profiles.yaml"
EVERYTHING: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One named set: `capabilities` and `suites` are those of the profiles that it includes as well."""

    name: str
    title: str
    capabilities: frozenset[str]
    suites: tuple[str, ...]

    def has(self, *, suite: str, needs: frozenset[str]) -> bool:
        """Whether a case of this suite, that needs these capabilities, belongs to it."""
        if EVERYTHING in self.capabilities or needs <= self.capabilities:
            return True
        return suite.startswith(self.suites) if self.suites else False


class Profiles:
    """The table. ValueError for a profile that includes one which stands behind it, or which is not there."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._transports: dict[str, str] = table["transports"]
        self._areas: dict[str, str] = table["areas"]
        self._profiles: dict[str, Profile] = {}
        for name, row in table["profiles"].items():
            self._profiles[name] = self._profile(name, row)

    @property
    def names(self) -> list[str]:
        """From the smallest to the largest."""
        return list(self._profiles)

    def __getitem__(self, name: str) -> Profile:
        try:
            return self._profiles[name]
        except KeyError:
            raise ValueError(f"there is no profile {name!r}; one of {self.names}") from None

    def needs(
        self, *, requires: Iterable[str], covers: Iterable[str], transport: str
    ) -> frozenset[str]:
        """The capabilities that a case needs over a transport."""
        areas = {self._areas.get(requirement.split("-")[1]) for requirement in covers}
        found = {*requires, self._transports.get(transport), *areas}
        return frozenset(each for each in found if each)

    def _profile(self, name: str, row: Mapping[str, Any]) -> Profile:
        base = self[row["includes"]] if "includes" in row else None
        return Profile(
            name=name,
            title=row["title"],
            capabilities=frozenset(row["capabilities"])
            | (base.capabilities if base else frozenset()),
            suites=(*row.get("suites", ()), *(base.suites if base else ())),
        )


@functools.cache
def profiles() -> Profiles:
    """Those of profiles.yaml."""
    return Profiles(yaml.safe_load(PROFILES.read_text(encoding="utf-8")))
