"""T9: a steady load with kills loses nothing and makes nothing grow; a series that grows is caught (guarantees C1, C9).

The long run is `python -m tests.proof.crash.soak MINUTES SEED RESULTS`; PROOF_SEED and PROOF_SCALE choose another short one.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from tests.proof.crash.soak import Shape, run
from tests.proof.crash.soak_samples import (
    MIB,
    Sample,
    Series,
    growths,
    is_bounded,
    is_flat,
    leaks,
    slope,
)
from tests.proof.knobs import SCALE, SEED
from tests.proof.report import publish

SHAPE = Shape(
    window=4.5,
    killed_windows=max(1, round(2 * SCALE)),
    quiet_windows=max(1, round(SCALE)),
    warm_up=2,
    every=0.2,
    kept=2,
)
LEAST_RATE = 50  # jobs a second, on a machine that others load too
HOUR = 3_600


def resident(leak_per_hour: float, seconds: int, every: int = 1) -> Series:
    """The memory of a process of 60 MiB whose allocator takes and gives 2 MiB at random, and that leaks."""
    chance = random.Random(SEED)
    noise = [chance.uniform(0, 2 * MIB) for _ in range(0, seconds, every)]
    return [
        (at, 60 * MIB + leak_per_hour * at / HOUR + noise[at // every])
        for at in range(0, seconds, every)
    ]


@pytest.mark.acceptance
@pytest.mark.timeout(120 + 60 * SCALE)
def test_a_soak_loses_nothing_and_nothing_grows(tmp_path: Path) -> None:
    figure = run(tmp_path, seed=SEED, shape=SHAPE)

    caught = leaks(resident(2 * 6 * MIB, HOUR))
    publish(replace(figure, control=f"a leak of 12 MiB/h was {'caught' if caught else 'missed'}"))
    told = f"PROOF_SEED={SEED} PROOF_SCALE={SCALE}; kept in {tmp_path}\n{figure.line}"
    assert figure.bad == 0, told
    assert figure.numbers["jobs_per_s"] >= LEAST_RATE, told
    assert figure.numbers["lives_watched"] > 0, told
    assert figure.numbers["kills"] == SHAPE.killed_windows, told


@pytest.mark.parametrize(("per_hour", "seconds"), [(6 * MIB, HOUR), (400 * MIB, 60)])
def test_a_leak_is_caught(per_hour: float, seconds: int) -> None:
    series = resident(per_hour, seconds)

    assert leaks(series)
    assert slope(series) * HOUR == pytest.approx(per_hour, rel=0.2)


@pytest.mark.parametrize(("per_hour", "seconds"), [(0, HOUR), (0, 60), (MIB / 2, 2 * HOUR)])
def test_noise_is_no_leak(per_hour: float, seconds: int) -> None:
    assert not leaks(resident(per_hour, seconds))


def test_what_fills_a_cache_is_no_leak_and_what_goes_on_after_it_is() -> None:
    filling = [sample(n, rss=60 * MIB + min(n, 300) * MIB // 5) for n in range(600)]
    leaking = [sample(n, rss=60 * MIB + n * MIB // 5) for n in range(900)]

    assert growths(filling, warm_up_s=5) == []
    assert growths(leaking, warm_up_s=5) == ["the memory of process 1 grows"]


def test_descriptors_that_grow_are_caught() -> None:
    assert is_flat([20, 21, 20, 22, 20, 20, 21, 20, 22])
    assert not is_flat(list(range(20, 60)))


def test_a_file_that_grows_is_caught() -> None:
    full = [30.0 * MIB] * 100

    assert is_bounded(full)
    assert not is_bounded([size + 0.2 * at * MIB for at, size in enumerate(full)])


def sample(second: int, **changes: int) -> Sample:
    steady = {"rss": 60 * MIB, "fds": 20, "threads": 5, "file_bytes": MIB, "wal_bytes": MIB}
    return Sample(life=1, age=second, at=second, **{**steady, **changes})


def test_growth_of_anything_is_told() -> None:
    steady = [sample(second) for second in range(100)]
    growing = [
        sample(n, rss=n * MIB, fds=n, threads=n, file_bytes=n * MIB, wal_bytes=n * MIB)
        for n in range(200)
    ]

    assert growths(steady, warm_up_s=5) == []
    assert [told.split()[1] for told in growths(growing, warm_up_s=5)] == [
        "memory", "descriptors", "threads", "file", "WAL",
    ]  # fmt: skip
