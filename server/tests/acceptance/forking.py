"""Forks servers on request: `python -m tests.acceptance.forking`, one JSON line a request and an answer each.

{"module": what `python -m` would run, "arguments": […], "log": path, "cwd": path, "environment": {…}, …} → {"pid": …}
{"reap": pid} → {"exit": code}, negative for a signal

When stdin ends, so do all that it has forked. One thread: a child inherits nothing that is half done.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

# What `jobwire serve` imports on its way; imported here, so that no child has to.
IMPORTED = (
    "uvloop",
    "jobwire_server.app",
    "jobwire_server.cli.root",
    "jobwire_server.cli.serve",
    "jobwire_server.cli.banner",
)

Request = dict[str, Any]


def main(prepare: Callable[[Request], None] = lambda _: None) -> None:
    """`prepare` is called in each child, just before it becomes what was asked for."""
    for name in IMPORTED:
        import_module(name)
    gc.freeze()
    print(json.dumps({"ready": True}), flush=True)
    living: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        answer = reap(request, living) if "reap" in request else {"pid": os.fork()}
        if answer.get("pid") == 0:
            become(request, prepare)
        living |= {answer["pid"]} if "pid" in answer else set()
        print(json.dumps(answer), flush=True)
    for pid in living:
        os.kill(pid, signal.SIGKILL)


def reap(request: Request, living: set[int]) -> dict[str, int]:
    _, status = os.waitpid(request["reap"], 0)
    living.discard(request["reap"])
    return {"exit": os.waitstatus_to_exitcode(status)}


def become(request: Request, prepare: Callable[[Request], None]) -> NoReturn:
    """The child: what `python -m module arguments` would be, in a session of its own, with its output in the log."""
    os.setsid()
    os.chdir(request["cwd"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(request["environment"])
    prepare(request)
    sys.argv = [request["module"], *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    raise SystemExit(0)


if __name__ == "__main__":
    main()
