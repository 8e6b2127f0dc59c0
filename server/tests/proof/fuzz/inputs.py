"""Hostile inputs, drawn from a seed: requests that follow the grammar of spec/wire.yaml, captures of RustQueue's clients, its binary frames, and mutations of all.

`Inputs(seed)` draws the same inputs in the same order each time.
"""

from __future__ import annotations

import json
import struct
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, Final

import yaml
from tests.vectors import spec, vectors

from jobwire_server.http_api.app import PREFIX, TABLE

COMPAT: Final = Path(__file__).parents[2] / "compat"
LONGEST: Final = 1 << 16  # bytes of an input
JOB: Final = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f"
_WORDS: Final = (
    b'{ } [ ] , : " \\ \\u0000 \\ud800 \\u0061 null true NaN 1e999 -0 0.5 1e3 -1 '
    b"9223372036854775808 18446744073709551616 \x00 \xff \xc0\xaf \xed\xa0\x80 \xef\xbb\xbf "
    b'"cmd": "rid":1, "data": "options":{ "id": "v":[1,2] wait_ms \r \x01 \x10 HTTP/1.1 \x16\x03\x01'
)
_LONG: Final = (b"[" * 200, b"9" * 5000, b"x" * 4096)
TOKENS: Final = (*_WORDS.split(b" "), b" ", b"\t", b"\n", b"\r\n", b"\n\n", b"GET ", *_LONG)
SAMPLES: Final[dict[str, tuple[Any, ...]]] = {
    "string": ("q", "", "a.b-c_d", "n" * 300, "é", "\0", "waiting", "urn:uuid:" + JOB, "😀" * 90),
    "bool": (True, False),
    "int": (0, 1, -1, 7, 20, 1000, 1001, 2**31, 2**53, 2**63, 2**64, 10**30),
    "number": (0, 1, 0.5, -0.5, 1e308, 2),
    "json": (None, {}, [], {"a": [1]}, "x", 1.5, [[[[]]]], {"follow_ups": 1}),
    "time": ("2026-11-22T09:00:00Z", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00+23:59", "x"),
    "uuid": (JOB, JOB.upper(), "{" + JOB + "}", "01939d1c5b1e7c3a9f2e0a1b2c3d4e60", "nope"),
}  # fmt: skip
WRONG: Final = (None, 0, "", [], {}, True, 1.5, "x", [None], {"id": 1})
LONG_WAIT: Final = 30  # ms


class Inputs:
    """Draws inputs; `random` may be drawn from for anything that goes with them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    # --- whole inputs ---

    def line(self) -> bytes:
        """One TCP line without its newline."""
        return self._maybe_mutated(self._a_line())

    def stream(self) -> bytes:
        """What a TCP connection may be sent: lines, binary frames, rubbish."""
        draw = self.random
        parts = [self._piece_of_stream() for _ in range(draw.choice((1, 1, 2, 3, 8)))]
        hello = b'{"cmd":"hello","v":[1,2],"rid":0}\n' if draw.random() < 0.4 else b""
        return self._maybe_mutated(hello + b"".join(parts), 0.3)

    def body(self) -> tuple[int, bytes]:
        """The number of a row of the route table, and a body for it."""
        route = self.random.randrange(len(TABLE))
        command = TABLE[route][2]
        fields = self._fields(command) if command in spec("wire")["operations"] else {}
        text = _encoded(fields) if self.random.random() < 0.8 else self.random.choice(_bodies())
        return route, self._maybe_mutated(text)

    def query(self) -> bytes:
        names = ("count", "limit", "cursor", "state", "queue", "created_after", "name", "cmd", "x")
        values = ("1", "null", "1e1", "-1", "99999999999", "a,b", "waiting,dlq", "%00", "%ff", "%E0%80", "2026-01-01T00:00:00Z", "")  # fmt: skip
        draw = self.random
        pairs = [f"{draw.choice(names)}={draw.choice(values)}" for _ in range(draw.randrange(1, 5))]
        return self._maybe_mutated("&".join(pairs).encode())

    def path(self) -> bytes:
        segment = self.random.choice((JOB, "q", "..", "%2f", "%00", "%ff", "", "ack", "é", "{id}"))
        path = PREFIX + self.random.choice(TABLE)[1]
        return self._maybe_mutated(
            path.replace("{id}", segment).replace("{queue}", segment).encode()
        )

    def header(self) -> bytes:
        values = (
            b"application/json", b"application/problem+json;q=0.9, application/json;q=x", b"*/*",
            b"Bearer abc", b"10.0.0.1, 127.0.0.1", b"::1", b"[::1]:80", b"http://localhost:6790",
            b"null", b"localhost:99999", b'application/x+json; charset="utf-8"', b"a" * 3000,
        )  # fmt: skip
        return self._maybe_mutated(self.random.choice(values))

    def http(self) -> bytes:
        """One or two HTTP requests as they come over a socket."""
        draw = self.random
        asked = b"".join(self._http_request() for _ in range(draw.choice((1, 1, 2))))
        return self._maybe_mutated(asked, 0.4)

    def pieces(self, data: bytes) -> list[bytes]:
        """The same bytes, cut at random."""
        cuts = sorted(self.random.randrange(len(data) + 1) for _ in range(self.random.randrange(4)))
        edges = [0, *cuts, len(data)]
        return [data[start:end] for start, end in pairwise(edges)]

    # --- their parts ---

    def _piece_of_stream(self) -> bytes:
        kind = self.random.random()
        if kind < 0.8:
            return self._a_line() + self.random.choice((b"\n", b"\n", b"\r\n"))
        if kind < 0.9:
            return self._binary_frame()
        return self.random.choice(TOKENS) + self.random.randbytes(self.random.randrange(20))

    def _a_line(self) -> bytes:
        if self.random.random() < 0.25:
            return self.random.choice(_captures())
        command = self.random.choice(_commands())
        fields = {"cmd": command, **self._fields(command)}
        if self.random.random() < 0.5:
            fields["rid"] = self.random.choice((0, 1, 2, 3, 2**53 - 1, 2**53, "1"))
        return _encoded(fields)

    def _fields(self, command: str) -> dict[str, Any]:
        """Members of a request, most of them of the right type."""
        found: dict[str, Any] = {}
        for name, field in _fields_of(command).items():
            wanted = field.get("required", False)
            if self.random.random() < (0.95 if wanted else 0.3):
                found[name] = self._value(field["type"])
        if self.random.random() < 0.03:
            found["nonsense"] = 1
        if "wait_ms" in found:
            found["wait_ms"] = self.random.choice((0, 1, LONG_WAIT))
        return found

    def _value(self, kind: str) -> Any:
        draw = self.random
        if draw.random() < 0.08:
            return draw.choice(WRONG)
        if kind.startswith("list<"):
            return [self._value(kind[5:-1]) for _ in range(draw.choice((0, 1, 1, 2, 5)))]
        if kind.startswith("object "):
            fields = spec("wire")["objects"].get(kind[7:], {})
            return {n: self._value(f["type"]) for n, f in fields.items() if draw.random() < 0.3}
        return draw.choice(SAMPLES[kind])

    def _binary_frame(self) -> bytes:
        """A frame of RustQueue, with counts and lengths that may promise more than there is."""
        draw = self.random
        count = draw.choice((0, 1, 2, 2**31, 2**32 - 1))
        length = draw.choice((0, 3, 2**16, 2**31, 2**32 - 1))
        frame = draw.choice(
            (
                b"\x01\x00\x01q" + struct.pack(">II", count, length) + b"{}",
                b"\x02\xff\xffq" + struct.pack(">I", count),
                b"\x03" + struct.pack(">I", count) + bytes(16),
            )
        )
        return b"\x10\x00\x07" + frame if draw.random() < 0.3 else frame

    def _http_request(self) -> bytes:
        draw = self.random
        route, body = self.body()
        path = self.path().decode("latin-1") if draw.random() < 0.2 else _path_of(route)
        headers = [f"{TABLE[route][0]} {path} HTTP/1.1", "Host: localhost"]
        headers.append("Content-Type: application/json")
        declared = len(body) if draw.random() < 0.9 else draw.choice((0, -1, 2**63, len(body) + 1))
        headers.append(f"Content-Length: {declared}")
        if draw.random() < 0.2:
            name = draw.choice(("X-Request-Id", "Origin", "Host", "Accept", "X-Forwarded-For"))
            headers.append(f"{name}: {self.header().decode('latin-1')}")
        return "\r\n".join([*headers, "", ""]).encode("latin-1") + body

    # --- mutation ---

    def _maybe_mutated(self, data: bytes, share: float = 0.6) -> bytes:
        while self.random.random() < share:
            data = self._mutated(data)
            share *= 0.7
        return data[:LONGEST]

    def _mutated(self, data: bytes) -> bytes:
        draw = self.random
        start = draw.randrange(len(data) + 1)
        end = min(len(data), start + draw.choice((0, 1, 1, 2, 8, 64)))
        middle = draw.choice(
            (
                b"",
                draw.choice(TOKENS),
                draw.choice(TOKENS),
                draw.randbytes(draw.randrange(1, 5)),
                data[start:end] * draw.choice((2, 3, 100)),
                bytes(byte ^ 1 << draw.randrange(8) for byte in data[start:end]),
            )
        )
        return data[:start] + middle + data[end:]


def _encoded(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def _path_of(route: int) -> str:
    path = TABLE[route][1].replace("{id}", JOB).replace("{queue}", "q").replace("{flow_id}", "f")
    return PREFIX + path


@cache
def _commands() -> tuple[str, ...]:
    return tuple(name for name, each in spec("wire")["operations"].items() if "wire" in each)


@cache
def _fields_of(command: str) -> dict[str, dict[str, Any]]:
    wire = spec("wire")
    fields: dict[str, dict[str, Any]] = {}
    for name, field in (wire["operations"][command].get("fields") or {}).items():
        fields |= wire["objects"][field.removeprefix("object ")] if name == "..." else {name: field}
    if "PushItem" in str(wire["operations"][command].get("fields")):
        fields = {**wire["objects"]["JobOptions"], **fields}
    return fields


@cache
def _exchanges(key: str) -> tuple[bytes, ...]:
    """What RustQueue's own clients sent, with an id where one had been saved."""
    files = sorted(COMPAT.glob("*.yaml"))
    exchanges = [each for path in files for each in yaml.safe_load(path.read_text())["exchanges"]]
    texts = [str(each[key]) for each in exchanges if key in each]
    return tuple(text.replace("$id", JOB).encode() for text in texts)


def _captures() -> tuple[bytes, ...]:
    return _exchanges("line")


@cache
def _bodies() -> tuple[bytes, ...]:
    hostile = [bytes.fromhex(row["hex"]) for row in vectors("malformed") if row.get("hex")]
    return (*_exchanges("body"), *(text for text in hostile if len(text) < LONGEST))
