"""What a figure was measured on: without it, and without the cost of an fsync above all, the figure says little."""

from __future__ import annotations

import os
import platform
import statistics
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import apsw

PACKAGES = ("jobwire-server", "uvloop", "aiohttp", "msgspec", "apsw")
FSYNCS = 200


def describe(folder: Path) -> dict[str, object]:
    """`folder` is on the disk that the servers will write to."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} processors, {_processor()}, {platform.system()} {platform.machine()}",
        "load_before": round(os.getloadavg()[0], 2),
        "fsync_p50_ms": round(fsync_p50_ms(folder), 3),
        "versions": {
            "python": platform.python_version(),
            "sqlite": apsw.sqlite_lib_version(),
            **{name: version(name) for name in PACKAGES},
        },
    }


def fsync_p50_ms(folder: Path) -> float:
    """A write of one page and the fdatasync after it."""
    taken = []
    path = folder / "fsync"
    with path.open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            taken.append(time.perf_counter() - began)
    path.unlink()
    return statistics.median(taken) * 1_000


def _processor() -> str:
    """The model where Linux says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else "unknown"
