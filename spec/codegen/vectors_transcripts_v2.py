"""Conversations in version 2 of the wire."""

from __future__ import annotations

from typing import Any

from vectors_transcripts_v1 import LOST, ONE, TWO, row

BOTH = ("server", "client")
CLIENT = ("client",)

HELLO = 'C: {"cmd":"hello","rid":1,"v":[1,2],"…":"…"}'
WELCOME = 'S: {"ok":true,"v":2,"server":"…","capabilities":"…","limits":"…","defaults":"…","heartbeat_ms":10000,"rid":1}'
OPENING = (HELLO, WELCOME)


def rows() -> list[dict[str, Any]]:
    return [
        *_order(),
        *_waits(),
        *_errors(),
        *_hello(),
        *_notices(),
        *_drain(),
        *_strange_servers(),
    ]


def push(rid: int, job: str) -> str:
    return f'C: {{"cmd":"push","rid":{rid},"queue":"emails","name":"send","id":"{job}"}}'


def pushed(rid: int, job: str, mark: str = "S:") -> str:
    return f'{mark} {{"ok":true,"id":"{job}","outcome":"created","rid":{rid}}}'


def pull(rid: int, wait_ms: int = 60_000) -> str:
    return f'C: {{"cmd":"pull","rid":{rid},"queue":"emails","wait_ms":{wait_ms}}}'


def pulled(rid: int, job: str, mark: str = "S:") -> str:
    return f'{mark} {{"ok":true,"job":{{"id":"{job}","lease":"<lease>","…":"…"}},"rid":{rid}}}'


def nothing(rid: int, mark: str = "S:") -> str:
    return f'{mark} {{"ok":true,"job":null,"rid":{rid}}}'


def refused(rid: int, code: str, retryable: str = "false", details: str = '"…"') -> str:
    return (
        f'S: {{"ok":false,"error":{{"code":"{code}","message":"…","details":{details},'
        f'"retryable":{retryable}}},"rid":{rid}}}'
    )


def _order() -> list[dict[str, Any]]:
    return [
        row(
            "v2/a burst is answered as its requests are done",
            "JW-TCP-23",
            *OPENING,
            'C: {"cmd":"ping","rid":2}',
            push(3, ONE),
            'C: {"cmd":"queues","rid":4}',
            push(5, TWO),
            'S* {"ok":true,"rid":2}',
            pushed(3, ONE, "S*"),
            'S* {"ok":true,"queues":"…","rid":4}',
            pushed(5, TWO, "S*"),
            sides=BOTH,
        ),
        row(
            "v2/a pull that waits holds up nothing",
            "JW-TCP-23, JW-PULL-9",
            *OPENING,
            pull(2),
            'C: {"cmd":"ping","rid":3}',
            'S: {"ok":true,"rid":3}',
            push(4, ONE),
            pulled(2, ONE, "S*"),
            pushed(4, ONE, "S*"),
            'C: {"cmd":"ack","rid":5,"id":"' + ONE + '","lease":"<lease>"}',
            'S: {"ok":true,"rid":5}',
            sides=BOTH,
        ),
        row(
            "v2/requests without a rid keep their order",
            "JW-TCP-24",
            *OPENING,
            'C: {"cmd":"pull","queue":"emails","wait_ms":60000}',
            'C: {"cmd":"ping"}',
            'C: {"cmd":"ping","rid":6}',
            'S: {"ok":true,"rid":6}',
            f'A: {{"cmd":"push","queue":"emails","name":"send","id":"{ONE}"}}',
            f'S: {{"ok":true,"job":{{"id":"{ONE}","…":"…"}}}}',
            'S: {"ok":true}',
        ),
        row(
            "v2/everything in one write",
            "JW-TCP-30, JW-AUTH-7",
            'C: {"cmd":"hello","rid":1,"v":[2],"token":"secret"}',
            'C: {"cmd":"ping","rid":2}',
            WELCOME,
            'S: {"ok":true,"rid":2}',
            token=True,
        ),
    ]


def _waits() -> list[dict[str, Any]]:
    return [
        row(
            "v2/an abort ends a wait",
            "JW-TCP-25, JW-TCP-26, JW-TCP-27",
            *OPENING,
            pull(2),
            'C: {"cmd":"abort","rid":3,"target":2}',
            nothing(2, "S*"),
            'S* {"ok":true,"aborted":true,"rid":3}',
            'C: {"cmd":"abort","rid":4,"target":2}',
            'S: {"ok":true,"aborted":false,"rid":4}',
            sides=BOTH,
        ),
        row(
            "v2/an abort of several jobs, and of heartbeats",
            "JW-TCP-25, JW-PULL-13, JW-HB-5",
            *OPENING,
            'C: {"cmd":"pull","rid":2,"queue":"emails","count":5,"wait_ms":60000}',
            'C: {"cmd":"heartbeat_batch","rid":3,"items":[],"worker":{"id":"w"},"wait_ms":60000}',
            'C: {"cmd":"abort","rid":4,"target":2}',
            'C: {"cmd":"abort","rid":5,"target":3}',
            'S* {"ok":true,"jobs":[],"rid":2}',
            'S* {"ok":true,"results":[],"lost":[],"cancelled":[],"deaf":false,"rid":3}',
            'S* {"ok":true,"aborted":true,"rid":4}',
            'S* {"ok":true,"aborted":true,"rid":5}',
            sides=BOTH,
        ),
        row(
            "v2/a wait whose time is over",
            "JW-TCP-27, JW-PULL-9",
            *OPENING,
            pull(2, 20),
            nothing(2),
            sides=BOTH,
        ),
        row(
            "v2/bye ends waits and is the last word",
            "JW-TCP-27, JW-TCP-28, JW-TCP-29",
            *OPENING,
            pull(2),
            'C: {"cmd":"bye","rid":3}',
            push(4, ONE),
            nothing(2),
            'S: {"ok":true,"rid":3}',
            "S.",
        ),
        row(
            "v2/the end of the client ends waits",
            "JW-TCP-27, JW-PULL-12",
            *OPENING,
            pull(2),
            "C.",
            nothing(2),
            "S.",
        ),
    ]


def _errors() -> list[dict[str, Any]]:
    return [
        row(
            "v2/errors say whether to try again, and the connection goes on",
            "JW-ERR-2, JW-ERR-5",
            *OPENING,
            'C: {"cmd":"get","rid":2,"id":"' + LOST + '"}',
            refused(2, "JOB_NOT_FOUND", details=f'{{"id":"{LOST}"}}'),
            'C: {"cmd":"ack","rid":3,"id":"' + LOST + '"}',
            refused(3, "JOB_NOT_FOUND", details=f'{{"id":"{LOST}"}}'),
            'C: {"cmd":"push","rid":4,"queue":"emails"}',
            refused(4, "VALIDATION_ERROR", details='{"pointer":"/name"}'),
            'C: {"cmd":"ping","rid":5}',
            'S: {"ok":true,"rid":5}',
            sides=BOTH,
        ),
        row(
            "v2/a line without a readable rid is refused without one",
            "JW-TCP-19",
            *OPENING,
            'C: {"cmd":"ping","rid":"1"}',
            'S: {"ok":false,"error":{"code":"VALIDATION_ERROR","message":"…","details":{"pointer":"/rid","expected":"…"},"retryable":false}}',
            'C: {"cmd":"ping","rid":3',
            'S: {"ok":false,"error":{"code":"PARSE_ERROR","message":"…","details":"…","retryable":false}}',
        ),
        row(
            "v2/a batch in part",
            "JW-ACK-6, JW-PUSH-7",
            *OPENING,
            f'C: {{"cmd":"push_batch","rid":2,"queue":"emails","atomic":false,"jobs":[{{"name":"a","id":"{ONE}"}},{{"name":"a b","id":"{TWO}"}}]}}',
            f'S: {{"ok":true,"ids":["{ONE}",null],"outcomes":["created",null],"results":[{{"id":"{ONE}","ok":true,"outcome":"created"}},'
            f'{{"id":"{TWO}","ok":false,"error":{{"code":"VALIDATION_ERROR","message":"…","details":{{"pointer":"/jobs/1/name"}},"retryable":false}}}}],"rid":2}}',
            f'C: {{"cmd":"ack_batch","rid":3,"items":[{{"id":"{LOST}"}}]}}',
            f'S: {{"ok":true,"acked":0,"failed":1,"results":[{{"id":"{LOST}","ok":false,"error":{{"code":"JOB_NOT_FOUND","…":"…"}}}}],"rid":3}}',
            sides=BOTH,
        ),
    ]


def _hello() -> list[dict[str, Any]]:
    return [
        row(
            "v2/a second hello",
            "JW-TCP-22",
            *OPENING,
            'C: {"cmd":"hello","rid":2,"v":[2]}',
            refused(2, "VALIDATION_ERROR"),
        ),
        row(
            "v2/no version in common, then one",
            "JW-TCP-20",
            'C: {"cmd":"hello","rid":1,"v":[3,9]}',
            'S: {"ok":false,"error":{"code":"UNSUPPORTED_VERSION","message":"…","details":{"supported":[1,2],"…":"…"}},"rid":1}',
            *OPENING,
        ),
        row(
            "v2/a hello that chooses version 1",
            "JW-TCP-20, JW-TCP-21, JW-TCP-16",
            'C: {"cmd":"hello","rid":1,"v":[1]}',
            WELCOME.replace('"v":2', '"v":1'),
            'C: {"cmd":"queues","rid":2}',
            'S: {"ok":false,"error":{"code":"UNKNOWN_COMMAND","message":"…","details":"…"},"rid":2}',
        ),
        row(
            "v2/a hello with a wrong token, then with the right one",
            "JW-AUTH-8, JW-AUTH-2",
            'C: {"cmd":"hello","rid":1,"v":[2],"token":"wrong"}',
            'S: {"ok":false,"error":{"code":"UNAUTHORIZED","…":"…"},"rid":1}',
            'C: {"cmd":"hello","rid":1,"v":[2],"token":"secret"}',
            WELCOME,
            token=True,
        ),
        row(
            "v2/a hello that is refused ends a client's conversation",
            "JW-AUTH-2",
            'C: {"cmd":"hello","rid":1,"v":[1,2],"…":"…"}',
            'S: {"ok":false,"error":{"code":"UNAUTHORIZED","message":"no"},"rid":1}',
            "C.",
            sides=CLIENT,
            token=True,
        ),
    ]


def _notices() -> list[dict[str, Any]]:
    return [
        row(
            "v2/a job that is asked to stop",
            "JW-TCP-31, JW-CANCEL-4",
            *OPENING,
            push(2, ONE),
            pushed(2, ONE),
            pull(3, 0),
            pulled(3, ONE),
            f'A: {{"cmd":"cancel","id":"{ONE}"}}',
            f'S: {{"notice":"job.cancel","id":"{ONE}","lease":"<lease>"}}',
            'C: {"cmd":"heartbeat","rid":4,"id":"' + ONE + '","lease":"<lease>"}',
            'S: {"ok":true,"lease_expires_at":"…","cancelled":true,"rid":4}',
            sides=BOTH,
        ),
        row(
            "v2/a lease that runs out",
            "JW-TCP-31, JW-LEASE-3",
            *OPENING,
            push(2, ONE),
            pushed(2, ONE),
            'C: {"cmd":"pull","rid":3,"queue":"emails","lease_ms":5000}',
            pulled(3, ONE),
            "T: 5001",
            f'S: {{"notice":"lease.lost","id":"{ONE}","lease":"<lease>"}}',
            'C: {"cmd":"ack","rid":4,"id":"' + ONE + '","lease":"<lease>"}',
            refused(4, "LEASE_LOST", details=f'{{"id":"{ONE}","state":"waiting"}}'),
            sides=BOTH,
        ),
        row(
            "v2/a notice of a later server",
            "JW-TCP-32",
            *OPENING,
            'C: {"cmd":"ping","rid":2}',
            'S: {"notice":"weather.changed","to":{"rain":[true]}}',
            'S: {"ok":true,"rid":2,"a_new_member":1}',
            sides=CLIENT,
        ),
    ]


def _drain() -> list[dict[str, Any]]:
    return [
        row(
            "v2/a server that stops",
            "JW-TCP-33, JW-PULL-16",
            *OPENING,
            'C: {"cmd":"ping","rid":2}',
            'S: {"ok":true,"rid":2}',
            pull(3),
            'C: {"cmd":"ping","rid":4}',
            'S: {"ok":true,"rid":4}',
            "T.",
            'S* {"notice":"goaway","last_rid":3,"reason":"…"}',
            nothing(3, "S*"),
            "S.",
            sides=BOTH,
        ),
        row(
            "v2/a request that the server did not take",
            "JW-TCP-33, JW-TCP-34",
            *OPENING,
            'C: {"cmd":"queues","rid":2}',
            push(3, ONE),
            'S: {"notice":"goaway","last_rid":2,"reason":"shutdown"}',
            'S: {"ok":true,"queues":[],"rid":2}',
            'S: {"ok":false,"error":{"code":"SHUTTING_DOWN","message":"no"},"rid":3}',
            "S.",
            sides=CLIENT,
        ),
    ]


def _strange_servers() -> list[dict[str, Any]]:
    return [
        row(
            "v2/an answer to nobody",
            "JW-SDK-12",
            *OPENING,
            'C: {"cmd":"ping","rid":2}',
            'S: {"ok":true,"rid":99}',
            "C.",
            sides=CLIENT,
        ),
        row(
            "v2/a line that is no JSON",
            "JW-SDK-12",
            *OPENING,
            'C: {"cmd":"ping","rid":2}',
            "S: HTTP/1.1 400 Bad Request",
            "C.",
            sides=CLIENT,
        ),
        row(
            "v2/a line that ends as in other systems",
            "JW-TCP-2",
            *OPENING,
            'C: {"cmd":"ping","rid":2}',
            'S: {"ok":true,"rid":2}\r',
            sides=CLIENT,
        ),
    ]
