"""The golden data of spec/vectors/: complete, well formed, and right by a second opinion."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from jobwire_server.engine.transitions import ALREADY_SAME_LEASE, LEASED, TRANSITIONS
from jobwire_server.error_codes import ERROR_CODES
from jobwire_server.wire.requests import TYPES

VECTORS = Path(__file__).resolve().parents[3] / "spec" / "vectors"
FILES = ("backoff", "errors", "json_values", "malformed", "transcripts", "transitions")


def vectors(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))[
        "vectors"
    ]
    return rows


def bytes_of(row: dict[str, Any]) -> bytes:
    if "hex" in row:
        return bytes.fromhex(row["hex"])
    return b"".join(bytes.fromhex(text) * times for text, times in row["parts"])


def test_there_is_no_file_besides_those_that_are_made() -> None:
    assert {f"{name}.json" for name in FILES} == {file.name for file in VECTORS.iterdir()}


@pytest.mark.parametrize("name", FILES)
def test_a_file_says_what_it_is_and_where_it_comes_from(name: str) -> None:
    document = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))

    assert set(document) == {"about", "provenance", "vectors"}
    assert document["about"]
    assert document["provenance"]
    ids = [row["id"] for row in document["vectors"]]
    assert len(ids) == len(set(ids)) > 0


# --- transitions --------------------------------------------------------------------------------------------------


def test_transitions_has_every_operation_in_every_state() -> None:
    rows = {
        (row["operation"], row["state"]): row
        for row in vectors("transitions")
        if row["lease"] == "none"
    }

    assert set(TRANSITIONS) == set(rows)
    for cell, rule in TRANSITIONS.items():
        assert (rule.effect, sorted(rule.to), rule.error) == tuple(
            rows[cell][key] for key in ("effect", "to", "error")
        )


def test_transitions_refuses_a_stale_lease_in_every_state() -> None:
    rows = [row for row in vectors("transitions") if row["lease"] == "stale"]

    assert {cell for cell in TRANSITIONS if cell[0] in LEASED} == {
        (row["operation"], row["state"]) for row in rows
    }
    assert {("refuse", "LEASE_LOST")} == {(row["effect"], row["error"]) for row in rows}


def test_transitions_answers_already_only_to_the_call_that_ended_the_lease() -> None:
    settled = [row for row in vectors("transitions") if row["settled_by"] is not None]

    assert ALREADY_SAME_LEASE.items() <= {(row["operation"], row["settled_by"]) for row in settled}
    for row in settled:
        same = ALREADY_SAME_LEASE.get(row["operation"]) == row["settled_by"]
        assert ("already" if same else "refuse") == row["effect"], row["id"]


# --- backoff ------------------------------------------------------------------------------------------------------


def exact_delay(row: dict[str, Any]) -> int:
    """The formula with decimals, as a second opinion; the product of the jitter is of doubles by definition."""
    n, base = row["n"], Decimal(row["backoff_delay_ms"])
    planned = {"fixed": base, "linear": base * n, "exponential": base * Decimal(2) ** (n - 1)}[
        row["backoff"]
    ]
    if row["backoff_schedule_ms"]:
        planned = Decimal(row["backoff_schedule_ms"][min(n, len(row["backoff_schedule_ms"])) - 1])
    capped = int(min(planned, Decimal(row["backoff_max_ms"])))
    return capped - math.floor(float(capped) * row["jitter"] * row["u"])


@pytest.mark.parametrize("row", vectors("backoff"), ids=lambda row: row["id"])
def test_a_delay_is_that_of_the_formula(row: dict[str, Any]) -> None:
    assert exact_delay(row) == row["delay_ms"]
    assert 0 <= row["delay_ms"] <= row["backoff_max_ms"]


def test_backoff_has_the_rows_where_others_have_failed() -> None:
    rows = vectors("backoff")

    assert {"fixed", "linear", "exponential"} == {row["backoff"] for row in rows}
    assert any(row["n"] == 310 for row in rows), "2^310 is over a double"
    assert any(row["backoff_delay_ms"] == 2**53 for row in rows)
    assert any(row["backoff_schedule_ms"] for row in rows)
    assert any(row["jitter"] == 1 and row["u"] > 0.999 for row in rows)


# --- errors -------------------------------------------------------------------------------------------------------


def test_errors_has_every_code_of_the_server() -> None:
    rows = {row["code"]: row for row in vectors("errors") if row["doors"] != ["client"]}

    assert set(ERROR_CODES) == set(rows)
    for code, info in ERROR_CODES.items():
        row = rows[code]
        assert (info.status, info.category, info.retryable) == (
            row["statuses"][0],
            row["category"],
            row["retryable"],
        )


# --- JSON ---------------------------------------------------------------------------------------------------------


def strict(text: bytes) -> Any:
    """One strict JSON value by the standard library; ValueError or RecursionError otherwise."""

    def every_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    def finite(digits: str) -> float:
        if math.isinf(float(digits)):
            raise ValueError("out of range")
        return float(digits)

    def refuse(name: str) -> None:
        raise ValueError(name)

    value = json.loads(
        text.decode("utf-8"),
        object_pairs_hook=every_key_once,
        parse_float=finite,
        parse_int=Decimal,
        parse_constant=refuse,
    )
    json.dumps(value, ensure_ascii=False, default=str).encode("utf-8")  # fails on a lone surrogate
    return value


def depth(value: Any) -> int:
    inside = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    )
    return 0 if inside is None else 1 + max(map(depth, inside), default=0)


@pytest.mark.parametrize("row", vectors("json_values"), ids=lambda row: row["id"])
def test_a_value_is_strict_json_within_the_limits(row: dict[str, Any], spec: Any) -> None:
    assert depth(strict(row["text"].encode())) <= spec.wire["limits"]["json_depth"]


def test_values_has_the_ones_that_parsers_spoil() -> None:
    texts = {row["text"] for row in vectors("json_values")}

    assert {
        str(sign * 2**power + step)
        for power in (31, 53, 63)
        for step in (-1, 0, 1)
        for sign in (1, -1)
    } <= texts
    assert {"1", "1.0", "1e0", "-0.0", '{"":1}', "null"} <= texts
    assert any(len(text) == 400 and text.isdigit() for text in texts)


@pytest.mark.parametrize(
    "row",
    [row for row in vectors("malformed") if row["code"] == "PARSE_ERROR"],
    ids=lambda row: row["id"],
)
def test_what_cannot_be_parsed_is_not_strict_json(row: dict[str, Any], spec: Any) -> None:
    try:
        value = strict(bytes_of(row))
    except (ValueError, RecursionError):
        return
    # Well formed and refused all the same: the data alone nests too deep.
    assert depth(value["data"]) > spec.wire["limits"]["json_depth"]


@pytest.mark.parametrize(
    "row",
    [row for row in vectors("malformed") if row["code"] != "PARSE_ERROR" and bytes_of(row).strip()],
    ids=lambda row: row["id"],
)
def test_what_has_the_wrong_shape_is_strict_json(row: dict[str, Any]) -> None:
    strict(bytes_of(row))


def test_a_push_line_is_cut_after_each_of_its_bytes() -> None:
    cuts = [bytes_of(row) for row in vectors("malformed") if row["id"].startswith("tcp/truncated/")]
    longest = cuts[-1]

    assert [longest[:size] for size in range(1, len(longest) + 1)] == cuts
    assert strict(longest + b"}")["cmd"] == "push"


# --- transcripts --------------------------------------------------------------------------------------------------

MARKS = {"C:", "C~", "C.", "S:", "S*", "S.", "A:", "T:", "T."}
NO_JSON = {"C:", "C~", "S:"}  # marks of lines that a row may break on purpose


def test_transcripts_have_marked_lines_and_say_who_is_held_against_them() -> None:
    for row in vectors("transcripts"):
        assert set(row) == {"id", "provenance", "sides", "token", "lines"}
        assert set(row["sides"]) <= {"server", "client"}, row["id"]
        assert row["sides"], row["id"]
        assert {line[:2] for line in row["lines"]} <= MARKS, row["id"]


def test_transcripts_send_commands_and_answer_with_codes_that_there_are() -> None:
    strange = set()
    for row in vectors("transcripts"):
        for line in row["lines"]:
            mark, text = line[:2], line[3:]
            if mark in ("C.", "S.", "T.", "T:"):
                continue
            try:
                body = json.loads(text)
            except ValueError:
                assert mark in NO_JSON
                strange.add(text)
                continue
            if mark[0] == "S":
                error = body.get("error")
                assert error is None or error["code"] in {*ERROR_CODES, "PARTIAL_FAILURE"}
            elif isinstance(body, dict) and "cmd" in body:
                assert body["cmd"] in {*TYPES, "nope"}
    assert 0 < len(strange) < 6, strange


def test_transcripts_show_both_versions_and_each_kind_of_end() -> None:
    rows = vectors("transcripts")
    marks = {line[:2] for row in rows for line in row["lines"]}
    said = "\n".join(line for row in rows for line in row["lines"])

    assert marks == MARKS
    assert {row["id"][:3] for row in rows} == {"v1/", "v2/"}
    assert all(f'"notice":"{name}"' in said for name in ("job.cancel", "lease.lost", "goaway"))
    assert sum("client" in row["sides"] for row in rows) >= 15
    assert sum("server" in row["sides"] for row in rows) >= 30
