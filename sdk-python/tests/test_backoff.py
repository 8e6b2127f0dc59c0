"""Delays and budgets, as arithmetic."""

from __future__ import annotations

from typing import Literal

import pytest

from jobwire._backoff import RetryPolicy, RetryState, delay, reconnect_delay
from jobwire._errors import JobwireError, error_for


def waits(
    code: str,
    *,
    count: int = 8,
    u: float = 0.999,
    policy: RetryPolicy | None = None,
    retry_class: Literal["safe", "with_id", "never"] = "safe",
    retry_after: float | None = None,
) -> list[float]:
    """The waits before each repeat of a call that goes on failing with *code*, at no time at all a try."""
    state = RetryState(policy or RetryPolicy(), retry_class)
    now, found = 100.0, []
    for _ in range(count):
        wait = state.after(error_for(code, retry_after=retry_after), now=now, u=u)
        if wait is None:
            return found
        found.append(round(wait, 3))
        now += wait
    return found


def test_the_delay_doubles_up_to_its_cap() -> None:
    assert [delay(attempt, 1.0) for attempt in range(8)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2, 2, 2]


def test_jitter_takes_the_whole_range() -> None:
    assert delay(2, 0.0) == 0.0
    assert delay(2, 0.5) == pytest.approx(0.2)


def test_a_huge_attempt_does_not_overflow() -> None:
    assert delay(100_000, 1.0) == 2.0


def test_the_first_reconnect_is_made_at_once() -> None:
    assert [reconnect_delay(attempt, 1.0) for attempt in range(4)] == [0, 0.1, 0.2, 0.4]


def test_a_lost_connection_is_tried_again_at_once_and_then_with_jitter() -> None:
    assert waits("CONNECTION_LOST", u=0.5) == [0, 0.05, 0.1, 0.2, 0.4]


def test_a_busy_server_is_not_asked_again_at_once() -> None:
    assert waits("OVERLOADED", u=0.5) == [0.05, 0.1, 0.2, 0.4, 0.8]


def test_a_connection_that_cannot_be_made_is_tried_until_the_budget_is_used_up() -> None:
    found = waits("CONNECTION_FAILED", count=100, policy=RetryPolicy(retries=1, budget=12))

    assert len(found) > 6
    assert sum(found) <= 12


def test_no_repeat_starts_after_the_budget() -> None:
    state = RetryState(RetryPolicy(budget=10), "safe")

    assert state.after(error_for("TIMEOUT"), now=0.0, u=0.5) == 0
    assert state.after(error_for("TIMEOUT"), now=9.9, u=0.5) is not None
    assert state.after(error_for("TIMEOUT"), now=10.1, u=0.5) is None


def test_the_servers_wish_is_honoured_when_it_is_longer() -> None:
    assert waits("OVERLOADED", count=2, u=0.5, retry_after=3.0) == [3.0, 3.0]


def test_a_wish_beyond_the_budget_ends_the_call_at_once() -> None:
    assert waits("RATE_LIMITED", retry_after=31.0) == []


def test_no_retries_means_none() -> None:
    assert waits("CONNECTION_FAILED", policy=RetryPolicy(retries=0)) == []


@pytest.mark.parametrize(
    "code", ["VALIDATION_ERROR", "JOB_NOT_FOUND", "UNAUTHORIZED", "CLIENT_CLOSED"]
)
def test_what_cannot_help_is_not_repeated(code: str) -> None:
    assert waits(code) == []


@pytest.mark.parametrize(
    ("code", "repeats"),
    [
        ("CONNECTION_LOST", 0),
        ("TIMEOUT", 0),
        ("INTERNAL_ERROR", 0),
        ("STORAGE_UNAVAILABLE", 0),
        ("OVERLOADED", 5),
        ("SHUTTING_DOWN", 5),
    ],
)
def test_what_must_not_happen_twice_is_repeated_only_when_nothing_was_done(
    code: str, repeats: int
) -> None:
    assert len(waits(code, retry_class="never")) == repeats


def test_the_servers_word_on_retryable_wins() -> None:
    state = RetryState(RetryPolicy(), "safe")
    error = JobwireError("A_NEW_CODE", retryable=True)

    assert state.after(error, now=0.0, u=0.5) is not None
