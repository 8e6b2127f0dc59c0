"""Run one seed again and tell everything: `python -m tests.proof.sim.again SEED`."""

from __future__ import annotations

import json
import sys

from tests.proof.sim.run import simulate


def main(seed: str) -> int:
    result = simulate(seed)
    for number, line in enumerate(result.history.lines, 1):
        print(number, json.dumps(line))
    print(result.told() if result.violations else f"seed {seed}: no violation")
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
