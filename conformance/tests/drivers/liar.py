"""
A driver without an SDK, for the tests of the runner: it breaks the protocol or lies, as its first argument says.

    honest-looking: says that all succeeds and sends nothing     mute: never gets ready     prose: speaks no JSON
    extra: a member that the schema does not have                dies: ends at the first call     leaky: says that sockets are open
    wrong-id: a result of a message that was not sent
"""

from __future__ import annotations

import json
import sys
from typing import Any

ID = "0190b6e4-0000-7000-8000-000000000000"
METHODS = ["push", "pull", "ack", "fail", "get_job", "ping", "list_queues"]
VALUES: dict[str, Any] = {
    "push": {"id": ID, "outcome": "created"},
    "fail": {"retry": True},
    "get_job": {"id": ID, "state": "waiting"},
    "list_queues": [],
    "pull": [],
}


def say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def main(how: str) -> None:
    for line in sys.stdin:
        message = json.loads(line)
        kind = message["t"]
        if kind == "init":
            start(how)
        elif kind == "stats":
            counts = dict.fromkeys(("sockets", "threads", "tasks", "calls", "timers"), 0)
            say(
                t="result",
                id=message["id"],
                ok=True,
                value=counts | {"sockets": int(how == "leaky")},
            )
        elif kind in ("new", "close"):
            say(t="result", id=message["id"] + 1000 * (how == "wrong-id"), ok=True, value=None)
        elif kind == "call":
            if how == "dies":
                sys.exit(3)
            say(t="result", id=message["id"], ok=True, value=VALUES.get(message["method"]))


def start(how: str) -> None:
    if how == "mute":
        sys.exit(0)
    if how == "prose":
        print("ready!", flush=True)
    sdk = {"name": "liar", "version": "1", "lang": "none", "runtime": "none"}
    extra = {"mood": "good"} if how == "extra" else {}
    say(t="ready", proto=1, sdk=sdk, caps=[], methods=METHODS, **extra)


main(sys.argv[1])
