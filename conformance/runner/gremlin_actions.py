"""
The actions of a gremlin's script, one function each; the key of a step names it.

    accept: c1 [hello: true|false|rustqueue|{members}]   the next connection; over TCP its hello is answered (true), or not (false)
    refuse: true   listen: true                          nobody listens; somebody does again, on the same port
    expect: {op, has: {path: matcher}, headers: {..}, times: n, save: {var: path}}
    answer: {members}        the plain answer to the oldest request (or `to: last`), with these members instead
    error: {code, ..}        a refusal; members go into the error. headers: of HTTP
    reply: {status, headers, json|text|hex, framing, type}   over HTTP, or any JSON over TCP, sent as it is; rid: false|echo
    send_text, send_hex, garbage: bytes, flood: lines, oversize: bytes, unsolicited: {..}, notice: {..}
    wrong_order: true        answers all that is unanswered, the last first     coalesce: true    answers it all in one segment
    duplicate: true          says the last answer again     hold: true   keeps the request, and answers others meanwhile
    delay: ms   stall: true (reads no more)   close: fin|rst|half   expect_close: true   signal, await: name
    repeat: n, steps: [..]   the same steps n times
    serve: {op: [reaction, ..]} | rustqueue: {token}     from here on answers everything, until the SDK's steps are over; a reaction
                             is used once, or with again: true for every request

Whatever is sent can be cut: chunks: [3, 1, rest], drip: true (byte by byte), split_utf8: true (inside every character of more bytes).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.gremlin import Unexpected
from conformance.runner.gremlin_answers import (
    ANSWERS,
    error_body,
    line,
    response,
    retry_after,
    rustqueue_answer,
    status_of,
)
from conformance.runner.matching import mismatches
from conformance.runner.paths import select

if TYPE_CHECKING:
    from conformance.runner.gremlin import Connection
    from conformance.runner.gremlin import Peer as Gremlin
    from conformance.runner.sdk_wire import Seen

Step = Mapping[str, Any]
Action = Callable[["Gremlin", "Connection", Step], Awaitable[None]]


# --- connections --------------------------------------------------------------------------------------------------------


async def _accept(gremlin: Gremlin, step: Step) -> None:
    connection = gremlin.current = gremlin.connections[step["accept"]] = await gremlin.arrival()
    hello = step.get("hello", True)
    if connection.is_http or hello is False:
        return
    seen = await connection.request("hello")
    if seen.command != "hello":
        raise Unexpected(f"the first line is {seen.command!r}, and not hello")
    if hello == "rustqueue":
        await _send(connection, step, line(rustqueue_answer(seen, None, shown=False)))
        connection.unanswered.remove(seen)
        return
    connection.version = 2
    await answer(connection, step, seen, dict(hello) if isinstance(hello, dict) else {})


async def _refuse(gremlin: Gremlin, _: Step) -> None:
    await gremlin.shut()


async def _listen(gremlin: Gremlin, _: Step) -> None:
    await gremlin.open()


async def _stall(_: Gremlin, connection: Connection, __: Step) -> None:
    connection.deaf()


async def _hold(_: Gremlin, __: Connection, ___: Step) -> None:
    """The request stays unanswered; a later step answers it."""


async def _close(_: Gremlin, connection: Connection, step: Step) -> None:
    connection.close(step["close"])


async def _expect_close(_: Gremlin, connection: Connection, __: Step) -> None:
    await connection.end()


# --- requests -----------------------------------------------------------------------------------------------------------


async def _expect(gremlin: Gremlin, connection: Connection, step: Step) -> None:
    wanted = step["expect"]
    for _ in range(wanted.get("times", 1)):
        seen = await connection.request(str(wanted.get("op", "a request")))
        _compare(wanted, seen)
        gremlin.variables["request"] = seen.fields
        for name, path in wanted.get("save", {}).items():
            gremlin.variables[name] = select(path, seen.fields)


def _compare(wanted: Mapping[str, Any], seen: Seen) -> None:
    if "op" in wanted and seen.command != wanted["op"]:
        raise Unexpected(f"expected {wanted['op']!r}, got {seen.command!r} {seen.fields}")
    for path, expected in wanted.get("has", {}).items():
        for mismatch in mismatches(expected, select(path, seen.fields), path=path):
            raise Unexpected(f"{seen.command}: {mismatch}")
    headers = dict(seen.http.headers) if seen.http else {}
    for name, expected in wanted.get("headers", {}).items():
        for mismatch in mismatches(expected, select(f"$['{name}']", headers), path=name):
            raise Unexpected(f"{seen.command}: header {mismatch}")


# --- answers ------------------------------------------------------------------------------------------------------------


async def _answer(_: Gremlin, connection: Connection, step: Step) -> None:
    await answer(connection, step, _target(connection, step), dict(step["answer"] or {}))


async def answer(connection: Connection, step: Step, seen: Seen, members: dict[str, Any]) -> None:
    plain = ANSWERS[seen.command](seen.fields) if seen.command in ANSWERS else {}
    await say(connection, step, seen, {"ok": True, **plain, **members})


async def _error(_: Gremlin, connection: Connection, step: Step) -> None:
    extra = dict(step["error"])
    body = error_body(extra.pop("code"), extra)
    await say(connection, step, _target(connection, step), body)


def _target(connection: Connection, step: Step) -> Seen:
    """The request that is answered: the oldest, or the last with `to: last`."""
    if not connection.unanswered:
        raise Unexpected("there is no request to answer")
    return connection.unanswered[-1 if step.get("to") == "last" else 0]


async def say(connection: Connection, step: Step, seen: Seen, body: dict[str, Any]) -> None:
    """*body* as the answer to *seen*, by its door."""
    connection.unanswered.remove(seen)
    seen.answer = body
    if not connection.is_http:
        await _send(connection, step, line(body, seen.rid))
        return
    headers = {**retry_after(body.get("error")), **step.get("headers", {})}
    data = json.dumps(body, ensure_ascii=False).encode()
    await _send(connection, step, response(status_of(seen.command, body), data, headers=headers))


async def _reply(_: Gremlin, connection: Connection, step: Step) -> None:
    """Whatever the case says, as it is."""
    body = step["reply"]
    seen = connection.unanswered.pop(0) if connection.unanswered else None
    if connection.is_http:
        reply, data = dict(body), _bytes(body)
        if seen is not None:
            seen.answer = {"ok": reply["status"] < 400, **_object(reply.get("json"))}
        await _send(
            connection,
            step,
            response(
                reply["status"],
                data,
                headers=reply.get("headers"),
                framing=reply.get("framing", "length"),
                media_type=reply.get("type", "application/json"),
            ),
        )
        return
    if seen is not None:
        seen.answer = _object(body)
    rid = (
        seen.rid if seen and step.get("rid", "echo") == "echo" and isinstance(body, dict) else None
    )
    await _send(connection, step, line(body, rid) if rid is not None else _line_of(body))


def _object(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _line_of(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _bytes(body: Mapping[str, Any]) -> bytes:
    if "json" in body:
        return json.dumps(body["json"], ensure_ascii=False).encode()
    return bytes.fromhex(body["hex"]) if "hex" in body else str(body.get("text", "")).encode()


async def _wrong_order(_: Gremlin, connection: Connection, step: Step) -> None:
    for seen in reversed(list(connection.unanswered)):
        await answer(connection, step, seen, {})


async def _coalesce(_: Gremlin, connection: Connection, step: Step) -> None:
    data = b""
    for seen in list(connection.unanswered):
        data += plain_bytes(connection, seen)
    await _send(connection, step, data)


def plain_bytes(connection: Connection, seen: Seen) -> bytes:
    """The plain answer to *seen*, which counts as given."""
    connection.unanswered.remove(seen)
    seen.answer = {
        "ok": True,
        **(ANSWERS[seen.command](seen.fields) if seen.command in ANSWERS else {}),
    }
    if not connection.is_http:
        return line(seen.answer, seen.rid)
    return response(status_of(seen.command, seen.answer), json.dumps(seen.answer).encode())


async def _duplicate(_: Gremlin, connection: Connection, step: Step) -> None:
    await _send(connection, step, connection.last)


# --- bytes --------------------------------------------------------------------------------------------------------------


def _raw(make: Callable[[Gremlin, Connection, Any], bytes]) -> Action:
    async def action(gremlin: Gremlin, connection: Connection, step: Step) -> None:
        await _send(connection, step, make(gremlin, connection, step[next(iter(step))]))

    return action


def _unsolicited(_: Gremlin, connection: Connection, body: Mapping[str, Any]) -> bytes:
    if not connection.is_http:
        return _line_of(body)
    return response(200, json.dumps(body).encode())


async def _send(connection: Connection, step: Step, data: bytes) -> None:
    await connection.send(data, _cuts(step, data))


def _cuts(step: Step, data: bytes) -> list[int]:
    """Where `chunks`, `drip` and `split_utf8` cut *data*."""
    if step.get("drip"):
        return list(range(1, len(data)))
    if step.get("split_utf8"):
        return [at for at, byte in enumerate(data) if 0x80 <= byte < 0xC0]
    cuts, at = [], 0
    for size in step.get("chunks", ()):
        if size == "rest":
            break
        at += size
        cuts.append(at)
    return [cut for cut in cuts if cut < len(data)]


# --- time and the other side ----------------------------------------------------------------------------------------------


async def _delay(_: Gremlin, step: Step) -> None:
    await asyncio.sleep(min(step["delay"], 100) / 1000)


async def _signal(gremlin: Gremlin, step: Step) -> None:
    gremlin.signals.set(step["signal"])


async def _await(gremlin: Gremlin, step: Step) -> None:
    await gremlin.signals.wait(step["await"])


ALONE: Final[Mapping[str, Callable[[Any, Step], Awaitable[None]]]] = {
    "accept": _accept,
    "refuse": _refuse,
    "listen": _listen,
    "delay": _delay,
    "signal": _signal,
    "await": _await,
}

ACTIONS: Final[Mapping[str, Action]] = {
    "expect": _expect,
    "answer": _answer,
    "error": _error,
    "reply": _reply,
    "wrong_order": _wrong_order,
    "coalesce": _coalesce,
    "duplicate": _duplicate,
    "stall": _stall,
    "hold": _hold,
    "close": _close,
    "expect_close": _expect_close,
    "unsolicited": _raw(_unsolicited),
    "notice": _raw(lambda _, __, body: _line_of(body)),
    "send_text": _raw(lambda _, __, text: str(text).encode()),
    "send_hex": _raw(lambda _, __, text: bytes.fromhex(text)),
    "garbage": _raw(lambda gremlin, _, count: gremlin.random.randbytes(count) + b"\n"),
    "flood": _raw(lambda _, __, lines: b'{"notice":"grease.flood"}\n' * lines),
    "oversize": _raw(lambda _, __, count: b"[" * count),
}
