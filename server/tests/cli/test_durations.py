from __future__ import annotations

import pytest

from jobwire_server.cli import durations
from jobwire_server.cli.exits import CliError


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("0", 0),
        ("0s", 0),
        ("1ms", 1),
        ("500ms", 500),
        ("30s", 30_000),
        ("1.5s", 1_500),
        ("0.001s", 1),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("7d", 604_800_000),
        ("36525d", 3_155_760_000_000),
    ],
)
def test_a_duration_is_a_number_with_its_unit(text: str, ms: int) -> None:
    assert durations.parse(text) == ms


@pytest.mark.parametrize(
    "text", ["", "30", "1", "s", "-1s", "1 s", "1w", "1s?", "1.2.3s", "1e3s", "٣s?", "1S"]
)
def test_anything_else_is_refused_with_examples(text: str) -> None:
    with pytest.raises(CliError) as error:
        durations.parse(text)

    assert error.value.exit_code == 2
    assert "500ms, 30s" in error.value.fix


@pytest.mark.parametrize("text", ["0.5ms", "0.0001s", "36525d1ms", "99999999999999d"])
def test_what_the_wire_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(CliError, match="not a duration of this wire"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0"),
        (1, "1ms"),
        (30_000, "30s"),
        (90_000, "1m30s"),
        (5_400_000, "1h30m"),
        (86_400_001, "1d"),
        (-1_500, "-1s500ms"),
    ],
)
def test_a_duration_is_shown_in_two_units_at_most(ms: int, text: str) -> None:
    assert durations.show(ms) == text
