"""The witness is generated without a warning, has every operation, and notices what its models do not hold."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import httpx
import pytest

from conformance.runner import witness
from conformance.runner.operations import Operation, WrongAnswer, operations
from conformance.runner.scope import NotApplicable

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow  # the client is generated and imported anew

PUSH = ("POST", "/queues/{queue}/jobs")


def test_every_operation_over_http_has_a_function() -> None:
    wanted = {(each.method, each.path) for each in operations().values() if each.path}

    assert wanted <= witness.functions().keys()


def test_a_document_that_the_generator_cannot_hold_is_refused(tmp_path: Path) -> None:
    document = json.loads(witness.DOCUMENT.read_text())
    document["paths"]["/health"]["get"]["responses"]["200"]["content"] = {
        "application/json": {"schema": {"$ref": "#/components/schemas/NotThere"}}
    }
    broken = tmp_path / "openapi.json"
    broken.write_text(json.dumps(document))

    with pytest.raises(witness.NotGenerated):
        witness.generate(tmp_path, broken)


def test_what_is_left_out_is_not_sent() -> None:
    function = witness.functions()[PUSH].asyncio_detailed

    given = witness.arguments(function, {"queue": "q", "name": "n", "data": {"a": 1}})

    assert given["queue"] == "q"
    assert given["body"].to_dict() == {"name": "n", "data": {"a": 1}}


def test_what_types_do_not_let_through_does_not_apply() -> None:
    function = witness.functions()[PUSH].asyncio_detailed

    with pytest.raises(NotApplicable):
        witness.arguments(function, {"queue": "q", "data": {}})  # a push without its name


def test_an_answer_that_the_model_loses_a_part_of_is_wrong() -> None:
    def answer(parsed: object) -> SimpleNamespace:
        return SimpleNamespace(
            headers=httpx.Headers({"content-type": "application/json"}),
            content=b'{"ok":true,"state":"waiting"}',
            parsed=parsed,
        )

    operation = Operation(name="retry", method="POST", path="/jobs/{id}/retry", wire=2)
    whole = SimpleNamespace(to_dict=lambda: {"ok": True, "state": "waiting"})
    witness._check_parsed(operation, answer(whole))

    with pytest.raises(WrongAnswer, match="lost"):
        witness._check_parsed(operation, answer(SimpleNamespace(to_dict=lambda: {"ok": True})))
    with pytest.raises(WrongAnswer, match="no model"):
        witness._check_parsed(operation, answer(None))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:00+00:00", True),
        ("2030-01-01T00:00:00Z", "2030-01-01T00:00:01+00:00", False),
        (1, 1.0, True),
        (1, True, False),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([1, 2], [2, 1], False),
    ],
)
def test_alike(left: object, right: object, same: bool) -> None:
    assert witness.alike(left, right) is same
