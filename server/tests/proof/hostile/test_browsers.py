"""T41: a page that a user happens to open changes nothing on a server of theirs and reads nothing of it. Tried by a real Chromium."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.proof.hostile.attacked import weakened
from tests.proof.hostile.chromium import browsing
from tests.proof.hostile.evil_pages import EvilSite, evil_site
from tests.proof.hostile.rebinding import rebound
from tests.proof.knobs import SEED
from tests.proof.launched import Launched, launched
from tests.proof.report import Figure, publish

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(900)]

OPEN_S = 40.0  # until the page has told; Chromium takes its time to start on a busy machine
LEAST_TRIES = 30
QUEUES = ("bait", "pushed", "witness")
# What never needs a token is served under any name (JW-HTTP-10), so a name that was rebound to the server reads it, and no other page does.
PUBLIC = ("rebound: GET health 200", "rebound: GET metrics 200")
EVIL = "evil.test"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a page did: `read` of the server's answers, `changed` on the server, out of `tried` attempts."""

    read: list[str]
    changed: list[str]
    tried: int


def _state(server: Launched) -> dict[str, Any]:
    queues = {queue: server.get(f"/queues/{queue}")[1]["queue"] for queue in QUEUES}
    for queue in queues.values():
        queue.pop("oldest_waiting_ms")
    return queues


def _open(server: Launched, site: EvilSite, page: str, api: str, folder: Path) -> Outcome:
    """Open the page at the authority `page` and let it call the server's API at the authority `api`."""
    site.told.clear()
    site.api = f"http://{api}/api/v1"
    before = _state(server)
    with browsing(f"http://{page}/", folder, resolve=(EVIL,)):
        assert site.told.wait(OPEN_S), (folder / "chromium.log").read_text()
    after = _state(server)
    changed = [
        f"{queue}: {before[queue]} → {after[queue]}"
        for queue in QUEUES
        if before[queue] != after[queue]
    ]
    return Outcome(site.report["read"], changed, site.report["tried"])


def _attack(
    server: Launched, site: EvilSite, folder: Path, *, without: str = ""
) -> dict[str, Outcome]:
    """From another site; from another port of the same host; and from a name that was rebound, so that both are of one origin."""
    for _ in range(20):
        server.post("/queues/bait/jobs", {"name": "n"})
    site.job = server.post("/queues/witness/jobs", {"name": "n"})[1]["id"]
    local = f"127.0.0.1:{server.http}"
    with rebound(server.http, site.port) as port:
        pages = {
            "cross-site": (f"{EVIL}:{site.port}", local),
            "same-host": (f"127.0.0.1:{site.port}", local),
            "rebound": (f"{EVIL}:{port}", f"{EVIL}:{port}"),
        }
        return {
            name: _open(server, site, page, api, folder / name)
            for name, (page, api) in pages.items()
            if name != without
        }


def test_no_page_changes_or_reads_anything(tmp_path: Path) -> None:
    began = time.monotonic()
    with launched(tmp_path / "s") as server, evil_site() as site:
        outcomes = _attack(server, site, tmp_path)
        witness = server.get(f"/jobs/{site.job}")[1]["job"]["state"]
    read = [f"{name}: {what}" for name, outcome in outcomes.items() for what in outcome.read]
    public = [what for what in read if what.startswith(PUBLIC)]
    wrong = [what for what in read if what not in public]
    wrong += [f"{name}: {what}" for name, outcome in outcomes.items() for what in outcome.changed]
    publish(
        Figure(
            test="T41",
            title="evil pages in a real Chromium",
            promises=(),
            seed=SEED,
            what="attempts of pages",
            tries=sum(outcome.tried for outcome in outcomes.values()),
            bad=len(wrong),
            bar="nothing read but what is public, nothing changed: fetch, forms, images, frames, beacons, WebSocket, rebinding",
            seconds=time.monotonic() - began,
            control="with the guard off the same pages read, pulled, pushed and paused",
            numbers={"pages": len(outcomes), "public_reads_when_rebound": len(public)},
        )
    )
    assert wrong == [], "\n".join(wrong)
    assert witness == "waiting"
    assert all(outcome.tried >= LEAST_TRIES for outcome in outcomes.values())


def test_a_server_without_the_guard_is_taken(tmp_path: Path) -> None:
    """The control: the same pages, and a server that lets pages do what a program may. The first takes what there is; all of them read."""
    with launched(tmp_path / "s", entry=weakened("open_to_pages")) as server, evil_site() as site:
        outcomes = _attack(server, site, tmp_path, without="same-host")

    assert len(outcomes["cross-site"].changed) == len(QUEUES), outcomes
    for outcome in outcomes.values():
        assert any(read.startswith("GET queues 200") for read in outcome.read)
        assert outcome.changed
