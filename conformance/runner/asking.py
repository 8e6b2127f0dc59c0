"""The steps that ask an abstract operation: do, join and wait_until."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.matching import Mismatch, mismatches
from conformance.runner.model import Step, SuiteError
from conformance.runner.operations import Answer, operations
from conformance.runner.paths import select
from conformance.runner.scope import Scope, StepFailed
from conformance.runner.values import duration_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SETTLE_S: Final = 0.02  # for a started request on its way through the kernel
POLL_S: Final = 0.02
_WITHIN: Final = "5s"

# Members of an error that a door leaves out: version 1 knows no `retryable` (JW-ERR-2), and TCP no status.
_LEFT_OUT: Final[Mapping[str, frozenset[str]]] = {
    "http": frozenset(),
    "tcp1": frozenset({"retryable", "retry_after_ms", "status"}),
    "tcp2": frozenset({"status"}),
}


async def do(scope: Scope, step: Step) -> Any:
    """Ask, and judge the answer; with `start` only ask."""
    if "start" in step.body:
        await _start(scope, step)
        return None
    answer = await _ask(scope, step.body)
    return judge(scope, step.body, answer, door_of(scope, step.body))


def door_of(scope: Scope, body: Mapping[str, Any]) -> str:
    return str(body.get("over") or scope.item.door)


async def _ask(
    scope: Scope, body: Mapping[str, Any], on_sent: Callable[[], None] | None = None
) -> Answer:
    fields = scope.resolve(body.get("with", {}))
    connection = scope.prefix + body.get("on", "main")
    return await scope.doors.call(
        door_of(scope, body), connection, operations()[body["do"]], fields, on_sent
    )


async def _start(scope: Scope, step: Step) -> None:
    """Begin in the background, and go on when the server has the request before it."""
    sent = asyncio.Event()
    task = asyncio.create_task(_ask(scope, step.body, sent.set))
    scope.started[step.body["start"]] = task
    scope.started_on[step.body["start"]] = step.body.get("on", "main")
    waiter = asyncio.create_task(sent.wait())
    await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
    waiter.cancel()
    await asyncio.sleep(SETTLE_S)
    control = scope.doors.target.control
    if control is not None:
        await control.barrier()


async def join(scope: Scope, step: Step) -> Any:
    """Await what was started, and judge it."""
    task = scope.started.pop(step.body["join"], None)
    if task is None:
        raise SuiteError(f"nothing is started as {step.body['join']!r}")
    return judge(scope, step.body, await task, scope.item.door)


def judge(scope: Scope, body: Mapping[str, Any], answer: Answer, door: str) -> dict[str, Any]:
    """
    Hold an answer against expect, expect_error, expect_lost or may_fail; without any of them it has to be ok.

    Returns it as one value, for assertions over several. Raises StepFailed.
    """
    if "expect_lost" in body:
        scope.fail_unless(answer.lost is not None, f"it was answered: {_told(answer)}")
    elif "expect_error" in body:
        _judge_error(scope, body["expect_error"], answer, door)
    elif not answer.ok and not _may_fail(body, answer):
        raise StepFailed(f"it was not ok: {_told(answer)}")
    elif answer.ok:
        if "expect" in body:
            scope.require(scope.check_paths(body["expect"], dict(answer.fields)))
        scope.save(body.get("save", {}), dict(answer.fields))
    return answer.as_result()


def _may_fail(body: Mapping[str, Any], answer: Answer) -> bool:
    return answer.error is not None and answer.error.get("code") in body.get("may_fail", ())


def _told(answer: Answer) -> str:
    if answer.lost is not None:
        return f"no answer: {answer.lost}"
    status = f" (status {answer.status})" if answer.status else ""
    return f"{dict(answer.error if answer.error is not None else answer.fields)}{status}"


def _judge_error(scope: Scope, expected: Mapping[str, Any], answer: Answer, door: str) -> None:
    if answer.error is None:
        scope.fail_unless(False, f"it was not refused with {expected['code']}: {_told(answer)}")
        return
    actual = {**answer.error, "status": answer.status}
    wrong: list[Mismatch] = []
    for key, wanted in expected.items():
        if key in _LEFT_OUT[door]:
            continue
        path = key if key.startswith("$") else f"$.{key}"
        wrong += scope.check(wanted, select(path, actual), path)
    scope.require(wrong)


async def wait_until(scope: Scope, step: Step) -> None:
    """Ask again and again until it fits; the last answer tells why it never did."""
    body = step.body["wait_until"]
    within_ms = duration_ms(body.get("within", _WITHIN))
    deadline = time.monotonic() + within_ms / 1000
    while True:
        answer = await _ask(scope, body)
        wrong = _unfit(scope, body["expect"], answer)
        if not wrong or time.monotonic() > deadline:
            break
        await asyncio.sleep(POLL_S)
    scope.fail_unless(not wrong, f"not within {within_ms} ms: {'; '.join(wrong)}")
    scope.save(body.get("save", {}), dict(answer.fields))


def _unfit(scope: Scope, expected: Mapping[str, Any], answer: Answer) -> list[str]:
    if not answer.ok:
        return [f"it was not ok: {_told(answer)}"]
    return [
        str(mismatch)
        for path, wanted in expected.items()
        for mismatch in mismatches(
            scope.resolve(wanted), select(path, dict(answer.fields)), scope.context, path
        )
    ]
