"""The pure parsers under fuzz: what each is fed, and what may come of it. Anything else is a bug (an Exception of whatever type)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from tests.proof.fuzz.inputs import Inputs
from tests.proof.fuzz.sessions import answers_of

from jobwire_server.auth import TrustedProxies
from jobwire_server.error_codes import ERROR_CODES
from jobwire_server.errors import JobwireError
from jobwire_server.http_api import answers, bodies
from jobwire_server.http_api.app import FIND_FIELDS, ROUTES, TABLE
from jobwire_server.http_api.browser import Asked, BrowserGuard
from jobwire_server.http_api.handlers import read_query
from jobwire_server.http_api.routing import Router
from jobwire_server.wire import requests, responses

OK: Final = "ok"
BODY_ROUTES: Final = tuple(row for row in TABLE if row[2] in requests.TYPES)
GIVEN: Final = {"id": "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f", "queue": "q", "flow_id": "f"}
ROUTER: Final = Router(ROUTES)
PROXIES: Final = TrustedProxies(("127.0.0.0/8", "::1/128"))
GUARD: Final = BrowserGuard(bound_host="127.0.0.1", allowed_hosts=(), allowed_origins=())


class OutcomeError(AssertionError):
    """An outcome that the specification does not have."""


@dataclass(frozen=True, slots=True)
class Target:
    """
    `draw` makes an input; `check` feeds it and says ok, or the code of the refusal. An input and its target are enough to see it again.

    `turn` says how long the input holds up the others, in ms of processor time, where that is not all of the check.
    """

    draw: Callable[[Inputs], bytes]
    check: Callable[[bytes], str]
    turn: Callable[[bytes], float] | None = None


def check_refusal(error: JobwireError, door: str) -> str:
    """A refusal is one of the catalogue for this door, with members that are listed there, and can be written."""
    info = ERROR_CODES.get(error.code)
    if info is None or door not in info.doors or error.code == "INTERNAL_ERROR":
        raise OutcomeError(f"{error.code} over {door}")
    if not set(error.details or {}) <= set(info.details):
        raise OutcomeError(f"{error.code} has {error.details}")
    if door == "http" and responses.status_of(error) not in info.statuses:
        raise OutcomeError(f"{error.code} with {responses.status_of(error)}")
    written = (
        responses.tcp_answer("", error, wire=2, rid=1)
        if door == "tcp"
        else responses.error_body(error)
    )
    if json.loads(written)["error"]["code"] != error.code:
        raise OutcomeError(written.decode())
    return error.code


# --- each target ---


def check_line(data: bytes) -> str:
    try:
        requests.parse_line(data)
    except requests.BadRequest as bad:
        return check_refusal(bad.error, "tcp")
    return OK


def draw_body(inputs: Inputs) -> bytes:
    """The number of a row of BODY_ROUTES, and a body; most bodies are meant for their route."""
    route, body = inputs.body()
    row = TABLE[route]
    number = BODY_ROUTES.index(row) if row in BODY_ROUTES else 0
    return bytes([number]) + body


def check_body(data: bytes) -> str:
    _, path, command, _ = BODY_ROUTES[data[0] % len(BODY_ROUTES)]
    given = {name: value for name, value in GIVEN.items() if f"{{{name}}}" in path}
    return _outcome(lambda: requests.from_http(command, data[1:], given, {}))


def check_query(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    fields = frozenset({*FIND_FIELDS.split(), "count"})
    command = "pull" if b"count" in data else "find"
    given = {"queue": "q"} if command == "pull" else {}
    return _outcome(lambda: requests.from_http(command, None, given, read_query(text, fields)))


def check_path(data: bytes) -> str:
    return _outcome(lambda: ROUTER.find(data.decode("utf-8", "surrogateescape")))


def check_header(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    bodies.is_json(text)
    answers.prefers_problem(text)
    PROXIES.client_of("127.0.0.1", (text,))
    refused = GUARD.refusal(
        Asked(hosts=(text,), origin=text, fetch_site=text, changes_state=True, any_host=False)
    )
    return check_refusal(refused, "http") if refused else OK


def turn_of_stream(data: bytes) -> float:
    """How long a stream that comes at once keeps the others waiting, in ms of processor time."""
    return answers_of([data]).longest_ms


def check_stream(data: bytes) -> str:
    """Whole and cut at random the answers are the same (JW-TCP-12), one a line (JW-TCP-3), each in the catalogue."""
    whole = answers_of([data])
    cut = Inputs(zlib.crc32(data)).pieces(data)
    if answers_of(cut).answers != whole.answers:
        raise OutcomeError("the answers depend on where the stream is cut")
    for line in whole.said:
        answer = json.loads(line)
        code = answer.get("error", {}).get("code")
        if code is not None and code not in ERROR_CODES:
            raise OutcomeError(f"{code} over tcp")
    if whole.is_plain and len(whole.said) != whole.lines_of(data):
        raise OutcomeError(f"{whole.lines_of(data)} lines had {len(whole.said)} answers")
    return "stream"


def _outcome(parse: Callable[[], Any]) -> str:
    try:
        parse()
    except JobwireError as error:
        return check_refusal(error, "http")
    return OK


TARGETS: Final[dict[str, Target]] = {
    "line": Target(Inputs.line, check_line),
    "stream": Target(Inputs.stream, check_stream, turn_of_stream),
    "body": Target(draw_body, check_body),
    "query": Target(Inputs.query, check_query),
    "path": Target(Inputs.path, check_path),
    "header": Target(Inputs.header, check_header),
}
WEIGHTS: Final = {"line": 5, "stream": 3, "body": 4, "query": 1, "path": 1, "header": 1}

# Inputs that once had the wrong outcome, or cost too much. A new one goes here, with its target.
MIB: Final = 1 << 20
_PUSH: Final = b'{"cmd":"push","queue":"q","name":"n","data":%b}'
REGRESSIONS: Final[tuple[tuple[str, bytes], ...]] = (
    ("header", b"http://caf\xe9"),
    ("query", b"limit=null"),
    ("query", b"count=1e1"),
    ("line", b'{"cmd":"ack_batch","items":[],"ids":[""]}'),
    ("line", _PUSH % (b"[" + (b"[" * 126 + b"]" * 126 + b",") * 250 + b"[]]")),
    ("line", _PUSH % (b"[" + b"[]," * 20_000 + b"[]]")),
    ("line", _PUSH % (b"[" + b'{"a" :1},' * 7_000 + b"{}]")),
    ("stream", b'{"cmd":"push","queue":"q","name":"n","prid":0}\n' * 100),
)


def drawn(random: Random) -> str:
    """The name of a target, by weight."""
    return random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
