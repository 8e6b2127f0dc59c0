"""What crossed the sockets of one item, as lines for people; a failing item shows it."""

from __future__ import annotations

import time
from typing import Final

_KEPT: Final = 600  # characters of one line
_LINES: Final = 400


class WireLog:
    """Lines in the order in which things happened, each with the milliseconds since the item began."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._began = time.monotonic()
        self._dropped = 0

    def add(self, who: str, arrow: str, data: bytes | str) -> None:
        """`arrow` is → for what the runner sent and ← for what it got."""
        if len(self.lines) >= _LINES:
            self._dropped += 1
            return
        text = data.decode(errors="backslashreplace") if isinstance(data, bytes) else data
        text = text.rstrip("\n").replace("\r", "\\r").replace("\n", "\\n")
        if len(text) > _KEPT:
            text = f"{text[:_KEPT]}… ({len(text)} characters)"
        at = (time.monotonic() - self._began) * 1000
        self.lines.append(f"{at:8.1f} ms  {who} {arrow} {text}")

    def shown(self) -> list[str]:
        more = [f"… {self._dropped} lines more"] if self._dropped else []
        return [*self.lines, *more]
