"""T32: every operation of openapi.yaml, called in every way that Schemathesis knows, answers as openapi.yaml says (JW-ERR-1, JW-HTTP-1, JW-HTTP-11).

PROOF_SEED chooses another run and PROOF_SCALE multiplies the examples.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.acceptance.processes import Server
from tests.proof.fuzz import openapi
from tests.proof.fuzz.faulty_parsers import faulty_server
from tests.proof.fuzz.openapi import Ask, Run
from tests.proof.fuzz.openapi_rules import EXCUSES
from tests.proof.knobs import SCALE, SEED, scaled
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

EXAMPLES = max(1, round(3 * SCALE))
SECONDS = 240 * max(1.0, SCALE)
TOKEN = "a-token-of-this-proof-only-0123456789"
LEAST_CASES = scaled(2_000) if SCALE < 1 else 2_000
CAUGHT_BY = {
    "GET /queues/{queue}/stats": "status_code_conformance",
    "GET /queues": "response_schema_conformance",
    "GET /health": "response_schema_conformance",
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path).start()
    yield server
    server.end()


@pytest.fixture
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants a token. Each call says that it comes from another address, lest five wrong tokens lock out all."""
    folder = tmp_path_factory.mktemp("guarded")
    config = folder / "jobwire.toml"
    config.write_text(f'[auth]\ntokens = ["{TOKEN}"]\n[http]\ntrusted_proxies = ["127.0.0.1"]\n')
    server = Server(folder, "--config", str(config)).start()
    yield server
    server.end()


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Server]:
    server = faulty_server(tmp_path, "answers").start()
    yield server
    server.end()


def url(server: Server) -> str:
    return f"http://127.0.0.1:{server.http}/api/v1"


@pytest.mark.timeout(60 + SECONDS)
def test_every_operation_answers_as_the_specification_says(server: Server, guarded: Server) -> None:
    began = time.monotonic()
    open_ask = Ask(
        url=url(server),
        seed=SEED,
        examples=EXAMPLES,
        coverage="all" if SCALE >= 1 else "positive",
    )
    token_ask = Ask(
        url=url(guarded),
        seed=SEED + 1,
        examples=EXAMPLES,
        token=TOKEN,
        coverage="all" if SCALE > 1 else "positive",
    )
    processes = [openapi.start(ask) for ask in (open_ask, token_ask)]
    runs = [openapi.result(process, SECONDS) for process in processes]

    publish(figure(runs, time.monotonic() - began))
    for run, on in zip(runs, (server, guarded), strict=True):
        assert run.failures == [], told(run)
        assert run.errors == [], told(run)
        assert len(run.called) == run.operations, "some operations were never called"
        assert "Traceback" not in on.log
        assert "INTERNAL_ERROR" not in on.log
        assert on.get("/health")[1]["status"] == "healthy"
    assert sum(run.cases for run in runs) >= LEAST_CASES
    served = {name for run in runs for name in run.served}
    assert len(served) == runs[0].operations or SCALE < 1, "some operations never answered 2xx"


def figure(runs: list[Run], seconds: float) -> Figure:
    return Figure(
        test="T32",
        title="Schemathesis, without and with a token",
        promises=("C9",),
        seed=SEED,
        what="cases",
        tries=sum(run.cases for run in runs),
        bad=sum(len(run.failures) + len(run.errors) for run in runs),
        bar="failures 0 without a baseline, and every operation called",
        seconds=seconds,
        control="three wrong answers put in: all caught, each by its check",
        numbers={
            "operations": runs[0].operations,
            "checks": sum(run.checks for run in runs),
            "rules_schema_cannot_say": len(EXCUSES),
            "excused": sum(sum(run.excused.values()) for run in runs),
        },
    )


def told(run: Run) -> str:
    again = f"PROOF_SEED={SEED} PROOF_SCALE={SCALE}"
    return "\n\n".join([again, *run.failures[:5], *run.errors[:5], json.dumps(run.excused)])


def test_wrong_answers_are_caught(faulty: Server) -> None:
    """The control: a status that is not listed, a field that is missing, one of another type; and nothing else is objected to."""
    ask = Ask(url=url(faulty), seed=SEED, examples=1, phases=("examples", "fuzzing"))

    run = openapi.result(openapi.start(ask), 60)

    caught = {tuple(failure.split("\n")[0].split(", ")[1:3]) for failure in run.failures}
    assert caught == set(CAUGHT_BY.items()), told(run)
