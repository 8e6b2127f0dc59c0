"""One line and one record a proof: what was tried how often, what went wrong (0), and the bound that this shows (guarantees §4).

Each proof calls `publish` once it has its numbers. The line is printed; with PROOF_FIGURES=folder in the environment the record is kept there as
`<test>.json`, which is how `docs/results` and the tables of `docs/guarantees.md` come about.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import apsw

import jobwire_server

Number = int | float | str
RULE_OF_THREE = 3  # no failure in n tries: at most 3/n of all tries fail, at 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What one proof came to. `tries` counts `what`; `bad` is how many of them broke the promise."""

    test: str  # T1 … T50; a variant is told apart by a suffix: "T2-normal"
    title: str  # in a few words, for the page
    promises: tuple[str, ...]  # C1 … C12; empty where a test guards none of them
    seed: int
    what: str  # the unit of a try, in the plural: "kills", "cut positions", "stale calls"
    tries: int
    bad: int
    bar: str  # what is allowed, in words: "lost 0, recovery ≤ 3 s"
    seconds: float
    control: str = ""  # what was broken on purpose, and what the harness then saw
    numbers: dict[str, Number] = field(default_factory=dict)  # anything else worth a reader's time

    @property
    def bound(self) -> float:
        """The share of tries that may still go wrong, at 95 %; 1 where something did."""
        return 1.0 if self.bad else min(1.0, RULE_OF_THREE / max(1, self.tries))

    @property
    def line(self) -> str:
        numbers = " ".join(f"{name}={value}" for name, value in self.numbers.items())
        control = f" control: {self.control}" if self.control else ""
        return (
            f"{self.test} {self.title}: seed={self.seed} {self.what}={self.tries} bad={self.bad} (≤ {self.bound:.1e} at 95 %) "
            f"{numbers} wall={self.seconds:.1f}s {versions()}{control}"
        )


def publish(figure: Figure) -> Figure:
    """Print the line, and keep the record where PROOF_FIGURES says; answers the figure, so that a test can go on with it."""
    print(figure.line, flush=True)
    folder = os.environ.get("PROOF_FIGURES")
    if folder:
        save(figure, Path(folder))
    return figure


def save(figure: Figure, folder: Path) -> Path:
    """Keep the record of one test."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{figure.test}.json"
    path.write_text(_as_text(record_of(figure)))
    return path


def save_all(figures: Sequence[Figure], path: Path) -> None:
    """Keep the records of a campaign, as the list that page.py reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_as_text([record_of(figure) for figure in figures]))
    print(f"wrote {path}")


def _as_text(records: object) -> str:
    return json.dumps(records, indent=2, ensure_ascii=False) + "\n"


def record_of(figure: Figure) -> dict[str, object]:
    """With the machine and the versions that it was measured on; the stores were where temporary files are."""
    return {
        **asdict(figure),
        "bound_95": figure.bound,
        "proof": _proof(),
        "date": datetime.now(UTC).date().isoformat(),
        "versions": versions(),
        "machine": machine(),
        "fsync_p50_ms": round(fsync_p50_ms(Path(tempfile.gettempdir())), 3),
    }


def _proof() -> str:
    """The test that runs, as pytest names it; without one, the module that was started."""
    running = os.environ.get("PYTEST_CURRENT_TEST")
    if running is not None:
        return running.partition(" ")[0].partition("[")[0]
    spec = sys.modules["__main__"].__spec__
    return "" if spec is None else f"python -m {spec.name}"


def p99(values: Iterable[float]) -> float:
    """The value that 99 of 100 do not exceed."""
    ordered = sorted(values)
    return ordered[round(0.99 * (len(ordered) - 1))]


def versions() -> str:
    return (
        f"jobwire={jobwire_server.__version__} python={platform.python_version()} "
        f"sqlite={apsw.sqlite_lib_version()}"
    )


def machine() -> str:
    return f"{os.cpu_count()} processors, {platform.system()} {platform.machine()}"


def fsync_p50_ms(folder: Path, times: int = 50) -> float:
    """What one small write and its fdatasync cost in this folder."""
    took = []
    with tempfile.NamedTemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(times):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1_000)
    return statistics.median(took)
