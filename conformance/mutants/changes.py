"""The after-image of a decision of the engine, changed: what most faults about jobs are made of."""

from __future__ import annotations

from typing import Any

from jobwire_server.model import Change
from msgspec.structs import replace


def with_members(decision: Any, **fields: Any) -> Any:
    """The same change with other members in its after-image; what is no change stays."""
    if not isinstance(decision, Change):
        return decision
    return Change(replace(decision.job, **fields), decision.expect, decision.children)
