"""
The names of each setting: dotted key, environment variables and flag, and the catalogue that lists them all.

No value is read or checked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jobwire_server.config.settings import PREFIX, Section, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

# Flags of `jobwire serve` and the settings that each gives.
FLAGS: Final[dict[str, tuple[str, ...]]] = {
    "--storage": ("storage",),
    "--host": ("http.host", "tcp.host"),
    "--http-port": ("http.port",),
    "--tcp-port": ("tcp.port",),
    "--token": ("auth.tokens",),
    "--tokens-file": ("auth.tokens_file",),
    "--insecure": ("auth.insecure",),
    "--log-level": ("log.level",),
    "--test-mode": ("test.enabled",),
    "--test-port": ("test.port",),
    "--test-seed": ("test.seed",),
    "--test-clock": ("test.clock_ms",),
    "--log-format": ("log.format",),
}

# Other spellings, weakest first: a later name wins over an earlier one, and the full name JOBWIRE_SECTION__KEY over all.
SHORT_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "RUSTQUEUE_HOST": ("http.host", "tcp.host"),
    "RUSTQUEUE_HTTP_PORT": ("http.port",),
    "RUSTQUEUE_TCP_PORT": ("tcp.port",),
    "JOBWIRE_HOST": ("http.host", "tcp.host"),
    "JOBWIRE_HTTP_PORT": ("http.port",),
    "JOBWIRE_TCP_PORT": ("tcp.port",),
    "JOBWIRE_TOKENS": ("auth.tokens",),
    "JOBWIRE_TOKENS_FILE": ("auth.tokens_file",),
    "JOBWIRE_INSECURE": ("auth.insecure",),
    "JOBWIRE_LOG_LEVEL": ("log.level",),
    "JOBWIRE_LOG_FORMAT": ("log.format",),
}

# Names of the environment that are not settings of the server: the file, and what clients read.
OTHER_NAMES: Final = ("JOBWIRE_CONFIG", "JOBWIRE_URL", "JOBWIRE_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingInfo:
    """One setting, for whoever lists them: its dotted key, its names elsewhere, and what it means."""

    key: str
    env: str
    short_env: tuple[str, ...]
    flag: str | None
    default: Any
    description: str
    section: type[BaseModel]


def catalogue() -> dict[str, SettingInfo]:
    """Every setting by its dotted key, in the order of the classes of `settings`."""
    return {info.key: info for info in _describe(Settings, "")}


def _describe(section: type[BaseModel], prefix: str) -> Iterator[SettingInfo]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from _describe(field.annotation, f"{name}.")
            continue
        key = prefix + name
        yield SettingInfo(
            key=key,
            env=PREFIX + key.replace(".", "__").upper(),
            short_env=tuple(short for short, keys in SHORT_NAMES.items() if key in keys),
            flag=next((flag for flag, keys in FLAGS.items() if key in keys), None),
            default=field.default,
            description=field.description or "",
            section=section,
        )
