"""
Helpers for the tests of programs that use Jobwire.

    FakeServer     a server in this process, over HTTP and TCP, with a clock that the test moves and faults on demand
    inline_client  a client that runs handlers inside `push`
    work_one       pull one job, run it, settle it, in this thread
"""

from __future__ import annotations

from jobwire.testing._fake_server import FakeServer
from jobwire.testing._fake_service import Call
from jobwire.testing._run_one import InlineClient, Outcome, inline_client, work_one

__all__ = ["Call", "FakeServer", "InlineClient", "Outcome", "inline_client", "work_one"]
