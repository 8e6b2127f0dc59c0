"""JSON out: nothing a server would refuse. JSON in: nothing lost."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from jobwire._errors import ValidationError
from jobwire._strict_json import JobObject, dumps, loads, loads_answer, raw_member

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "spec" / "vectors" / "json_values.json").read_text(
        encoding="utf-8"
    )
)["vectors"]


@dataclasses.dataclass
class Mail:
    to: str


class Model:
    """Shaped like a pydantic model."""

    def model_dump(self, *, mode: str) -> dict[str, str]:
        return {"mode": mode}


def nested(depth: int) -> Any:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_json_is_compact_utf8() -> None:
    assert dumps({"a": [1, "ä"], "b": None}) == '{"a":[1,"ä"],"b":null}'.encode()


def test_dataclasses_and_models_are_written_as_objects() -> None:
    assert dumps([Mail("x"), Model()]) == b'[{"to":"x"},{"mode":"json"}]'


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        {"a": [-float("inf")]},
        object(),
        {1, 2},
        b"x",
        "\ud800",
        nested(100_000),
    ],
    ids=["nan", "inf", "-inf", "object", "set", "bytes", "surrogate", "depth"],
)
def test_what_is_not_json_is_refused_before_sending(value: object) -> None:
    with pytest.raises(ValidationError):
        dumps(value)


def test_a_refusal_does_not_show_the_payload() -> None:
    with pytest.raises(ValidationError) as caught:
        dumps({"secret-payload": "\ud800"})

    assert "secret-payload" not in str(caught.value)


def test_a_cycle_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(ValidationError):
        dumps(value)


@pytest.mark.parametrize("text", ["NaN", '{"a":Infinity}', "[" * 100_000, "", "{} {}", '{"a":1'])
def test_what_is_not_json_is_not_read(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)


ANSWERS = [
    '{"ok":true,"job":{"id":"a","data":{"x":1.10}}}',
    ' { "ok" : true , "jobs" : [ {"id":"a"} , {"id":"b","data":[1,2]} ] , "next_cursor":null } ',
    '{"ok":true,"jobs":[]}',
    '{"ok":true,"jobs":null,"job":null}',
    '{"job":{"id":"\\u00e4\\"]}"},"a":"x","jobs":[1,"two",[3]]}',
    '{"ok":true,"name":"job"}',
    "{}",
    '[{"job":1}]',
]


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_reads_like_any_json(text: str) -> None:
    assert loads_answer(text) == json.loads(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_half_an_answer_is_refused_wherever_it_ends(text: str) -> None:
    for end in range(len(text.rstrip())):
        with pytest.raises(ValueError):
            loads_answer(text[:end])


@pytest.mark.parametrize(
    "text",
    ['{"job":{}}x', '{"job":{},}', '{"job" {}}', '{"jobs":[{},]}', '{"jobs":[{}}', '{"job":NaN}'],
)
def test_a_malformed_answer_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        loads_answer(text)


def test_jobs_keep_their_own_text() -> None:
    answer = loads_answer('{"ok":true,"jobs":[{"id":"a","n":1.0}, {"id":"b"}]}')

    assert [job.text for job in answer["jobs"]] == ['{"id":"a","n":1.0}', '{"id":"b"}']
    assert all(isinstance(job, JobObject) for job in answer["jobs"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"data":{"b":1.0,"a":1e2}}', '{"b":1.0,"a":1e2}'),
        ('{"result":{"data":1},"data" : [1, 2] ,"x":1}', "[1, 2]"),
        ('{"x":"data","data":"a\\nb"}', '"a\\nb"'),
        ('{"d\\u0061ta":7}', "7"),
        ('{"x":1}', None),
        ("{}", None),
    ],
)
def test_a_members_text_is_found(text: str, expected: str | None) -> None:
    assert raw_member(text, "data") == expected


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_every_value_of_the_specification_survives(vector: dict[str, Any]) -> None:
    """As text always, and as a value wherever Python has it: then it can be sent back."""
    answer = loads_answer('{"ok":true,"job":{"id":"x","data":' + vector["text"] + "}}")

    assert raw_member(answer["job"].text, "data") == vector["text"]
    if vector["exact"]:
        assert loads(dumps(answer["job"]["data"]).decode()) == answer["job"]["data"]
