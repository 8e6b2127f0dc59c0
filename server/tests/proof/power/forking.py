"""Forks servers that are changed or watched: `LD_PRELOAD=shim.so python -m tests.proof.power.forking`.

A request has, besides what is told in tests/acceptance/forking.py, "files": prefix, "io_log": path | null, "fault": {…}, "changes": {…}.
"""

from __future__ import annotations

import ctypes
import os

from tests.acceptance.forking import Request, main
from tests.proof.power.changes import CHANGES


def prepare(request: Request) -> None:
    for name, value in request["changes"].items():
        CHANGES[name](value)
    if request["io_log"]:
        watch(request["files"], f"{request['io_log']}.{os.getpid()}", **request["fault"])


def watch(files: str, log: str, *, first: int, last: int, error: int, kinds: int) -> None:
    begin = ctypes.CDLL(None).proof_io_begin
    begin.argtypes = [ctypes.c_char_p, ctypes.c_char_p, *[ctypes.c_long] * 2, *[ctypes.c_int] * 2]
    failed = begin(files.encode(), log.encode(), first, last, error, kinds)
    if failed:
        raise OSError(failed, os.strerror(failed), log)


if __name__ == "__main__":
    main(prepare)
