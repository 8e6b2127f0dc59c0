"""Run seeds for some minutes and write what came of it: `python -m tests.proof.sim MINUTES SEED RESULTS`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.proof.report import publish, save_all
from tests.proof.sim.campaign import Campaign, figure_of


def main(minutes: str, seed: str, results: str) -> int:
    began, campaign = time.monotonic(), Campaign(int(seed))
    campaign.run(seconds=60 * float(minutes))
    print(campaign.told() or f"{campaign.runs} seeds, no violation")
    figure = publish(figure_of(campaign, time.monotonic() - began))
    save_all([figure], Path(results))
    return 1 if figure.bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
