"""
`load()`, the only reader: it lays the sources over each other, checks the whole, and remembers where each value came from.

How one source is read stands in `sources`, what is wrong with a value in `problems` and `checks`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from jobwire_server.config.checks import check_together
from jobwire_server.config.masking import presentable
from jobwire_server.config.names import catalogue
from jobwire_server.config.problems import ConfigError, problems_of
from jobwire_server.config.settings import Settings
from jobwire_server.config.sources import (
    Given,
    config_path,
    environment_layer,
    file_layer,
    flag_layer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Settings, and for each dotted key the place that its value came from (`default` where none was given)."""

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None

    def value(self, key: str) -> Any:
        """The value of a dotted key as it may be shown: tokens and passwords masked, paths as text."""
        found: Any = self.settings
        for part in key.split("."):
            found = getattr(found, part)
        return presentable(found)


def load(
    config: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """
    Read and check the whole configuration.

    `config` is a file that must be there; without it JOBWIRE_CONFIG is one, and else ./jobwire.toml is read if it exists.
    `flags` has values by the names of FLAGS; None means that the flag was not given. Empty variables count as not set.

    Raises:
        ConfigError: Something is wrong; it lists every problem that was found.
    """
    environ = os.environ if environ is None else environ
    path = config_path(config, environ)
    layers = (
        file_layer(path) if path else {},
        environment_layer(environ),
        flag_layer(flags or {}),
    )
    given = {key: found for layer in layers for key, found in layer.items()}
    origins = {key: given[key].origin if key in given else "default" for key in catalogue()}
    settings = _validated(given, origins)
    check_together(settings, origins)
    return Loaded(settings=settings, origins=origins, file=path)


def _validated(given: Mapping[str, Given], origins: Mapping[str, str]) -> Settings:
    nested: dict[str, Any] = {}
    for key, found in given.items():
        section, _, name = key.rpartition(".")
        place = nested.setdefault(section, {}) if section else nested
        place[name] = found.value
    try:
        return Settings(**nested)
    except ValidationError as error:
        raise ConfigError(*problems_of(error, origins)) from None
