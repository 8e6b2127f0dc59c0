"""
`jobwire serve` with a fault that the proofs have to catch: `python -m tests.proof.fuzz.faulty_parsers FAULT serve …`.

`answers` gives three answers that the specification does not allow; `lenient` takes any text that the decoder takes; `crash` has a TCP parser that falls over
one word; `hoard` sets 1 MiB aside for each request; `endless` takes lines of any length.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from tests.proof.launched import Launched, entry

from jobwire_server.cli import main
from jobwire_server.http_api import handlers
from jobwire_server.wire import strict_json, tcp_codec, tcp_session
from jobwire_server.wire.requests import Command

Answer = tuple[int, bytes]


def faulty_server(folder: Path, fault: str) -> Launched:
    """A server, not started, with one of FAULTS."""
    return Launched(folder, entry=entry("tests.proof.fuzz.faulty_parsers", fault))


# --- answers ---


def undocumented_status(status: int, body: bytes) -> Answer:
    return 202, body


def without_a_field(status: int, body: bytes) -> Answer:
    answer: dict[str, Any] = msgspec.json.decode(body)
    answer.pop("queues")
    return status, msgspec.json.encode(answer)


def of_another_type(status: int, body: bytes) -> Answer:
    answer: dict[str, Any] = msgspec.json.decode(body)
    return status, msgspec.json.encode({**answer, "uptime_seconds": "long"})


WRONG_ANSWERS: dict[str, Callable[[int, bytes], Answer]] = {
    "stats": undocumented_status,
    "queues": without_a_field,
    "health": of_another_type,
}


def answer_wrongly() -> None:
    encode = handlers.responses.http_answer

    def wrong(name: str, result: Any) -> Answer:
        answer = encode(name, result)
        return WRONG_ANSWERS[name](*answer) if name in WRONG_ANSWERS else answer

    handlers.responses.http_answer = wrong  # type: ignore[assignment]


# --- lenient ---


def check_nothing() -> None:
    strict_json.check = lambda text: None


# --- crash ---


def fall_over_a_word() -> None:
    parse = tcp_session.parse_line

    def crash(line: bytes) -> Command:
        if b'"created_after"' in line:
            raise KeyError("created_after")
        return parse(line)

    tcp_session.parse_line = crash  # type: ignore[attr-defined]


# --- hoard, endless ---

HOARD: list[bytes] = []


def set_memory_aside() -> None:
    parse = handlers.requests.from_http

    def hoard(*given: Any) -> Command:
        HOARD.append(bytes(b"x" * (1 << 20)))
        return parse(*given)

    handlers.requests.from_http = hoard  # type: ignore[assignment]


def take_lines_of_any_length() -> None:
    fill = tcp_codec.LineDecoder.__init__
    tcp_codec.LineDecoder.__init__ = lambda self, limit: fill(self, 1 << 40)  # type: ignore[method-assign]


FAULTS: dict[str, Callable[[], None]] = {
    "hoard": set_memory_aside,
    "endless": take_lines_of_any_length,
    "answers": answer_wrongly,
    "lenient": check_nothing,
    "crash": fall_over_a_word,
}


if __name__ == "__main__":
    FAULTS[sys.argv.pop(1)]()
    sys.exit(main())
