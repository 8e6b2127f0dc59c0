"""Run seeds for some minutes and write what came of it: `python -m tests.proof.sim MINUTES SEED RESULTS`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.proof.report import machine, versions
from tests.proof.sim.campaign import Campaign


def main(minutes: str, seed: str, results: str) -> int:
    campaign = Campaign(int(seed))
    campaign.run(seconds=60 * float(minutes))
    print(campaign.told() or f"{campaign.runs} seeds, no violation")
    record = {
        "test": "T30 simulation",
        "seed": int(seed),
        "bad": campaign.bad,
        **campaign.numbers,
        "machine": machine(),
        "versions": versions(),
    }
    path = Path(results)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2) + "\n")
    return 1 if campaign.bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
