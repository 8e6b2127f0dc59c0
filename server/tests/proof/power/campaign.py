"""Power cuts, failing calls and damaged bytes for some minutes: `python -m tests.proof.power.campaign MINUTES SEED RESULTS`.

Two thirds of the time go to power cuts (T2), a quarter to failing calls (T3; every n of every kind, shuffled, as far as the time goes)
and the rest to damage (T5). RESULTS gets a list of the records of the figures. The folder of a round that broke a promise is kept.
"""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.proof.power.cutting import Outcome as Cuts
from tests.proof.power.cutting import cut_often
from tests.proof.power.damage import GONE, NAME, PAYLOAD, WAL, damage_often, filled
from tests.proof.power.damage import Outcome as Damages
from tests.proof.power.figures_of_power import (
    figure_of_cuts,
    figure_of_damages,
    figure_of_trials,
)
from tests.proof.power.io_faults import VARIANTS, Trial, calls_of, try_fault
from tests.proof.power.launching import Launcher, build, shimmed
from tests.proof.power.recording import record
from tests.proof.report import Figure, publish, save_all

CUT_SHARE, FAULT_SHARE, DAMAGE_SHARE = 0.65, 0.25, 0.1
RUN_S = 6.0
CUTS_A_RUN = 600
SERVED_EVERY = 100
CHECKPOINT_PAGES = (60, 150, 1_000, 4_000)
CONTROLS = ("normal", "off")
CONTROL_CUTS = 150
PLACES_A_ROUND = 250


class Campaign:
    """One run of all three, in a folder of its own."""

    def __init__(self, launcher: Launcher, seed: int) -> None:
        self._launcher = launcher
        self._seed = seed

    # ── T2 ──

    def power_cuts(self, seconds: float) -> Figure:
        controls = {mode: self._cuts(self._seed, CONTROL_CUTS, mode) for mode in CONTROLS}
        done, ends = Cuts(), time.monotonic() + seconds
        while time.monotonic() < ends:
            done.add(self._cuts(self._seed + done.cuts // CUTS_A_RUN, CUTS_A_RUN))
        return figure_of_cuts(done, controls, self._seed)

    def _cuts(self, seed: int, cuts: int, synchronous: str = "full") -> Cuts:
        pages = random.Random(seed).choice(CHECKPOINT_PAGES)
        with round_folder(f"power-{synchronous}-{seed}") as (folder, keep):
            recorded = record(
                folder,
                self._launcher,
                seed=seed,
                seconds=RUN_S,
                synchronous=synchronous,
                checkpoint_pages=pages,
            )
            outcome = cut_often(
                recorded,
                folder / "cut",
                self._launcher,
                seed=seed,
                cuts=cuts,
                served_every=SERVED_EVERY,
            )
            if outcome.bad and synchronous == "full":
                keep.extend(outcome.examples)
        print(f"T2 {synchronous} seed {seed}: {outcome}", flush=True)
        return outcome

    # ── T3 ──

    def failing_calls(self, seconds: float) -> Figure:
        began, trials = time.monotonic(), list[Trial]()
        for what, name, n in self._all_faults():
            if time.monotonic() - began > seconds:
                break
            fault_at, _ = VARIANTS[name]
            with round_folder(f"fault-{n}") as (folder, keep):
                trials.append(try_fault(folder / "store", self._launcher, what, fault_at(n)))
                keep.extend(trials[-1].complaints())
        return figure_of_trials(trials, self._seed, time.monotonic() - began)

    def _all_faults(self) -> list[tuple[str, str, int]]:
        with round_folder("clean") as (folder, _):
            made = {
                kinds: calls_of(folder / str(kinds), self._launcher, kinds)
                for kinds in {kinds for _, kinds in VARIANTS.values()}
            }
        found = [
            (f"{name} {n}", name, n)
            for name, (_, kinds) in VARIANTS.items()
            for n in range(1, made[kinds] + 1)
        ]
        print(f"T3: {len(found)} faults there are", flush=True)
        random.Random(self._seed).shuffle(found)
        return found

    # ── T5 ──

    async def damages(self, seconds: float) -> Figure:
        began, done = time.monotonic(), list[Damages]()
        while time.monotonic() - began < seconds:
            seed, file = self._seed + len(done), (NAME, NAME, WAL)[len(done) % 3]
            with round_folder(f"damage-{seed}") as (folder, keep):
                store = await filled(folder / "store", in_wal=file == WAL)
                outcome = await damage_often(
                    store, file, folder / "damaged", number=PLACES_A_ROUND, seed=seed
                )
                keep.extend(
                    outcome.examples[what] for what in (PAYLOAD, GONE) if outcome.seen[what]
                )
            done.append(outcome)
        return figure_of_damages(done, self._seed, time.monotonic() - began)


@contextmanager
def round_folder(name: str) -> Iterator[tuple[Path, list[str]]]:
    """A folder and a list; it is removed unless something was put into the list, which is printed then."""
    folder, keep = Path(tempfile.mkdtemp(prefix=f"proof-{name}-")), list[str]()
    yield folder, keep
    if keep:
        print(f"kept {folder}", *keep, sep="\n", flush=True)
    else:
        shutil.rmtree(folder)


def main(minutes: str, seed: str, results: str) -> int:
    logging.disable(logging.CRITICAL)  # each refused file is a line
    seconds = 60 * float(minutes)
    with tempfile.TemporaryDirectory() as folder, shimmed(build(Path(folder))) as launcher:
        campaign = Campaign(launcher, int(seed))
        figures = [
            campaign.power_cuts(CUT_SHARE * seconds),
            campaign.failing_calls(FAULT_SHARE * seconds),
            asyncio.run(campaign.damages(DAMAGE_SHARE * seconds)),
        ]
    save_all([publish(figure) for figure in figures], Path(results))
    return 1 if any(figure.bad for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
