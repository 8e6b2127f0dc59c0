"""
The sources, each read into a layer: the TOML file, the environment, the flags.

A layer has the values as they were given, by dotted key, with the place where each stood. Which layer wins and whether a
value will do is for `loading` to say; an unknown name is refused here, since no layer has room for it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from jobwire_server.config.names import FLAGS, OTHER_NAMES, SHORT_NAMES, catalogue
from jobwire_server.config.problems import ConfigError, Problem, unknown_name
from jobwire_server.config.settings import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_FILE: Final = "jobwire.toml"


class Given(NamedTuple):
    """A value as a source gave it, and where it stood: `flag --x`, `env NAME`, `file:key`."""

    value: Any
    origin: str


Layer = dict[str, Given]


def config_path(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The file to read, None when there is none: the one asked for, the one of JOBWIRE_CONFIG, or the default if it exists."""
    if config is not None:
        return config
    if named := environ.get("JOBWIRE_CONFIG"):
        return Path(named)
    default = Path(DEFAULT_FILE)
    return default if default.exists() else None


def flag_layer(flags: Mapping[str, Any]) -> Layer:
    """The flags that were given, by the names of FLAGS; None means not given."""
    given = ((flag, value) for flag, value in flags.items() if value is not None)
    return {key: Given(value, f"flag {flag}") for flag, value in given for key in FLAGS[flag]}


def environment_layer(environ: Mapping[str, str]) -> Layer:
    """The variables that are settings; empty ones count as not set. ConfigError for an unknown JOBWIRE_ name."""
    full_names = {info.env: (info.key,) for info in catalogue().values()}
    known = SHORT_NAMES | full_names
    unknown = sorted(
        name for name in environ if name.startswith(PREFIX) and name not in {*known, *OTHER_NAMES}
    )
    if unknown:
        candidates = [*known, *OTHER_NAMES]
        raise ConfigError(*(unknown_name(name, "environment", candidates) for name in unknown))
    found = ((name, keys) for name, keys in known.items() if environ.get(name))
    return {key: Given(environ[name], f"env {name}") for name, keys in found for key in keys}


def file_layer(path: Path) -> Layer:
    """The keys of a TOML file. ConfigError when it cannot be read, is no TOML, or has unknown keys."""
    flat = dict(_flatten(_read_toml(path), ""))
    known = catalogue()
    strange = [key for key in flat if key not in known]
    if strange:
        raise ConfigError(*(unknown_name(key, str(path), [*known]) for key in strange))
    return {key: Given(value, f"{path}:{key}") for key, value in flat.items()}


def _read_toml(path: Path) -> dict[str, Any]:
    fix = "name a file that this user can read, or leave --config out to use ./jobwire.toml or the defaults"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"cannot read it ({error.strerror}); {fix}"
        raise ConfigError(Problem("configuration file", str(path), message)) from error
    except ValueError as error:  # of TOML, of UTF-8, or of a path that can be none
        raise ConfigError(Problem("configuration file", str(path), f"not TOML: {error}")) from error


def _flatten(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted keys of nested tables. A table in the place of a value shows as its keys, which are unknown."""
    for name, value in table.items():
        if isinstance(value, dict) and (value or _is_section(prefix + name)):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_section(key: str) -> bool:
    return any(known.startswith(f"{key}.") for known in catalogue())
