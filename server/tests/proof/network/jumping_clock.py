"""The wall clock of another process, moved from here through a preloaded library (jumping_clock.c, built by gcc when it is needed)."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")
SECOND = 1_000_000_000  # nanoseconds


class JumpingClock:
    """`environment` is for the process whose clock this is. `jumps` has (monotonic instant, offset), both in seconds."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock-offset"
        self._file.write_bytes(struct.pack("q", 0))
        self.environment = {"LD_PRELOAD": str(_built(folder)), "PROOF_CLOCK": str(self._file)}
        self.jumps: list[tuple[float, float]] = [(0.0, 0.0)]

    def set(self, offset: float) -> None:
        """The wall clock is that far from the machine's, from now on."""
        descriptor = os.open(self._file, os.O_WRONLY)
        try:
            os.pwrite(descriptor, struct.pack("q", round(offset * SECOND)), 0)
        finally:
            os.close(descriptor)
        self.jumps.append((time.monotonic(), offset))

    def offset_at(self, instant: float) -> float:
        return next(offset for at, offset in reversed(self.jumps) if at <= instant)

    @property
    def wall(self) -> float:
        """Unix seconds by the clock that was moved."""
        return time.time() + self.jumps[-1][1]

    def reaches(self, start: float, delay: float) -> float:
        """The first monotonic instant from `start` on at which the wall clock is `delay` past what it was at `start`."""
        aim = start + self.offset_at(start) + delay
        ends = [*(at for at, _ in self.jumps[1:]), float("inf")]
        for (at, offset), end in zip(self.jumps, ends, strict=True):
            reached = max(aim - offset, at, start)
            if reached < end:
                return reached
        raise AssertionError("the last offset holds for ever")


def _built(folder: Path) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("NO C COMPILER: T20 needs gcc to build the library that moves the clock")
    library = folder / "jumping_clock.so"
    command = [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", str(library)]
    subprocess.run([*command, str(SOURCE), "-ldl"], check=True)
    return library
