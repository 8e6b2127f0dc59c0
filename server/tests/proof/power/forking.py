"""Forks servers on request: `LD_PRELOAD=shim.so python -m tests.proof.power.forking`, one JSON line a request and an answer each.

{"arguments": […], "log": path, "files": prefix, "io_log": path | null, "fault": {…}, "changes": {…}, "settings": {…}, "cwd": path} → {"pid": …}
{"reap": pid} → {"exit": code}, negative for a signal
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
from importlib import import_module
from typing import Any

from tests.proof.power.changes import CHANGES

from jobwire_server.cli import main as jobwire

# What `jobwire serve` imports on its way; imported here, so that no child has to.
IMPORTED = (
    "uvloop",
    "jobwire_server.app",
    "jobwire_server.cli.root",
    "jobwire_server.cli.serve",
    "jobwire_server.cli.banner",
)


def main() -> None:
    for name in IMPORTED:
        import_module(name)
    gc.freeze()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "reap" in request:
            _, status = os.waitpid(request["reap"], 0)
            answer = {"exit": os.waitstatus_to_exitcode(status)}
        else:
            answer = {"pid": os.fork()}
            if answer["pid"] == 0:
                become_server(request)
        print(json.dumps(answer), flush=True)


def become_server(request: dict[str, Any]) -> None:
    os.setsid()
    os.chdir(request["cwd"])
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.update(request["settings"])
    for name, value in request["changes"].items():
        CHANGES[name](value)
    if request["io_log"]:
        watch(request["files"], f"{request['io_log']}.{os.getpid()}", **request["fault"])
    jobwire(request["arguments"])


def watch(files: str, log: str, *, first: int, last: int, error: int, kinds: int) -> None:
    begin = ctypes.CDLL(None).proof_io_begin
    begin.argtypes = [ctypes.c_char_p, ctypes.c_char_p, *[ctypes.c_long] * 2, *[ctypes.c_int] * 2]
    failed = begin(files.encode(), log.encode(), first, last, error, kinds)
    if failed:
        raise OSError(failed, os.strerror(failed), log)


if __name__ == "__main__":
    main()
