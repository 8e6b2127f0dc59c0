"""spec/vectors/transcripts.json against the TCP door of the fake server, however the writes are cut (JW-TCP-12)."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from jobwire.testing import FakeServer

FILE = Path(__file__).parents[2] / "spec" / "vectors" / "transcripts.json"
ROWS = [
    row
    for row in json.loads(FILE.read_text(encoding="utf-8"))["vectors"]
    if "server" in row["sides"]
]
ANY = "…"
PATIENCE = 10.0


def dial(fake: FakeServer) -> socket.socket:
    where = urlsplit(fake.tcp_url)
    connection = socket.create_connection((str(where.hostname), where.port or 0), PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Talk:
    """One replay on one connection. `known` is what names such as <lease> stand for."""

    def __init__(self, fake: FakeServer, *, is_cut: bool) -> None:
        self.fake = fake
        self.is_cut = is_cut
        self.known: dict[str, Any] = {}
        self.connection = dial(fake)
        self.answers = self.connection.makefile("rb")

    def close(self) -> None:
        self.answers.close()
        self.connection.close()

    def do(self, mark: str, texts: list[str]) -> None:
        match mark:
            case "C":
                self.send("".join(texts))
            case "C.":
                self.connection.shutdown(socket.SHUT_WR)
            case "S:" | "S*":
                self.expect([json.loads(text) for text in texts])
            case "S.":
                assert self.answers.readline() == b""
            case "A:":
                self.ask_elsewhere(texts[0])
            case "T:":
                self.fake.advance(int(texts[0]) / 1000)
            case "T.":
                self.fake.drain()
            case _:
                raise AssertionError(mark)

    def send(self, text: str) -> None:
        data = self.filled(text).encode()
        for piece in (data[i : i + 1] for i in range(len(data))) if self.is_cut else [data]:
            self.connection.sendall(piece)

    def expect(self, left: list[Any]) -> None:
        """These lines, in any order."""
        while left:
            line = self.answers.readline()
            found = json.loads(line) if line else None
            fitting = [wanted for wanted in left if fits(wanted, found, dict(self.known))]
            assert fitting, f"expected {left}, got {line!r}"
            fits(fitting[0], found, self.known)
            left.remove(fitting[0])

    def ask_elsewhere(self, text: str) -> None:
        with dial(self.fake) as other, other.makefile("rb") as answers:
            other.sendall(self.filled(text).encode() + b"\n")
            assert json.loads(answers.readline())["ok"]

    def filled(self, text: str) -> str:
        text = text.replace(f',"{ANY}":"{ANY}"', "")  # members that a client adds as it likes
        for name, value in self.known.items():
            text = text.replace(json.dumps(name), json.dumps(value))
        return text


def fits(wanted: Any, found: Any, known: dict[str, Any]) -> bool:
    """Whether *found* is what a line says; what it says of names is put into *known*."""
    if wanted == ANY:
        return True
    if isinstance(wanted, str) and wanted.startswith("<"):
        return bool(known.setdefault(wanted, found) == found)
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return all(fits(*pair, known) for pair in zip(wanted, found, strict=True))
    if not isinstance(wanted, dict) or not isinstance(found, dict):
        return type(wanted) is type(found) and bool(wanted == found)
    names = wanted.keys() - {ANY}
    if names - found.keys() or (ANY not in wanted and found.keys() - names):
        return False
    return all(fits(wanted[name], found[name], known) for name in names)


def turns(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The lines in groups: what is sent in one write, what comes in any order, and the rest one by one."""
    said = [("C" if line[:2] in ("C:", "C~") else line[:2], line) for line in lines]
    for mark, group in itertools.groupby(said, key=lambda each: each[0]):
        texts = [line[3:] + ("\n" if line[:2] == "C:" else "") for _, line in group]
        for together in [texts] if mark in ("C", "S*") else [[text] for text in texts]:
            yield mark, together


@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "bytes"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_conversation(row: dict[str, Any], is_cut: bool) -> None:
    with FakeServer(token="secret" if row["token"] else None) as fake:
        talk = Talk(fake, is_cut=is_cut)
        try:
            for mark, texts in turns(row["lines"]):
                talk.do(mark, texts)
        finally:
            talk.close()
