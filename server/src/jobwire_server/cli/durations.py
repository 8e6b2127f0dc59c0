"""Durations as people write them: `500ms`, `30s`, `5m`, `2h`, `7d`. On the wire they are whole milliseconds."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from jobwire_server.cli.exits import usage
from jobwire_server.wire import limits

UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
EXAMPLE: Final = "500ms, 30s, 5m, 2h or 7d"


def parse(text: str) -> int:
    """
    Milliseconds of a duration with a unit; `0` needs none. Parts may follow each other: `1h30m`.

    A bare number is refused: half the world reads it as seconds.
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if text != "0" and (not parts or "".join(number + unit for number, unit in parts) != text):
        raise usage(f"'{text}' is no duration", f"give a number with its unit, such as {EXAMPLE}")
    total = sum(Decimal(number) * UNITS[unit] for number, unit in parts)
    if total != int(total) or total > limits.DURATION_MS:
        raise usage(
            f"'{text}' is not a duration of this wire", "give whole milliseconds, 100 years at most"
        )
    return int(total)


def show(ms: int) -> str:
    """The shortest exact spelling in at most two units: 5400000 is `1h30m`; what two cannot say is rounded down."""
    parts, rest = [], abs(ms)
    for unit, size in sorted(UNITS.items(), key=lambda item: -item[1]):
        count, rest = divmod(rest, size)
        parts.append(f"{count}{unit}" if count else "")
    first = next((index for index, part in enumerate(parts) if part), None)
    return "0" if first is None else ("-" if ms < 0 else "") + "".join(parts[first : first + 2])
