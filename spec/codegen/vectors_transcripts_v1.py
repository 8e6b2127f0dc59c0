"""Conversations in version 1 of the wire."""

from __future__ import annotations

from typing import Any

ONE = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f"
TWO = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e60"
LOST = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e6f"


def row(
    id_: str,
    provenance: str,
    *lines: str,
    sides: tuple[str, ...] = ("server",),
    token: bool = False,
) -> dict[str, Any]:
    return {
        "id": id_,
        "provenance": provenance,
        "sides": list(sides),
        "token": token,
        "lines": list(lines),
    }


def rows() -> list[dict[str, Any]]:
    return [*_requests(), *_errors(), *_ends(), *_tokens(), *_older_servers()]


def push(job: str, name: str = "send") -> str:
    return f'C: {{"cmd":"push","queue":"emails","name":"{name}","id":"{job}"}}'


def pushed(job: str, outcome: str = "created") -> str:
    return f'S: {{"ok":true,"id":"{job}","outcome":"{outcome}"}}'


def refused(code: str, details: str = '"…"') -> str:
    return f'S: {{"ok":false,"error":{{"code":"{code}","message":"…","details":{details}}}}}'


def _requests() -> list[dict[str, Any]]:
    return [
        row(
            "v1/push, pull, ack",
            "JW-PUSH-1, JW-PULL-1, JW-ACK-1",
            f'C: {{"cmd":"push","queue":"emails","name":"send","id":"{ONE}","data":{{"to":"a@example.org"}}}}',
            pushed(ONE),
            'C: {"cmd":"pull","queue":"emails"}',
            f'S: {{"ok":true,"job":{{"id":"{ONE}","queue":"emails","name":"send","data":{{"to":"a@example.org"}},"state":"active","lease":"<lease>","…":"…"}}}}',
            f'C: {{"cmd":"ack","id":"{ONE}","lease":"<lease>"}}',
            'S: {"ok":true}',
            f'C: {{"cmd":"ack","id":"{ONE}","lease":"<lease>"}}',
            'S: {"ok":true,"already":true}',
        ),
        row(
            "v1/a pull of an empty queue, and of several jobs",
            "JW-PULL-13",
            'C: {"cmd":"pull","queue":"emails"}',
            'S: {"ok":true,"job":null}',
            'C: {"cmd":"pull","queue":"emails","count":2}',
            'S: {"ok":true,"jobs":[]}',
        ),
        row(
            "v1/a burst is answered in its order",
            "JW-TCP-15",
            push(ONE),
            push(TWO),
            push(ONE),
            'C: {"cmd":"stats","queue":"emails"}',
            'C: {"cmd":"ping"}',
            pushed(ONE),
            pushed(TWO),
            pushed(ONE, "existing"),
            'S: {"ok":true,"counts":{"waiting":2,"…":"…"},"…":"…"}',
            'S: {"ok":true}',
        ),
        row(
            "v1/a pull that waits holds up what stands behind it",
            "JW-TCP-15, JW-PULL-9",
            'C: {"cmd":"pull","queue":"emails","wait_ms":60000}',
            'C: {"cmd":"ping"}',
            push(ONE).replace("C:", "A:"),
            f'S: {{"ok":true,"job":{{"id":"{ONE}","…":"…"}}}}',
            'S: {"ok":true}',
        ),
        row(
            "v1/a rid comes back and changes nothing else",
            "JW-TCP-19",
            'C: {"cmd":"ping","rid":7}',
            'C: {"cmd":"ping"}',
            'C: {"rid":8,"cmd":"nope"}',
            'S: {"ok":true,"rid":7}',
            'S: {"ok":true}',
            'S: {"ok":false,"error":{"code":"UNKNOWN_COMMAND","message":"…","details":{"cmd":"nope"}},"rid":8}',
        ),
        row(
            "v1/batches",
            "JW-PUSH-8, JW-PUSH-7, JW-ACK-5",
            f'C: {{"cmd":"push_batch","queue":"emails","jobs":[{{"name":"a","id":"{ONE}"}},{{"name":"b","id":"{TWO}"}}]}}',
            f'S: {{"ok":true,"ids":["{ONE}","{TWO}"],"outcomes":["created","created"]}}',
            f'C: {{"cmd":"push_batch","queue":"emails","atomic":false,"jobs":[{{"name":"a","id":"{ONE}"}},{{"name":"a b"}}]}}',
            f'S: {{"ok":true,"ids":["{ONE}",null],"outcomes":["existing",null],"results":[{{"id":"{ONE}","ok":true,"outcome":"existing"}},'
            '{"id":null,"ok":false,"error":{"code":"VALIDATION_ERROR","details":{"pointer":"/jobs/1/name"},"…":"…"}}]}',
        ),
    ]


def _errors() -> list[dict[str, Any]]:
    return [
        row(
            "v1/a bad line costs only itself",
            "JW-TCP-3, JW-TCP-7, JW-ERR-4",
            'C: {"cmd":"ping"',
            "C: ",
            "C: 5",
            'C: {"queue":"emails"}',
            'C: {"cmd":"ping"}',
            refused("PARSE_ERROR"),
            refused("PARSE_ERROR"),
            refused("VALIDATION_ERROR"),
            refused("VALIDATION_ERROR", '{"pointer":"/cmd"}'),
            'S: {"ok":true}',
        ),
        row(
            "v1/errors name the field",
            "JW-ERR-5, JW-ERR-6, JW-ERR-9",
            'C: {"cmd":"push","queue":"emails"}',
            'C: {"cmd":"push","queue":"e mails","name":"send"}',
            'C: {"cmd":"push","queue":"emails","name":"send","priority":1.5}',
            'C: {"cmd":"push","queue":"emails","name":"send","colour":"red"}',
            refused("VALIDATION_ERROR", '{"pointer":"/name"}'),
            refused("VALIDATION_ERROR", '{"pointer":"/queue"}'),
            refused("VALIDATION_ERROR", '{"pointer":"/priority","expected":"…"}'),
            refused("VALIDATION_ERROR", '{"pointer":"/colour"}'),
        ),
        row(
            "v1/a job that is not there",
            "JW-TCP-18; RustQueue's clients turn NOT_FOUND of get into null",
            f'C: {{"cmd":"get","id":"{LOST}"}}',
            f'C: {{"cmd":"ack","id":"{LOST}"}}',
            refused("NOT_FOUND", f'{{"id":"{LOST}"}}'),
            refused("JOB_NOT_FOUND", f'{{"id":"{LOST}"}}'),
        ),
        row(
            "v1/a batch of acks that fails in part is not ok",
            "JW-TCP-17; RustQueue's clients look at ok",
            f'C: {{"cmd":"ack_batch","ids":["{LOST}"]}}',
            'S: {"ok":false,"acked":0,"failed":1,"results":[{"id":"'
            + LOST
            + '","ok":false,"error":{"code":"JOB_NOT_FOUND","…":"…"}}],"error":{"code":"PARTIAL_FAILURE","message":"…","details":{"failed":1}}}',
        ),
        row(
            "v1/commands of version 2 are not known yet",
            "JW-TCP-16",
            'C: {"cmd":"find"}',
            'C: {"cmd":"abort","target":1}',
            refused("UNKNOWN_COMMAND"),
            refused("UNKNOWN_COMMAND"),
        ),
    ]


def _ends() -> list[dict[str, Any]]:
    return [
        row(
            "v1/lines that end as in other systems",
            "JW-TCP-2",
            'C: {"cmd":"ping","rid":1}\r',
            'C:  { "cmd" : "ping" , "rid" : 2 } \r',
            'S: {"ok":true,"rid":1}',
            'S: {"ok":true,"rid":2}',
        ),
        row(
            "v1/the last line needs no newline",
            "JW-TCP-5",
            push(ONE),
            'C~ {"cmd":"ping"}',
            "C.",
            pushed(ONE),
            'S: {"ok":true}',
            "S.",
        ),
        row(
            "v1/bye is the last word",
            "JW-TCP-28, JW-TCP-29",
            push(ONE),
            'C: {"cmd":"bye"}',
            push(TWO),
            pushed(ONE),
            'S: {"ok":true}',
            "S.",
        ),
        row(
            "v1/the end of the client ends the wait",
            "JW-TCP-27",
            'C: {"cmd":"pull","queue":"emails","wait_ms":60000}',
            "C.",
            'S: {"ok":true,"job":null}',
            "S.",
        ),
        row(
            "v1/another protocol is answered once",
            "JW-TCP-9",
            "C: GET / HTTP/1.1",
            refused("UNSUPPORTED_PROTOCOL"),
            "S.",
        ),
    ]


def _tokens() -> list[dict[str, Any]]:
    return [
        row(
            "v1/nothing but a greeting before the token",
            "JW-AUTH-2, JW-AUTH-7, JW-AUTH-8",
            push(ONE),
            'C: {"cmd":"ping"}',
            'C: {"cmd":"auth","token":"Secret"}',
            refused("UNAUTHORIZED"),
            'S: {"ok":true}',
            refused("UNAUTHORIZED"),
            'C: {"cmd":"auth","token":"secret"}',
            push(ONE),
            'S: {"ok":true}',
            pushed(ONE),
            token=True,
        ),
        row(
            "v1/auth where no token is wanted",
            "JW-AUTH-6",
            'C: {"cmd":"auth","token":"any"}',
            'S: {"ok":true}',
        ),
    ]


def _older_servers() -> list[dict[str, Any]]:
    """What a client makes of a server that knows no hello; ours never answers so."""
    hello = 'C: {"cmd":"hello","rid":1,"v":[1,2],"…":"…"}'
    return [
        row(
            "v1/a server without hello",
            "JW-SDK-6; RustQueue 0.3",
            hello,
            'S: {"ok":false,"error":{"code":"UNKNOWN_COMMAND","message":"Unknown command: hello"}}',
            'C: {"cmd":"queues"}',
            'S: {"ok":true,"queues":[]}',
            'C: {"cmd":"ping"}',
            'C: {"cmd":"ping"}',
            'S: {"ok":true}',
            'S: {"ok":false,"error":{"code":"INTERNAL_ERROR","message":"x"}}',
            sides=("client",),
        ),
        row(
            "v1/a server without hello that wants a token",
            "JW-SDK-6; RustQueue 0.3",
            hello,
            'S: {"ok":false,"error":{"code":"UNAUTHORIZED","message":"Authentication required"}}',
            'C: {"cmd":"auth","token":"secret"}',
            'S: {"ok":true}',
            'C: {"cmd":"ping"}',
            'S: {"ok":true}',
            sides=("client",),
            token=True,
        ),
    ]
