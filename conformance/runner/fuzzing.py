"""
Schemathesis, small: the engine, the checks and the excuses are those of the server's own proof (tests/proof/fuzz, T32), which runs
far more of it. What is new here is that its traffic is recorded, so that it is judged by the suite's rules and counts as coverage.

`python -m conformance.runner.fuzzing URL SEED FOLDER` is the child: the engine has threads, hooks and settings for the whole
interpreter. Its folder is server/, where that proof lives. It prints what came of it as JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.exchange import Exchange, headers_of
from conformance.runner.loader import REPOSITORY
from conformance.runner.recorder import RECORDS, Recorder
from conformance.runner.specification import specification
from conformance.runner.validating import Undocumented

if TYPE_CHECKING:
    from conformance.runner.target import Target

SEED: Final = 3
EXAMPLES: Final = 1  # for each operation, in fuzzing; the proof has more
_PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuzzed:
    """How many requests there were, to how many of the operations, and what was wrong with their answers; the baseline is empty."""

    cases: int
    called: int
    operations: int
    failures: tuple[str, ...]


class NotFuzzed(RuntimeError):  # noqa: N818 - named for what happened
    """The engine ended without a result. The message is what it said."""


async def fuzz(target: Target, seed: int = SEED, folder: Path = RECORDS) -> Fuzzed:
    """All phases against a server; its traffic is recorded below `folder`."""
    command = [sys.executable, "-m", __name__, target.http_url, str(seed), str(folder)]
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=REPOSITORY / "server",
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(_PATIENCE_S):
            said, errors = await child.communicate()
    except TimeoutError:
        child.kill()
        await child.wait()
        raise NotFuzzed(f"it did not end in {_PATIENCE_S:g} s") from None
    if child.returncode:
        raise NotFuzzed(errors.decode(errors="replace")[-2000:])
    told = json.loads(said.splitlines()[-1])
    return Fuzzed(**{**told, "failures": tuple(told["failures"])})


def _child(url: str, seed: int, folder: Path) -> Fuzzed:
    import schemathesis

    sys.path.insert(0, str(REPOSITORY / "server"))
    proof: Any = importlib.import_module("tests.proof.fuzz.openapi")
    recorder = Recorder(folder, worker="fuzz", spec=specification())
    recorder.note("schemathesis")
    undocumented: list[str] = []

    def after_call(context: Any, case: Any, response: Any) -> None:
        try:
            recorder.http(_exchange(response))
        except Undocumented as error:
            undocumented.append(f"{case.operation.label}: {error}")

    schemathesis.hook(after_call)
    # The bad requests of the coverage phase are most of it, and all of them the proof's.
    asked = proof.Ask(url=f"{url}/api/v1", seed=seed, examples=EXAMPLES, coverage="positive")
    run = proof.run(asked)
    recorder.close()
    return Fuzzed(
        cases=run.cases,
        called=len(run.called),
        operations=run.operations,
        failures=(*run.failures, *run.errors, *undocumented),
    )


def _exchange(response: Any) -> Exchange:
    request = response.request
    body = request.body or b""
    headers = [(name, value) for name, values in response.headers.items() for value in values]
    return Exchange(
        method=request.method,
        target=request.path_url,
        request_headers=headers_of(request.headers.items()),
        request_body=body if isinstance(body, bytes) else str(body).encode(),
        status=response.status_code,
        headers=headers_of(headers),
        body=response.content,
        by="fuzz",
    )


if __name__ == "__main__":
    done = _child(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
    sys.stdout.write(json.dumps(asdict(done)) + "\n")
