"""spec/vectors/transitions.json through whole operations, on every store: the answer, and what it leaves behind."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.engine.jobs import ID, NOW, PARENT_ID, a_job, lease_before
from tests.vectors import by_id, vectors
from tests.world import World

from jobwire_server.engine.leases import lease_of
from jobwire_server.model import Change, Job, PushItem
from jobwire_server.store.base import Applied

# Where a caller asks for it; time and parents are tested in test_maintenance.py and test_dependencies.py.
ASKED = [
    row
    for row in vectors("transitions")
    if row["operation"]
    not in ("due", "ttl", "lease_expired", "timeout", "parents_completed", "parent_failed")
]
FIELDS: dict[str, dict[str, Any]] = {"progress": {"progress": 1}}


async def arrange(world: World, row: dict[str, Any]) -> Job:
    """Push a job, blocked by a parent where the row says so, and bring it to the row's state."""
    settled = {} if row["settled_by"] is None else {"settled_by": row["settled_by"], "delivery": 2}
    if row["lease"] == "stale":
        settled.setdefault("delivery", 2)
    world.clock.advance(NOW - world.clock.now())
    wanted = a_job(row["state"], **settled)
    pushed = replace(a_job(), depends_on=wanted.depends_on)
    items = [PushItem(replace(a_job(id=PARENT_ID), queue="parents")), PushItem(pushed)]
    await world.store.insert(items, atomic=True, now=NOW)
    [outcome] = await world.store.apply(
        [Change(replace(wanted, depth=len(wanted.depends_on), revision=1), 0)], NOW
    )
    assert isinstance(outcome, Applied)
    return await world.row(ID)


async def act(world: World, row: dict[str, Any], job: Job) -> dict[str, Any]:
    if row["operation"] == "pull":
        return await world.ask("pull", queue="q")
    lease = {"none": None, "current": lease_of(job), "stale": lease_before(job)}[row["lease"]]
    shown = {} if lease is None else {"lease": lease}
    return await world.ask(row["operation"], id=ID, **shown, **FIELDS.get(row["operation"], {}))


@pytest.mark.parametrize("row", ASKED, ids=by_id)
async def test_an_operation_answers_and_does_what_the_vector_says(
    world: World, row: dict[str, Any]
) -> None:
    before = await arrange(world, row)

    answer = await act(world, row, before)

    after = await world.row(ID)
    assert answer["ok"] is (row["effect"] != "refuse")
    assert answer.get("already", False) is (row["effect"] == "already")
    if row["effect"] in ("refuse", "already", "skip"):
        assert after == before
    else:
        assert after.state in (row["to"] or [row["state"]])
        assert after.revision == before.revision + 1
    if row["effect"] == "refuse":
        assert answer["error"]["code"] == row["error"]
    if row["effect"] == "skip":
        assert answer["job"] is None
