"""The golden vectors tell a value from its neighbours, so that an SDK that loses one is found out."""

from __future__ import annotations

import pytest

from conformance.runner.sdk_vectors import Vector, differences, vectors

BOTH = {"bigint", "float"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9007199254740993", 9007199254740992),
        ("1.0", 1),
        ("1", 1.0),
        ("1", True),
        ('"1"', 1),
        ("-0.0", 0.0),
    ],
)
def test_a_value_that_was_changed_on_its_way_is_not_the_value(text: str, found: object) -> None:
    assert differences(Vector(id="x", text=text, exact=True), found, BOTH)


def test_where_a_language_cannot_keep_it_the_nearest_double_is_as_good() -> None:
    big = Vector(id="x", text="9007199254740993", exact=False)

    whole = Vector(id="x", text="1.0", exact=False)

    assert not differences(big, 9007199254740992.0, {"float"})
    assert differences(big, 9007199254740992.0, {"bigint"})
    assert differences(big, 9007199254740000.0, {"float"})
    assert differences(big, "9007199254740993", {"float"})
    assert not differences(whole, 1, {"bigint"})
    assert differences(whole, 1, {"float"})
    assert differences(whole, 2, {"bigint"})


def test_every_vector_is_its_own_value() -> None:
    assert len(vectors()) >= 70
    for vector in vectors():
        assert not differences(vector, vector.value, BOTH), vector.id
