"""What both workers decide: the pure part, without threads, sockets or waiting."""

from __future__ import annotations

import math

import pytest

from jobwire import (
    Discard,
    HeartbeatBatchResult,
    ItemResult,
    Job,
    JobwireError,
    Release,
    RetryIn,
    TransportError,
    UnavailableError,
)
from jobwire._worker_core import (
    Ack,
    BlockDetector,
    Fail,
    GiveBack,
    Hearing,
    Link,
    Pacer,
    Raised,
    Returned,
    Slots,
    Stopped,
    batches_of,
    can_still_live,
    check_options,
    error_text,
    heartbeat_pause,
    judge,
    news_of,
    settlement_of,
    unknown_name,
)

JOB = Job(id="j1", lease="1-a", name="welcome")


def raised(error: BaseException) -> Raised:
    try:
        raise error
    except BaseException as exc:  # noqa: BLE001 - whatever it is, it is the handler's
        return Raised(exc)


# --- how a handler ended ----------------------------------------------------------------------------------------------


def test_a_returned_value_is_the_result_of_an_ack() -> None:
    assert settlement_of(JOB, Returned({"n": 1}), None) == Ack(job=JOB, result={"n": 1}, size=7)
    assert settlement_of(JOB, Returned(None), None) == Ack(job=JOB)


@pytest.mark.parametrize(
    ("value", "words"),
    [(object(), "cannot be kept"), (math.nan, "cannot be kept"), ("x" * 1_048_577, "bytes")],
)
def test_a_result_that_the_server_would_refuse_fails_the_job_alone(
    value: object, words: str
) -> None:
    settlement = settlement_of(JOB, Returned(value), None)

    assert isinstance(settlement, Fail)
    assert words in settlement.error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Discard("bad address"), Fail(job=JOB, error="bad address", discard=True)),
        (Discard(), Fail(job=JOB, error="discarded by the handler", discard=True)),
        (RetryIn(60, "rate limit"), Fail(job=JOB, error="rate limit", retry_in=60)),
        (Release(5), GiveBack(job=JOB, delay=5)),
    ],
)
def test_a_handler_can_say_how_its_job_goes_on(error: BaseException, expected: object) -> None:
    assert settlement_of(JOB, raised(error), None) == expected


def test_an_exception_fails_the_job_with_type_message_and_traceback() -> None:
    settlement = settlement_of(JOB, raised(ValueError("no such user")), None)

    assert isinstance(settlement, Fail)
    assert settlement.error.startswith("ValueError: no such user\n\n")
    assert "raise error" in settlement.error
    assert settlement.retry_in is None
    assert not settlement.discard


@pytest.mark.parametrize("ending", [Returned(1), raised(ValueError()), raised(Discard())])
def test_nothing_is_said_after_a_lost_lease(ending: Returned | Raised) -> None:
    assert settlement_of(JOB, ending, "lease_lost") is None


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("cancel", GiveBack(job=JOB)),
        ("shutdown", GiveBack(job=JOB)),
        ("timeout", Fail(job=JOB, error="job timed out")),
        ("lease_lost", None),
    ],
)
def test_a_stopped_handler_settles_as_the_reason_asks(reason: str, expected: object) -> None:
    by_check = settlement_of(JOB, raised(Stopped(reason)), reason)  # type: ignore[arg-type]
    by_task = settlement_of(JOB, Raised(KeyError(), was_cancelled=True), reason)  # type: ignore[arg-type]

    assert by_check == expected
    assert by_task == expected


def test_a_cancellation_that_nobody_asked_for_is_a_failure() -> None:
    settlement = settlement_of(JOB, Raised(KeyError(), was_cancelled=True), None)

    assert isinstance(settlement, Fail)
    assert "nobody" in settlement.error


def test_what_breaks_during_shutdown_burns_no_attempt() -> None:
    assert settlement_of(JOB, raised(OSError("gone")), "shutdown") == GiveBack(job=JOB)


def test_a_value_returned_after_a_cancel_is_still_an_ack() -> None:
    assert settlement_of(JOB, Returned(None), "cancel") == Ack(job=JOB)


def test_a_job_without_a_handler_fails_so_that_a_newer_worker_can_take_it() -> None:
    verdict = unknown_name(JOB, ["b", "a"])

    assert verdict.error == "no handler for 'welcome' on this worker; it has: a, b"
    assert not verdict.discard


def test_an_error_text_keeps_its_head_and_its_innermost_frames_within_the_limit() -> None:
    def deep(n: int) -> None:
        if n:
            deep(n - 1)
        raise RuntimeError("ü" * 20_000)

    try:
        deep(100)
    except RuntimeError as exc:
        text = error_text(exc)

    assert len(text.encode()) <= 10_240
    assert text.startswith("RuntimeError: üü")
    assert text.endswith('raise RuntimeError("ü" * 20_000)')


def test_an_exception_that_cannot_be_printed_still_fails_its_job() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise ValueError("no")

    assert "could not be read" in error_text(OddError())


# --- slots and pulls --------------------------------------------------------------------------------------------------


def test_slots_are_asked_for_before_and_held_after_a_pull() -> None:
    slots = Slots(3)

    assert slots.ask() == 3
    assert slots.ask() == 0
    slots.answered(3, 2)
    assert (slots.free, slots.held) == (1, 2)
    assert slots.ask() == 1
    slots.answered(1, 1)
    assert slots.free == 0
    slots.vacate()
    assert slots.free == 1


def test_more_jobs_than_slots_are_an_error_and_change_nothing() -> None:
    slots = Slots(2)
    slots.ask()

    with pytest.raises(ValueError, match="3 jobs"):
        slots.answered(2, 3)
    assert (slots.asked, slots.held) == (2, 0)
    with pytest.raises(ValueError, match="no slot"):
        slots.vacate()


def test_a_pull_is_as_large_as_the_wire_allows() -> None:
    assert Slots(5000).ask() == 1000


def test_a_server_that_holds_pulls_is_asked_again_at_once() -> None:
    pacer = Pacer()

    assert pacer.after(found=0, elapsed=20.0, wait=20.0, u=1.0) == 0.0
    assert pacer.after(found=0, elapsed=20.0, wait=20.0, u=1.0) == 0.0
    assert pacer.after(found=3, elapsed=0.0, wait=20.0, u=1.0) == 0.0


def test_early_empty_answers_are_asked_again_ever_more_slowly() -> None:
    pacer = Pacer()

    delays = [pacer.after(found=0, elapsed=0.0, wait=20.0, u=1.0) for _ in range(7)]

    assert delays == [0.0, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert pacer.after(found=1, elapsed=0.0, wait=20.0, u=1.0) == 0.0
    assert pacer.after(found=0, elapsed=0.0, wait=20.0, u=1.0) == 0.0


# --- the connection ---------------------------------------------------------------------------------------------------


def test_the_first_reconnect_is_at_once_and_the_others_grow_for_ever() -> None:
    link, lost = Link(), TransportError("CONNECTION_LOST")

    delays = []
    for _ in range(12):
        link.failed("fetch", 0.0)
        delays.append(link.delay("fetch", lost, 1.0))

    assert delays == [0.0, 0.1, 0.2, 0.4, 0.8, *[1.2] * 7]


def test_a_wish_of_the_server_is_waited_for() -> None:
    link = Link()
    link.failed("fetch", 0.0)

    assert link.delay("fetch", UnavailableError("OVERLOADED", retry_after=9.0), 0.0) == 9.0


def test_loss_and_recovery_are_told_once_over_all_channels() -> None:
    link = Link()

    assert link.failed("fetch", 10.0) is True
    assert link.failed("fetch", 11.0) is False
    assert link.failed("heartbeat", 12.0) is False
    assert link.answered("settle", 13.0) is None
    assert link.answered("fetch", 14.0) is None
    assert link.answered("heartbeat", 15.5) == 5.5
    assert link.answered("heartbeat", 16.0) is None
    assert link.failed("settle", 25.0) is True


def test_a_channel_that_hears_of_a_loss_late_does_not_tell_it_again() -> None:
    link = Link()
    link.failed("fetch", 10.0)
    link.answered("fetch", 10.1)

    assert link.failed("heartbeat", 10.2) is False
    assert link.answered("heartbeat", 10.3) is None
    assert link.failed("heartbeat", 10.4) is False
    assert link.failed("heartbeat", 10.5) is True  # twice in a row: this is a loss of its own


# --- settling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("LEASE_LOST", "gone"),
        ("JOB_NOT_FOUND", "gone"),
        ("INVALID_STATE", "gone"),
        ("STORAGE_UNAVAILABLE", "again"),
        ("CONNECTION_LOST", "again"),
        ("TIMEOUT", "again"),
        ("VALIDATION_ERROR", "refused"),
    ],
)
def test_each_error_of_an_item_has_its_consequence(code: str, verdict: str) -> None:
    error = JobwireError(code)

    assert judge(ItemResult(id="j", ok=False, error=error)) == verdict


def test_batches_hold_one_kind_each_and_keep_to_the_limits() -> None:
    acks = [Ack(job=JOB) for _ in range(1001)]
    big = [Ack(job=JOB, result="x", size=1_048_576) for _ in range(4)]
    fails = [Fail(job=JOB, error="no")]

    batches = batches_of([*acks, *fails, *big, GiveBack(job=JOB)])

    assert [(batch.kind.__name__, len(batch.items)) for batch in batches] == [
        ("Ack", 1000),
        ("Ack", 4),
        ("Fail", 1),
        ("Ack", 1),
        ("GiveBack", 1),
    ]


def test_a_lease_may_outlive_its_end_while_the_server_is_out_of_reach() -> None:
    assert can_still_live(now=9.0, expires_at=10.0, last_contact=8.0)
    assert can_still_live(now=60.0, expires_at=10.0, last_contact=9.0)
    assert not can_still_live(now=60.0, expires_at=10.0, last_contact=11.0)


# --- heartbeats -------------------------------------------------------------------------------------------------------


def test_news_counts_lost_leases_only_where_the_heartbeat_asked() -> None:
    gone = ItemResult(id="a", ok=False, error=JobwireError("LEASE_LOST"))
    told = ItemResult(id="b", ok=True, cancelled=True)
    answer = HeartbeatBatchResult(
        results=(gone, told), lost=("a", "older"), cancelled=("c",), deaf=True
    )

    news = news_of(answer, ["a", "b"])

    assert news.lost == {"a"}
    assert news.cancelled == {"b", "c"}
    assert news.deaf
    assert news.is_news


def test_a_renewed_lease_is_no_news() -> None:
    news = news_of(HeartbeatBatchResult(results=(ItemResult(id="a", ok=True),)), ["a"])

    assert not news.is_news


@pytest.mark.parametrize(
    ("elapsed", "held", "is_news", "expected"),
    [
        (10.0, True, False, 0.0),  # the server held it for the whole interval: ask again at once
        (3.0, True, True, 0.0),
        (0.0, True, True, 0.5),  # news again and again must not become a busy loop
        (0.1, True, False, 0.4),  # a server that does not hold
        (0.0, False, False, 10.0),
        (12.0, False, False, 0.0),
    ],
)
def test_the_next_heartbeat(elapsed: float, held: bool, is_news: bool, expected: float) -> None:
    pause = heartbeat_pause(elapsed=elapsed, held=held, interval=10.0, is_news=is_news)

    assert pause == pytest.approx(expected)


def test_a_deaf_worker_rebuilds_at_once_and_then_once_an_interval() -> None:
    hearing = Hearing(10.0)

    assert hearing.must_rebuild(deaf=True, free=1, now=0.0)
    assert not hearing.must_rebuild(deaf=True, free=1, now=9.0)
    assert hearing.must_rebuild(deaf=True, free=1, now=10.0)
    assert not hearing.must_rebuild(deaf=False, free=1, now=30.0)
    assert not hearing.must_rebuild(deaf=True, free=0, now=30.0)


# --- a blocked event loop ---------------------------------------------------------------------------------------------


def test_a_block_is_told_once() -> None:
    detector = BlockDetector(1.0)

    said = [detector.check(t) for t in (0.0, 0.5, 1.0, 1.5, 9.0)]
    detector.answered()

    assert said == ["ask", "wait", "blocked", "wait", "wait"]
    assert [detector.check(t) for t in (10.0, 10.5, 11.0)] == ["ask", "wait", "blocked"]


# --- options ----------------------------------------------------------------------------------------------------------


def options(**changes: object) -> object:
    values: dict[str, object] = {
        "queues": ["a", "b"],
        "concurrency": 8,
        "lease": 30.0,
        "wait": 20.0,
        "weights": None,
        "names": None,
        "heartbeat": None,
        "grace": 30.0,
        "worker_id": "w",
        "block_warning": 1.0,
    }
    return check_options(**{**values, **changes})  # type: ignore[arg-type]


def test_a_heartbeat_is_a_third_of_the_lease() -> None:
    assert options().heartbeat == 10.0  # type: ignore[attr-defined]


def test_the_server_may_be_silent_for_a_heartbeat_or_a_second() -> None:
    assert options().silence == 10.0  # type: ignore[attr-defined]
    assert options(heartbeat=0.2).silence == 1.0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"queues": []}, "queues"),
        ({"concurrency": 0}, "concurrency"),
        ({"lease": 0.5}, "lease"),
        ({"wait": 61.0}, "wait"),
        ({"heartbeat": 30.0}, "heartbeat"),
        ({"grace": -1.0}, "grace"),
        ({"weights": [1]}, "weights"),
        ({"worker_id": ""}, "worker_id"),
        ({"block_warning": 0.0}, "block_warning"),
    ],
)
def test_wrong_options_are_refused_with_what_was_expected_and_what_came(
    change: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        options(**change)
