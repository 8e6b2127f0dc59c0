"""The conversations of spec/vectors/transcripts.json: read, and their lines compared with what came."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from conformance.runner.specification import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PATH: Final = REPOSITORY / "spec" / "vectors" / "transcripts.json"
ANY: Final = "…"
CHUNKINGS: Final = ("whole", "lines", "bytes")
_SENDS: Final = frozenset({"C:", "C~"})


@dataclass(frozen=True, slots=True)
class Said:
    """A line: its mark, and its text without the newline."""

    mark: str
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)


@dataclass(frozen=True, slots=True)
class Transcript:
    id: str
    sides: frozenset[str]
    token: bool
    lines: tuple[Said, ...]

    @property
    def stops_the_server(self) -> bool:
        return any(said.mark == "T." for said in self.lines)

    def turns(self) -> Iterator[tuple[str, tuple[Said, ...]]]:
        """The lines in groups: what is sent in one write ("C"), what comes in any order ("S*"), and the rest one by one."""
        for kind, group in itertools.groupby(self.lines, key=_kind):
            together = kind in ("C", "S*")
            for said in [tuple(group)] if together else [(each,) for each in group]:
                yield kind, said


def _kind(said: Said) -> str:
    return "C" if said.mark in _SENDS else said.mark


def transcripts(side: str) -> list[Transcript]:
    """Those that *side*, a server or a client, is held against."""
    listed = json.loads(PATH.read_text(encoding="utf-8"))["vectors"]
    return [
        Transcript(
            id=each["id"],
            sides=frozenset(each["sides"]),
            token=each["token"],
            lines=tuple(Said(line[:2], line[3:]) for line in each["lines"]),
        )
        for each in listed
        if side in each["sides"]
    ]


def pieces(sent: Iterable[Said], chunking: str, known: Mapping[str, Any]) -> list[bytes]:
    """The bytes of some lines as writes: one, one a line, or one a byte."""
    lines = [_bytes(said, known) for said in sent]
    if chunking == "lines":
        return lines
    whole = b"".join(lines)
    return [whole] if chunking == "whole" else [bytes([byte]) for byte in whole]


def _bytes(said: Said, known: Mapping[str, Any]) -> bytes:
    text = said.text
    for name, value in known.items():
        text = text.replace(json.dumps(name), json.dumps(value))
    text = text.replace(f',"{ANY}":"{ANY}"', "")  # members that a client adds as it likes
    return text.encode() + (b"" if said.mark == "C~" else b"\n")


def difference(wanted: Any, found: Any, known: dict[str, Any], at: str = "$") -> str:
    """Why *found* is not what the line says; empty when it is. Names such as <lease> are put into *known*."""
    if wanted == ANY:
        return ""
    if isinstance(wanted, str) and wanted.startswith("<"):
        wanted = known.setdefault(wanted, found)
    if isinstance(wanted, dict) and isinstance(found, dict):
        return _members(wanted, found, known, at)
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        pairs = enumerate(zip(wanted, found, strict=True))
        return _first(difference(*pair, known, f"{at}[{index}]") for index, pair in pairs)
    same = type(wanted) is type(found) and wanted == found
    return "" if same else f"{at}: expected {wanted!r}, got {found!r}"


def _members(wanted: dict[str, Any], found: dict[str, Any], known: dict[str, Any], at: str) -> str:
    named = wanted.keys() - {ANY}
    if named - found.keys():
        return f"{at}: no {sorted(named - found.keys())}"
    if ANY not in wanted and found.keys() - named:
        return f"{at}: not expected: {sorted(found.keys() - named)}"
    return _first(
        difference(wanted[key], found[key], known, f"{at}.{key}") for key in sorted(named)
    )


def _first(problems: Iterable[str]) -> str:
    return next(filter(None, problems), "")
