"""
T39: how long a wrong token takes to refuse says nothing of how much of it was right.

Both groups are wrong tokens of one length: one shares all but the last character with a good token, the other nothing. They are timed one after
the other in a random order, many comparisons a sample, so that the machine's moods fall on both alike. Welch's t of the trimmed samples tells
them apart when |t| is over 4.5; the median over rounds is taken, so that one round in which the machine was busy decides nothing.
"""

from __future__ import annotations

import ast
import inspect
import math
import random
import statistics
import time
from collections.abc import Callable

import pytest
from tests.proof.knobs import SCALE, SEED
from tests.proof.report import Figure, publish

from jobwire_server import auth
from jobwire_server.auth import Gate, hash_token
from jobwire_server.clock import ManualClock

pytestmark = [pytest.mark.slow, pytest.mark.alone]

GOOD = "".join(random.Random(SEED).choices("0123456789abcdef", k=1024))  # the longest token
NEAR = GOOD[:-1] + ("0" if GOOD[-1] != "0" else "1")
FAR = "".join("0" if letter != "0" else "1" for letter in GOOD)
ROUNDS = 7
SAMPLES = max(120, round(400 * SCALE))  # of each group a round
COMPARISONS = 20  # a sample
TRIM = 0.1  # of the slowest samples of each group: when the machine did something else
LIMIT = 4.5

Compare = Callable[[str], object]


def _gate() -> Compare:
    """The product's comparison, without its lock-out, which would not compare at all."""
    gate = Gate([hash_token(GOOD), hash_token("another")], ManualClock())
    return gate._knows


def _naive(token: str) -> bool:
    """What a server would do that compares letter by letter and stops at the first that differs."""
    return all(mine == theirs for mine, theirs in zip(GOOD, token, strict=True))


def _sample(compare: Compare, token: str) -> int:
    began = time.perf_counter_ns()
    for _ in range(COMPARISONS):
        compare(token)
    return time.perf_counter_ns() - began


def _welch_t(near: list[int], far: list[int]) -> float:
    kept = [sorted(group)[: math.ceil(len(group) * (1 - TRIM))] for group in (near, far)]
    spread = sum(statistics.variance(group) / len(group) for group in kept)
    return (statistics.fmean(kept[0]) - statistics.fmean(kept[1])) / math.sqrt(spread)


def _round(compare: Compare, draw: random.Random) -> float:
    order = [NEAR, FAR] * SAMPLES
    draw.shuffle(order)
    taken: dict[str, list[int]] = {NEAR: [], FAR: []}
    for token in order:
        taken[token].append(_sample(compare, token))
    return _welch_t(taken[NEAR], taken[FAR])


def _median_t(compare: Compare) -> float:
    """The signed t of each round is taken, so that noise, which has no direction, cancels out and a leak does not."""
    draw = random.Random(SEED)
    return statistics.median(_round(compare, draw) for _ in range(ROUNDS))


def test_the_time_of_a_comparison_tells_nothing() -> None:
    began = time.monotonic()
    t, naive = _median_t(_gate()), _median_t(_naive)
    publish(
        Figure(
            test="T39",
            title="time of a token's comparison",
            promises=(),
            seed=SEED,
            what="comparisons",
            tries=ROUNDS * SAMPLES * 2 * COMPARISONS,
            bad=int(abs(t) >= LIMIT),
            bar=f"Welch's |t| < {LIMIT} between wrong tokens that share 1,023 letters and none with a good one",
            seconds=time.monotonic() - began,
            control=f"letter by letter: t={naive:.0f}",
            numbers={"welch_t": round(t, 2), "rounds": ROUNDS},
        )
    )
    assert abs(t) < LIMIT
    assert naive > LIMIT, "the harness does not see a comparison that stops at the first difference"


def test_a_token_is_compared_nowhere_but_by_its_digest() -> None:
    """Whatever the clock says: in auth.py the only comparison of secrets is compare_digest, over all hashes, of SHA-256 digests."""
    calls = [ast.unparse(node) for node in ast.walk(_source()) if isinstance(node, ast.Call)]
    compared = [
        ast.unparse(node)
        for node in ast.walk(_source())
        if isinstance(node, ast.Compare) and {"token", "digest", "expected"} & _names(node)
    ]

    assert "hmac.compare_digest(expected, digest)" in calls
    assert compared == ["token is None"]


def test_a_comparison_by_equality_would_be_seen() -> None:
    """The control of the one above."""
    planted = ast.parse("if token == expected: pass")
    [node] = [node for node in ast.walk(planted) if isinstance(node, ast.Compare)]

    assert {"token", "expected"} <= _names(node)


def _source() -> ast.Module:
    return ast.parse(inspect.getsource(auth))


def _names(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
