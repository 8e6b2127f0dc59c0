"""Schemathesis against a server that runs: each operation of spec/openapi.yaml, all phases, all checks (guarantees T32).

`python -m tests.proof.fuzz.openapi SETTINGS` takes the members of an `Ask` as JSON and prints a `Run` as JSON. It is a process of its own, since the engine
has threads, hooks and settings for the whole interpreter; `start` and `result` are the caller's side of it.

A wait that the request asks for is cut to WAIT_MS before it is sent: the answers are those of a wait that ran out, and no case takes a minute.
"""

from __future__ import annotations

import functools
import itertools
import json
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import schemathesis
from schemathesis.engine import events, from_schema
from tests.proof.fuzz.openapi_rules import excuse_of

from jobwire_server.wire import limits

SERVER: Final = Path(__file__).parents[3]
SPEC: Final = SERVER.parent / "spec/openapi.yaml"
PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")
WAIT_MS: Final = 20
SHOWN: Final = 500  # bytes of an answer that a failure shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What to run against which server. `url` ends with /api/v1."""

    url: str
    seed: int
    examples: int  # for each operation, in fuzzing; sequences of calls, in stateful
    token: str = ""  # of a server that wants one
    phases: tuple[str, ...] = PHASES
    seconds: int = 0  # go on with fuzzing and stateful until so much time is spent, and stop then; 0 for no more than the examples
    coverage: str = "all"  # or "positive": leave out the bad requests of the coverage phase, which are most of it


@dataclass(slots=True)
class Run:
    """What came of it. `failures` and `errors` are told in words, one each."""

    operations: int = 0  # in the specification
    called: dict[str, int] = field(default_factory=dict)  # operation → calls
    served: list[str] = field(default_factory=list)  # operations that answered 2xx at least once
    checks: int = 0
    excused: dict[str, int] = field(default_factory=dict)  # Excuse.name → how often
    failures: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        return sum(self.called.values())


class Watch:
    """The hooks: what is sent, what is excused, and what was counted on the way."""

    def __init__(self, token: str) -> None:
        self.called: Counter[str] = Counter()
        self.served: set[str] = set()
        self.excused: Counter[str] = Counter()
        self._token = token
        self._addresses = itertools.count(1)

    def attach(self) -> None:
        """Each hook as a function of its own, since a method cannot have the attributes that are put on it."""
        for hook in (
            self.before_load_schema,
            self.before_call,
            self.after_call,
            self.filter_failure,
        ):
            schemathesis.hook(_as_function(hook))

    def before_load_schema(self, context: Any, raw_schema: dict[str, Any]) -> None:
        """This server has tokens or has none, so that its security is not optional any more."""
        raw_schema["security"] = [{"bearer": []}] if self._token else []
        if not self._token:
            del raw_schema["components"]["securitySchemes"]

    def before_call(self, context: Any, case: Any, kwargs: dict[str, Any]) -> None:
        if self._token:  # five wrong tokens lock an address out, so each call has one of its own
            number = next(self._addresses)
            case.headers["X-Forwarded-For"] = (
                f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            )
        if isinstance(case.body, dict) and _is_long(case.body.get("wait_ms")):
            case.body = {**case.body, "wait_ms": WAIT_MS}
        self.called[case.operation.label] += 1

    def after_call(self, context: Any, case: Any, response: Any) -> None:
        if 200 <= response.status_code < 300:
            self.served.add(case.operation.label)

    def filter_failure(self, context: Any, failure: Any, case: Any, response: Any) -> bool:
        """Whether the failure counts."""
        if "json" not in response.headers.get("content-type", [""])[0]:
            return True
        name = excuse_of(type(failure).__name__, response.json().get("error") or {})
        if name is None:
            return True
        self.excused[name] += 1
        return False


def _is_long(wait: object) -> bool:
    """A wait that the server would keep."""
    return type(wait) is int and WAIT_MS < wait <= limits.WAIT_MS


def _as_function(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def hook(*args: Any) -> Any:
        return method(*args)

    return hook


def settings(ask: Ask) -> schemathesis.Config:
    """All checks, and no baseline."""
    phases: dict[str, Any] = {phase: {"enabled": phase in ask.phases} for phase in PHASES}
    phases["coverage"]["generation"] = {"mode": ask.coverage}
    limit = {"max-time": ask.seconds} if ask.seconds else {}
    return schemathesis.Config.from_dict(
        {
            **limit,
            "base-url": ask.url,
            "seed": ask.seed,
            "auth": {"openapi": {"bearer": {"bearer": ask.token}}} if ask.token else {},
            "request-timeout": 30,
            "continue-on-failure": True,
            "generation": {"max-examples": ask.examples, "database": "none", "no-shrink": True},
            "checks": {"enabled": True},
            "cache": {"enabled": False},
            "phases": phases,
        }
    )


def run(ask: Ask) -> Run:
    watch = Watch(ask.token)
    watch.attach()
    schema = schemathesis.openapi.from_path(SPEC, config=settings(ask))
    outcome = Run(operations=schema.statistic.operations.total)
    for event in from_schema(schema).execute():
        _take_in(outcome, event)
    outcome.called = dict(watch.called)
    outcome.served = sorted(watch.served)
    outcome.excused = dict(watch.excused)
    return outcome


def _take_in(outcome: Run, event: events.EngineEvent) -> None:
    if isinstance(event, events.ScenarioFinished):
        recorder = event.recorder
        for case, checks in recorder.checks.items():
            outcome.checks += len(checks)
            answer = _answer(recorder.interactions.get(case))
            bad = [check for check in checks if check.failure_info]
            where = f"{event.phase.value}, {recorder.cases[case].value.operation.label}"
            outcome.failures += [f"{where}, {_told(check)}\n{answer}" for check in bad]
    elif isinstance(event, events.NonFatalError):
        trace = "".join(traceback.format_exception(event.value))
        outcome.errors.append(f"{event.phase} {event.label}: {event.value!r}\n{trace}")
    elif isinstance(event, events.FatalError):
        outcome.errors.append(repr(event.exception))
    elif isinstance(event, events.EngineFinished):
        outcome.seconds = event.running_time


def _told(check: Any) -> str:
    failure = check.failure_info.failure
    return f"{check.name}\n{failure.title}\n{failure.message}\n{check.failure_info.code_sample}"


def _answer(interaction: Any) -> str:
    if interaction is None or interaction.response is None:
        return "no answer"
    body = interaction.response.content[:SHOWN].decode(errors="replace")
    return f"{interaction.response.status_code} {body}"


def start(ask: Ask) -> subprocess.Popen[bytes]:
    """Run it in a process of its own; give that to `result`."""
    command = [sys.executable, "-m", __name__, json.dumps(asdict(ask))]
    return subprocess.Popen(
        command, cwd=SERVER, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )


def result(process: subprocess.Popen[bytes], seconds: float) -> Run:
    """What came of it. Raises TimeoutExpired when it has not ended by then; the process is gone in any case."""
    try:
        said, wrong = process.communicate(timeout=seconds)
    finally:
        process.kill()
    assert process.returncode == 0, wrong.decode(errors="replace")
    return Run(**json.loads(said.splitlines()[-1]))


def main(text: str) -> None:
    print(json.dumps(asdict(run(Ask(**json.loads(text))))))


if __name__ == "__main__":
    main(*sys.argv[1:])
