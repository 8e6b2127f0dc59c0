"""
What commands print: tables for people, the wire's JSON for programs.

Text of users goes through `printable` on its way to a terminal; nothing here is read as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jobwire_server.cli import durations
from jobwire_server.cli.exits import CliError
from jobwire_server.cli.remote import Answer
from jobwire_server.log import printable

NOTHING: Final = "–"
MAX_CELL: Final = 2_000  # characters of a value in a table; -o json has all of it
_PIPE_WIDTH: Final = 20_000  # a table in a pipe is never folded or cut

_STYLES: Final = {
    "active": "cyan",
    "alive": "green",
    "cancelled": "dim",
    "completed": "green",
    "deaf": "red",
    "dlq": "red",
    "fail": "bold red",
    "healthy": "green",
    "lost": "red",
    "ok": "green",
    "warn": "yellow",
}


class Format(StrEnum):
    """What -o takes."""

    TABLE = "table"
    JSON = "json"


def console(*, to_stderr: bool = False) -> Console:
    """A console that takes text as it is: no markup, no emoji names, no guessing at colours."""
    stream = sys.stderr if to_stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def show(answer: Answer, output: Format, people: Callable[[dict[str, Any]], None]) -> None:
    """Print an answer: its own JSON, verbatim, or what `people` makes of it."""
    if output is Format.JSON:
        show_json(answer.text)
    else:
        people(answer.value)


def show_json(value: object) -> None:
    """Print one line of JSON. Bytes are JSON text already; characters that a terminal could obey become \\u escapes."""
    text = (value if isinstance(value, bytes) else msgspec.json.encode(value)).decode()
    sys.stdout.write(_escaped_json(text).rstrip("\n") + "\n")


def _escaped_json(text: str) -> str:
    # Outside of strings JSON has only ASCII, so every character that is replaced here stands in a string.
    if text.isprintable():
        return text
    return "".join(c if c < "\x7f" or c.isprintable() else _json_escape(c) for c in text)


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def say(message: str) -> None:
    """One line for a person, on stdout."""
    console().print(printable(message))


def note(message: str) -> None:
    """One line beside the output, on stderr."""
    console(to_stderr=True).print(printable(message))


def report(error: CliError) -> None:
    """The end of a command that did not work: what it was, and what to do."""
    lines = console(to_stderr=True)
    lines.print(Text.assemble(("error: ", "bold red"), f"{error.code}: {_lines(error.message)}"))
    if error.fix:
        lines.print(f"  fix: {_lines(error.fix)}")


def _lines(text: str) -> str:
    """Our own messages may have several lines; what they quote of others may not."""
    return "\n       ".join(printable(line) for line in text.split("\n"))


# --- tables ----------------------------------------------------------------------------------------------------


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """A table with a heading, or the line `empty` when there is no row."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(cell(name, value) for name, value in zip(columns, row, strict=True)))
    if table.row_count:
        console().print(table)
    else:
        say(empty)


def show_members(members: Mapping[str, Any]) -> None:
    """One thing: a line for each of its members."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in members.items():
        table.add_row(Text(printable(name)), cell(name, value))
    console().print(table)


def cell(name: str, value: Any) -> Text:
    """A value as one piece of text that cannot end the line or change the terminal."""
    text = cut(printable(_text_of(name, value)))
    return Text(text, style=_STYLES.get(text, "") if name in ("state", "status", "result") else "")


def cut(text: str) -> str:
    """At most MAX_CELL characters, and a word about the rest."""
    return (
        text
        if len(text) <= MAX_CELL
        else f"{text[:MAX_CELL]}… ({len(text)} characters; -o json has all)"
    )


def _text_of(name: str, value: Any) -> str:
    if value is None or value in ([], {}):
        return NOTHING
    if isinstance(value, str):
        return value
    if name.endswith("_ms") and isinstance(value, int):
        return durations.show(value)
    return msgspec.json.encode(value).decode()
