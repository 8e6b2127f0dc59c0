"""spec/vectors/transcripts.json in the client's direction: what the TCP session writes, and what it makes of a server's lines, however they are cut."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from jobwire._tcp import Answered, Broken, Noticed, Ready, Session, Unprocessed

FILE = Path(__file__).parents[2] / "spec" / "vectors" / "transcripts.json"
ROWS = [
    row
    for row in json.loads(FILE.read_text(encoding="utf-8"))["vectors"]
    if "client" in row["sides"]
]
ANY = "…"
BYSTANDERS = ("A:", "T:", "T.")  # what is no affair of this client


def told(event: object) -> tuple[Any, ...]:
    match event:
        case Ready(version):
            return ("ready", version)
        case Answered(rid, body):
            return ("answered", rid, body)
        case Unprocessed(rid):
            return ("unprocessed", rid)
        case Noticed(name):
            return ("noticed", name)
        case Broken():
            return ("broken",)
    raise AssertionError(event)


class Client:
    """A session that says the C lines of a row, and what it should make of the S lines. `kind` is the cut."""

    def __init__(self, *, token: bool) -> None:
        self.session = Session(client_name="test", token="secret" if token else None)
        self.asked: list[int] = []
        self.greeted = False

    def say(self, line: str) -> None:
        """Check that the session writes this line."""
        wanted = json.loads(line)
        written = self._written(wanted)
        assert written.endswith(b"\n")
        assert written.count(b"\n") == 1
        said = json.loads(written)
        if ANY in wanted:
            wanted.pop(ANY)
            said = {key: said[key] for key in wanted}
        assert said == wanted

    def _written(self, wanted: dict[str, Any]) -> bytes:
        if wanted["cmd"] == "hello":
            return self.session.hello()
        if wanted["cmd"] == "auth":
            return self.session.outgoing()
        fields = {key: value for key, value in wanted.items() if key not in ("cmd", "rid")}
        rid, line = self.session.send(wanted["cmd"], json.dumps(fields).encode())
        self.asked.append(rid)
        return line

    def wanted_of(self, line: str) -> Iterator[tuple[Any, ...]]:
        """What the session should tell of this line."""
        try:
            body = json.loads(line)
        except ValueError:
            yield ("broken",)
            return
        if not self.greeted:
            yield from self._greeting(body)
        elif body.get("notice") == "goaway":
            for rid in [rid for rid in self.asked if rid > body["last_rid"]]:
                self.asked.remove(rid)
                yield ("unprocessed", rid)
            yield ("noticed", "goaway")
        elif "notice" in body:
            yield ("noticed", body["notice"])
        elif body.get("rid", self.asked[:1] and self.asked[0]) in self.asked:
            rid = body.get("rid", self.asked[0])
            self.asked.remove(rid)
            yield ("answered", rid, body)
        elif body["rid"] == 99:
            yield ("broken",)

    def _greeting(self, body: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        code = body.get("error", {}).get("code")
        if code == "UNAUTHORIZED" and "rid" not in body:
            return  # RustQueue: auth comes next
        self.greeted = True
        yield ("broken",) if code == "UNAUTHORIZED" else ("ready", body.get("v", 1))


def groups(row: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Adjacent lines of one side together, S* lines apart from S: ones."""
    lines = [line for line in row["lines"] if line[:2] not in BYSTANDERS]
    for mark, group in groupby(lines, key=lambda line: str(line[:2])):
        yield mark, [line[3:] for line in group]


def fed(session: Session, lines: list[str], cut: str) -> list[tuple[Any, ...]]:
    data = [line.encode() + b"\n" for line in lines]
    if cut == "whole":
        data = [b"".join(data)]
    elif cut == "bytes":
        data = [bytes([byte]) for byte in b"".join(data)]
    return [told(event) for piece in data for event in session.feed(piece)]


@pytest.mark.parametrize("cut", ["whole", "lines", "bytes"])
@pytest.mark.parametrize("turned", [False, True], ids=["as written", "any-order lines turned"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_session_says_and_understands_the_lines(
    row: dict[str, Any], turned: bool, cut: str
) -> None:
    client = Client(token=row["token"])

    for mark, lines in groups(row):
        if mark == "C:":
            for line in lines:
                client.say(line)
        elif mark in ("S:", "S*"):
            coming = lines[::-1] if turned and mark == "S*" else lines
            wanted = [event for line in coming for event in client.wanted_of(line)]

            assert fed(client.session, coming, cut) == wanted
        else:
            assert mark in ("C.", "S.")


def test_the_rows_have_every_kind_of_event() -> None:
    seen = set()
    for row in ROWS:
        client = Client(token=row["token"])
        for mark, lines in groups(row):
            for line in lines:
                if mark == "C:":
                    client.say(line)
                elif mark in ("S:", "S*"):
                    seen |= {event[0] for event in client.wanted_of(line)}
                    client.session.feed(line.encode() + b"\n")

    assert seen == {"ready", "answered", "noticed", "unprocessed", "broken"}
