"""The gate: tokens, the limit on wrong ones, and whose address counts."""

from __future__ import annotations

import pytest

from jobwire_server.auth import (
    FAILURES,
    HOPS,
    LOCKED_MS,
    Gate,
    TrustedProxies,
    hash_token,
    source_of,
)
from jobwire_server.clock import ManualClock

PEER = "192.0.2.1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def gate(clock: ManualClock) -> Gate:
    return Gate([hash_token("one"), hash_token("two")], clock, max_addresses=3)


def _code(gate: Gate, token: str | None, peer: str = PEER) -> str | None:
    refusal = gate.check(token, peer)
    return None if refusal is None else refusal.code


def _lock(gate: Gate, peer: str = PEER) -> None:
    for _ in range(FAILURES):
        assert _code(gate, "wrong", peer) == "UNAUTHORIZED"


def test_without_tokens_everyone_passes(clock: ManualClock) -> None:
    gate = Gate([], clock)

    assert not gate.enabled
    assert gate.check(None, PEER) is None
    assert gate.check("anything", PEER) is None


@pytest.mark.parametrize("token", ["one", "two"])
def test_each_token_passes(gate: Gate, token: str) -> None:
    assert gate.enabled
    assert _code(gate, token) is None


@pytest.mark.parametrize(
    "token", ["", "On", "ONE", "one ", " one", "onetwo", "é", "\udcff", "x" * 100_000]
)
def test_a_token_is_compared_as_a_whole(gate: Gate, token: str) -> None:
    assert _code(gate, token) == "UNAUTHORIZED"


def test_the_fifth_wrong_token_locks_the_address(gate: Gate, clock: ManualClock) -> None:
    _lock(gate)

    refusal = gate.check("one", PEER)

    assert refusal is not None
    assert (refusal.code, refusal.retry_after_ms) == ("RATE_LIMITED", LOCKED_MS)
    clock.advance(LOCKED_MS - 1)
    refusal = gate.check(None, PEER)
    assert refusal is not None
    assert (refusal.code, refusal.retry_after_ms) == ("RATE_LIMITED", 1)
    clock.advance(1)
    assert _code(gate, "one") is None


def test_the_lock_runs_from_the_last_failure(gate: Gate, clock: ManualClock) -> None:
    for _ in range(FAILURES):
        clock.advance(LOCKED_MS // FAILURES - 1)
        gate.check("wrong", PEER)

    clock.advance(LOCKED_MS - 1)

    assert _code(gate, "one") == "RATE_LIMITED"


def test_attempts_while_locked_do_not_prolong_the_lock(gate: Gate, clock: ManualClock) -> None:
    _lock(gate)
    for _ in range(10):
        clock.advance(LOCKED_MS // 10)
        gate.check("wrong", PEER)

    assert _code(gate, "one") is None


def test_failures_that_are_far_apart_do_not_lock(gate: Gate, clock: ManualClock) -> None:
    for _ in range(FAILURES * 4):
        assert _code(gate, "wrong") == "UNAUTHORIZED"
        clock.advance(LOCKED_MS // 4 + 1)


def test_five_failures_within_any_five_minutes_lock(gate: Gate, clock: ManualClock) -> None:
    """Also when an older failure, which no longer counts, came before them."""
    for pause in (LOCKED_MS - 1, 0, 0, 2, 0, 0):
        assert _code(gate, "wrong") == "UNAUTHORIZED"
        clock.advance(pause)

    assert _code(gate, "one") == "RATE_LIMITED"


def test_guesses_are_few_whatever_the_pace(gate: Gate, clock: ManualClock) -> None:
    """10 checks a minute and address is the bar; this is one a minute."""
    checked = 0
    for _ in range(36_000):
        checked += _code(gate, "wrong") == "UNAUTHORIZED"
        clock.advance(100)

    assert checked <= 12 * FAILURES


def test_a_good_token_clears_the_count(gate: Gate) -> None:
    for _ in range(3):
        for _ in range(FAILURES - 1):
            gate.check("wrong", PEER)
        assert _code(gate, "one") is None


def test_a_missing_token_is_no_failure(gate: Gate) -> None:
    for _ in range(FAILURES * 2):
        assert _code(gate, None) == "UNAUTHORIZED"

    assert _code(gate, "one") is None


def test_one_address_does_not_lock_another(gate: Gate) -> None:
    _lock(gate)

    assert _code(gate, "one", "192.0.2.2") is None


def test_the_table_of_addresses_is_bounded(gate: Gate) -> None:
    _lock(gate)
    for n in range(2, 5):
        gate.check("wrong", f"192.0.2.{n}")

    assert len(gate._failures) == 3
    assert _code(gate, "one") is None  # the oldest was forgotten


def test_the_gate_shows_no_hash(gate: Gate) -> None:
    assert repr(gate) == "Gate(2 tokens)"


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_what_counts_as_one_source(peer: str, source: str) -> None:
    assert source_of(peer) == source


def test_an_ipv6_host_cannot_escape_within_its_64(gate: Gate) -> None:
    for n in range(FAILURES):
        gate.check("wrong", f"2001:db8::{n}")

    assert _code(gate, "one", "2001:db8::ffff") == "RATE_LIMITED"
    assert _code(gate, "one", "2001:db8:0:1::") is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # not a proxy of ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        (
            "10.0.0.1",
            ["6.6.6.6, 198.51.100.1"],
            "198.51.100.1",
        ),  # the left one is the client's word
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # nothing but proxies
        ("10.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["<script>, \n"], "10.0.0.1"),
        ("fd00::1", ["198.51.100.1"], "198.51.100.1"),
        ("", ["198.51.100.1"], ""),
    ],
)
def test_whose_address_a_request_has(peer: str, forwarded: list[str], client: str) -> None:
    proxies = TrustedProxies(["10.0.0.0/8", "fd00::/8"])

    assert proxies.client_of(peer, forwarded) == client


def test_without_trusted_proxies_the_header_is_not_read() -> None:
    assert TrustedProxies([]).client_of("10.0.0.1", ["198.51.100.1"]) == "10.0.0.1"


def test_a_long_header_is_read_only_at_its_right_end() -> None:
    proxies = TrustedProxies(["10.0.0.0/8"])
    header = ["198.51.100.1, " + ", ".join(["10.0.0.2"] * HOPS)]

    assert proxies.client_of("10.0.0.1", header) == "10.0.0.2"


def test_a_bad_network_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="not appear to be an IPv4 or IPv6 network"):
        TrustedProxies(["10.0.0.0/8", "proxies"])
