"""The rows of backoff.json, computed with whole numbers that cannot overflow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from source import Spec

_TWO_53 = 2**53


def document(spec: Spec) -> dict[str, Any]:
    """backoff.json."""
    longest: int = spec.wire["limits"]["duration_ms"]
    hour: int = spec.wire["defaults"]["backoff_max_ms"]
    return {
        "about": (
            "The delay in ms after failure number n. u stands for the random number. Step 1 the schedule, else the strategy; step 2 min"
            " with backoff_max_ms; step 3 d - floor((d * jitter) * u) in IEEE doubles."
        ),
        "provenance": "JW-FAIL-3 and JW-FAIL-11 in spec/lifecycle.md; fixed, linear and exponential as RustQueue 0.3.0 runs them",
        "vectors": [
            *_strategies(longest),
            *_caps(hour, longest),
            *_overflows(longest),
            *_schedules(hour),
            *_jitters(hour),
        ],
    }


def delay_ms(row: dict[str, Any]) -> int:
    """The formula of lifecycle.md."""
    delay = min(_planned(row), row["backoff_max_ms"])
    return int(delay - math.floor(delay * row["jitter"] * row["u"]))


def _planned(row: dict[str, Any]) -> int:
    base, n, schedule = row["backoff_delay_ms"], row["n"], row["backoff_schedule_ms"]
    if schedule:
        return int(schedule[min(n, len(schedule)) - 1])
    factors = {"fixed": 1, "linear": n, "exponential": 2 ** (n - 1)}
    return int(base * factors[row["backoff"]])


def _row(name: str, backoff: str, n: int, **given: Any) -> dict[str, Any]:
    row = {
        "id": name,
        "backoff": backoff,
        "n": n,
        "backoff_delay_ms": 1000,
        "backoff_schedule_ms": [],
        "jitter": 0.0,
        "u": 0.0,
        **given,
    }
    return {**row, "delay_ms": delay_ms(row)}


def _strategies(longest: int) -> list[dict[str, Any]]:
    return [
        _row(f"{backoff}/n={n}", backoff, n, backoff_max_ms=longest)
        for backoff in ("fixed", "linear", "exponential")
        for n in (1, 2, 3, 4, 5, 10)
    ]


def _caps(hour: int, longest: int) -> list[dict[str, Any]]:
    return [
        _row("cap/below", "exponential", 12, backoff_max_ms=hour),
        _row("cap/above", "exponential", 13, backoff_max_ms=hour),
        _row("cap/equal", "fixed", 1, backoff_delay_ms=hour, backoff_max_ms=hour),
        _row("cap/linear", "linear", 5000, backoff_max_ms=hour),
        _row("cap/fixed", "fixed", 1, backoff_delay_ms=hour + 1, backoff_max_ms=hour),
        _row("cap/zero", "fixed", 1, backoff_max_ms=0),
        _row("cap/base 0", "exponential", 40, backoff_delay_ms=0, backoff_max_ms=longest),
    ]


def _overflows(longest: int) -> list[dict[str, Any]]:
    return [
        *(
            _row(f"overflow/exponential n={n}", "exponential", n, backoff_max_ms=longest)
            for n in (32, 33, 53, 54, 63, 64, 65, 310, 1100, 10_000)
        ),
        *(
            _row(
                f"overflow/{backoff} base 2^53",
                backoff,
                2,
                backoff_delay_ms=_TWO_53,
                backoff_max_ms=longest,
            )
            for backoff in ("fixed", "linear", "exponential")
        ),
        _row(
            "overflow/linear n=10000, longest base",
            "linear",
            10_000,
            backoff_delay_ms=longest,
            backoff_max_ms=longest,
        ),
        _row(
            "overflow/base 1, n=42 (last below the longest)",
            "exponential",
            42,
            backoff_delay_ms=1,
            backoff_max_ms=longest,
        ),
        _row(
            "overflow/base 1, n=43 (first above the longest)",
            "exponential",
            43,
            backoff_delay_ms=1,
            backoff_max_ms=longest,
        ),
    ]


def _schedules(hour: int) -> list[dict[str, Any]]:
    waits = [1000, 0, 60_000]
    rows = [
        _row(f"schedule/n={n}", "exponential", n, backoff_schedule_ms=waits, backoff_max_ms=hour)
        for n in (1, 2, 3, 4, 10_000)
    ]
    over = _row("schedule/capped", "fixed", 1, backoff_schedule_ms=[hour * 2], backoff_max_ms=hour)
    return [*rows, over]


def _jitters(hour: int) -> list[dict[str, Any]]:
    almost_one = 1 - 2**-53
    cases = [
        (0.5, 0.0),
        (0.5, 0.5),
        (0.5, 0.999),
        (1.0, 0.0),
        (1.0, 0.25),
        (1.0, almost_one),
        (0.1, 0.3),
        (0.0, almost_one),
        (0.3, 0.7),
    ]
    rows = [
        _row(f"jitter/{jitter}, u={u}", "exponential", 3, jitter=jitter, u=u, backoff_max_ms=hour)
        for jitter, u in cases
    ]
    after_cap = _row(
        "jitter/after the cap", "exponential", 60, jitter=0.5, u=0.5, backoff_max_ms=hour
    )
    odd = _row(
        "jitter/rounds the part down",
        "fixed",
        1,
        backoff_delay_ms=3,
        jitter=0.5,
        u=0.5,
        backoff_max_ms=hour,
    )
    return [*rows, after_cap, odd]
