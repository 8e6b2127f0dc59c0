"""The rows of transcripts.json: whole conversations over TCP, line by line, with the rule that each of them shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import vectors_transcripts_v1 as v1
import vectors_transcripts_v2 as v2

if TYPE_CHECKING:
    from source import Spec

_ABOUT = (
    "Conversations over TCP. Each of `lines` has a mark and a text. C: the client sends the text and a newline; C~ the text without a newline; C. it"
    " sends no more; adjacent ones are one write. S: the next line of the server; S* adjacent ones come in any order among themselves; S. it closes."
    " A: another connection asks that, and is answered ok; T: time passes, in ms; T. the server is told to stop. In a line of the server the value"
    ' "…" stands for any value, and the member "…" for any further members; a value "<x>" is what it is, and stands for the same in later lines.'
    " `sides`: who is held against it, a server (which wants the token `secret` where `token` is true) or a client that numbers its requests from"
    " 2 on, behind a hello with rid 1."
)


def transcripts(_: Spec) -> dict[str, Any]:
    """transcripts.json."""
    return {
        "about": _ABOUT,
        "provenance": "spec/wire.md, by the requirement in each row; rows of RustQueue 0.3 from the behaviour of its server",
        "vectors": [*v1.rows(), *v2.rows()],
    }
