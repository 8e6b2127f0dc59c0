"""The raw steps: http, tcp and close, which decide about every byte."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.asking import SETTLE_S
from conformance.runner.checking import as_list
from conformance.runner.exchange import Exchange
from conformance.runner.http_door import BASE_PATH
from conformance.runner.matching import Mismatch, paired
from conformance.runner.operations import WrongAnswer, encode, parse
from conformance.runner.paths import MISSING, select
from conformance.runner.raw_http import RawConnection, Request, Response, request_of
from conformance.runner.scope import Scope, StepFailed
from conformance.runner.values import duration_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conformance.runner.model import Step
    from conformance.runner.tcp_door import TcpConnection

_WITHIN: Final = "5s"
_CLOSES_S: Final = 5.0  # how long a server may take to close a connection that it has to close
_STAYS_S: Final = 0.05  # how long one is watched that has to stay open

# --- http -------------------------------------------------------------------------------------------------------


async def http(scope: Scope, step: Step) -> Any:
    """Send one request, or the raw bytes of several, and hold the responses against what is expected."""
    wanted = scope.resolve(step.body["http"])
    address = scope.doors.target.http_url.removeprefix("http://")
    requests = request_of(wanted, host=address, base_path=BASE_PATH)
    expected = as_list(step.body["expect"]) if "expect" in step.body else []
    name = wanted.get("on")
    connection = await scope.doors.raw_http(scope.prefix + name if name else None)
    scope.doors.log.add("http", "→", requests[0].data)
    await connection.send(
        requests[0].data, wanted.get("chunks"), half_close=wanted.get("half_close", False)
    )
    if "advance" in wanted:
        await _pass(scope, duration_ms(wanted["advance"]))
    within_s = duration_ms(wanted.get("timeout", "15s")) / 1000
    body: Any = None
    for index in range(max(len(expected), 1)):
        request = requests[min(index, len(requests) - 1)]
        response = await _receive(scope, connection, request, within_s)
        if expected:
            await _judge(scope, expected[index], response, connection)
        body = _saved(response)
    scope.save(step.body.get("save", {}), body)
    return body


async def _pass(scope: Scope, ms: int) -> None:
    """Move the clock once the server has what was sent to it."""
    await asyncio.sleep(SETTLE_S)
    await scope.control.barrier()
    await scope.control.advance(ms)


async def _receive(
    scope: Scope, connection: RawConnection, request: Request, within_s: float
) -> Response | None:
    try:
        async with asyncio.timeout(within_s):
            response = await connection.receive(method=request.method)
    except TimeoutError as error:
        raise StepFailed(f"no whole response in {within_s:g} s") from error
    if response is None:
        scope.doors.log.add("http", "←", "closed without a response")
        return None
    scope.doors.log.add("http", "←", f"{response.status} {response.body.decode(errors='replace')}")
    scope.doors.recorder.http(Exchange.between(request, response))
    return response


async def _judge(
    scope: Scope, expected: Mapping[str, Any], response: Response | None, connection: RawConnection
) -> None:
    if expected.get("no_answer"):
        scope.fail_unless(response is None, f"there was an answer: {response}")
        return
    if response is None:
        raise StepFailed("the connection ended without a response")
    wrong: list[Mismatch] = []
    if "status" in expected:
        wrong += scope.check(expected["status"], response.status, "status")
    if "type" in expected:
        wrong += scope.check(expected["type"], _media_type(response), "type")
    for name, matcher in expected.get("headers", {}).items():
        value = response.header(name)
        wrong += scope.check(matcher, MISSING if value is None else value, f"header {name}")
    if "text" in expected:
        wrong += scope.check(expected["text"], response.body.decode(errors="replace"), "text")
    if "body" in expected:
        wrong += scope.check_paths(expected["body"], _json(response))
    scope.require(wrong)
    if "closes" in expected:
        await _judge_closing(scope, expected["closes"], connection)


async def _judge_closing(scope: Scope, closes: bool, connection: RawConnection) -> None:
    closed = await connection.closes(_CLOSES_S if closes else _STAYS_S)
    scope.fail_unless(
        closed == closes,
        f"the connection {'stayed open' if closes else 'was closed'} behind the response",
    )


def _media_type(response: Response) -> str:
    return (response.header("content-type") or "").partition(";")[0].strip().lower()


def _json(response: Response) -> Any:
    try:
        return parse(response.body)
    except WrongAnswer as error:
        raise StepFailed(f"the body is {error}") from error


def _saved(response: Response | None) -> Any:
    """The body for `save` and for assertions over branches; text that is not JSON has no members."""
    if response is None or not response.body:
        return {}
    try:
        return parse(response.body)
    except WrongAnswer:
        return {}


# --- tcp --------------------------------------------------------------------------------------------------------


async def tcp(scope: Scope, step: Step) -> Any:
    """Connect if need be, send, and take the lines that come back."""
    body = scope.resolve(step.body["tcp"])
    name = scope.prefix + body.get("connect", "raw")
    connection = scope.doors.tcp(name)
    expects_end = "expect_close" in step.body
    if connection is None or (connection.ended is not None and _sends(body)):
        connection = await scope.doors.connect(name)
    await _hello(scope, connection, body.get("hello", False))
    await connection.send(
        _bytes_of(body), body.get("chunks"), half_close=body.get("half_close", False)
    )
    lines = await _lines(scope, connection, step)
    if "expect_nothing" in step.body:
        silent = await connection.stays_silent(duration_ms(step.body["expect_nothing"]) / 1000)
        scope.fail_unless(
            silent, f"there is {connection.inbox or 'an end of the connection'} instead of nothing"
        )
    if expects_end:
        await _closing(scope, connection, step.body["expect_close"])
    scope.save(step.body.get("save", {}), lines[0] if len(lines) == 1 else lines)
    return lines[-1] if lines else {}


def _sends(body: Mapping[str, Any]) -> bool:
    return bool(body.keys() & {"send", "send_text", "send_hex", "hello"})


async def _hello(scope: Scope, connection: TcpConnection, wanted: Any) -> None:
    if wanted is False:
        return
    fields = wanted if isinstance(wanted, dict) else None
    answer = await connection.hello(scope.doors.target.token, fields)
    if not answer.ok:
        raise StepFailed(f"the hello was refused: {answer.error or answer.lost}")


def _bytes_of(body: Mapping[str, Any]) -> bytes:
    if "send" in body:
        return b"".join(encode(each) + b"\n" for each in body["send"])
    if "send_hex" in body:
        return bytes.fromhex(body["send_hex"])
    return str(body.get("send_text", "")).encode()


async def _lines(scope: Scope, connection: TcpConnection, step: Step) -> list[Any]:
    """As many lines as are expected, judged."""
    key = next((key for key in ("expect", "expect_set", "expect_text") if key in step.body), None)
    if key is None:
        return []
    expected = step.body[key]
    within_s = duration_ms(step.body.get("within", _WITHIN)) / 1000
    taken = []
    for index in range(len(expected)):
        try:
            line = await connection.take(lambda _: True, within_s)
        except TimeoutError as error:
            raise StepFailed(f"{index} of {len(expected)} lines came in {within_s:g} s") from error
        if line is None:
            raise StepFailed(f"the connection ended behind {index} of {len(expected)} lines")
        taken.append(line)
    _judge_lines(scope, key, expected, taken)
    return [parsed for _, parsed in taken]


def _judge_lines(scope: Scope, key: str, expected: list[Any], taken: list[Any]) -> None:
    if key == "expect_set":
        fits = [[not scope.check_paths(each, parsed) for _, parsed in taken] for each in expected]
        shown = "\n".join(line.decode(errors="backslashreplace")[:300] for line, _ in taken)
        scope.fail_unless(paired(fits), f"no order of these lines fits:\n{shown}")
        return
    wrong: list[Mismatch] = []
    for index, (wanted, (line, parsed)) in enumerate(zip(expected, taken, strict=True)):
        if key == "expect_text":
            wrong += scope.check(wanted, line.decode(errors="backslashreplace"), f"line {index}")
            continue
        for path, matcher in wanted.items():
            wrong += scope.check(matcher, select(path, parsed), f"line {index} {path}")
    scope.require(wrong)


async def _closing(scope: Scope, connection: TcpConnection, wanted: Mapping[str, Any]) -> None:
    within_ms = duration_ms(wanted.get("within", "2s"))
    how = wanted.get("how", "any")
    ended = await connection.wait_ended(within_ms / 1000)
    scope.fail_unless(ended is not None, f"the connection is open after {within_ms} ms")
    scope.fail_unless(how in ("any", ended), f"the connection ended with {ended}, not with {how}")


async def close(scope: Scope, step: Step) -> None:
    """Close a connection from our side; what was started on it is given up."""
    name = step.body["close"]
    for started in [each for each, on in scope.started_on.items() if on == name]:
        await scope.give_up(started)
    if scope.item.door != "http" or scope.doors.has(scope.prefix + name):
        await scope.doors.close_one(scope.prefix + name)
