"""Which run: PROOF_SEED, and PROOF_SCALE, by which the number of tries is multiplied."""

from __future__ import annotations

import os
from typing import Final

SEED: Final = int(os.environ.get("PROOF_SEED", "20261122"))
SCALE: Final = float(os.environ.get("PROOF_SCALE", "1"))
# Bounds of time are published at scale 1, where nothing else runs; a smaller run may be on a machine that is starved at moments.
SLACK: Final = 1.0 if SCALE >= 1 else 3.0
AGAIN: Final = f"again: PROOF_SEED={SEED} PROOF_SCALE={SCALE:g}"


def scaled(number: int) -> int:
    return max(1, round(number * SCALE))


def patience(seconds: float) -> float:
    """The time limit of a test that takes `seconds` at scale 1, with much to spare."""
    return 60 + 10 * seconds * max(1.0, SCALE)
