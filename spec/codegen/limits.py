"""Writes the limits and defaults of the wire, for the server and for the Python SDK."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from python_text import python_file

if TYPE_CHECKING:
    from source import Spec

SERVER_PATH = "server/src/jobwire_server/wire/limits.py"
SDK_PATH = "sdk-python/src/jobwire/_limits.py"

# What a client checks or cuts before it sends. The rest is the server's to refuse.
SDK_LIMITS = (
    "line_bytes",
    "batch_items",
    "pull_count",
    "error_bytes",
    "message_bytes",
    "queues_per_pull",
    "names_per_pull",
    "wait_ms",
    "lease_ms_min",
    "lease_ms_max",
    "duration_ms",
    "find_limit",
    "rid_max",
)

_SERVER_HEAD = '''\
"""The limits and defaults that hello and /capabilities announce, as spec/wire.yaml lists them.

Sizes are bytes of UTF-8, durations milliseconds. A DEFAULT_ is what a field means when it is left out.
"""

from __future__ import annotations

from typing import Final

'''
_SDK_HEAD = '''\
"""The limits and defaults of the wire that the client needs, as spec/wire.yaml lists them.

Sizes are bytes of UTF-8, durations milliseconds. A DEFAULT_ is what a field means when it is left out.
"""

from __future__ import annotations

from typing import Final

'''


def outputs(spec: Spec) -> dict[str, str]:
    """The two files of this module: path → text."""
    limits, defaults = spec.wire["limits"], spec.wire["defaults"]
    chosen = {name: limits[name] for name in SDK_LIMITS}
    return {
        SERVER_PATH: _file(spec, _SERVER_HEAD + _constants(limits, defaults)),
        SDK_PATH: _file(spec, _SDK_HEAD + _constants(chosen, defaults)),
    }


def _file(spec: Spec, body: str) -> str:
    return python_file(body, sources=("wire.yaml",), digest=spec.digest("wire.yaml"))


def _constants(limits: dict[str, Any], defaults: dict[str, Any]) -> str:
    return (
        _assignments("", limits)
        + "\n"
        + _assignments("DEFAULT_", defaults)
        + _table("LIMITS", "int", "", limits)
        + _table("DEFAULTS", "int | float | str", "DEFAULT_", defaults)
    )


def _assignments(prefix: str, values: dict[str, Any]) -> str:
    return "".join(f"{prefix}{name.upper()}: Final = {value!r}\n" for name, value in values.items())


def _table(name: str, kind: str, prefix: str, values: dict[str, Any]) -> str:
    rows = "".join(f"{key!r}: {prefix}{key.upper()},\n" for key in values)
    return f"\n{name}: Final[dict[str, {kind}]] = {{\n{rows}}}\n"
