"""A request for every row of the route table."""

from __future__ import annotations

import json
from typing import Any

from jobwire_server.http_api.app import PREFIX
from jobwire_server.http_api.routing import Route

JOB = "01939d1c-5b1e-7c3a-9f2e-0a1b2c3d4e5f"

# Commands that are answered by the door itself.
PAGES = {"metrics", "openapi", "docs"}

# The smallest body that each command takes, where it needs one.
_BODIES: dict[str, Any] = {
    "push": {"name": "welcome"},
    "push_batch": {"jobs": [{"name": "welcome"}]},
    "pull": {"queues": ["emails"]},
    "ack_batch": {"ids": [JOB]},
    "fail": {"error": "boom"},
    "fail_batch": {"items": [{"id": JOB}]},
    "progress": {"progress": 40},
}


def path_of(route: Route) -> str:
    """The route's path below /api/v1, with its parameters filled in."""
    return route.path.removeprefix(PREFIX).format(queue="emails", id=JOB, flow_id="f-1")


def body_of(route: Route) -> bytes | None:
    """A body that is accepted; None where the method has none."""
    if route.method not in ("POST", "PATCH"):
        return None
    has_queue = route.command == "pull" and "{queue}" in route.path
    return json.dumps({} if has_queue else _BODIES.get(route.command, {})).encode()
