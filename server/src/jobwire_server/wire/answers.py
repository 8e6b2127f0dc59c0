"""
What operations answer: plain data, one struct a kind of answer, in the words of spec/wire.yaml.

Fields are in the order in which they are sent. UNSET means that the key is left out. Jobs are model.Job here; responses.py writes them.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from jobwire_server.errors import JobwireError
from jobwire_server.model import Job


class Done(Struct):
    """ok, and nothing more to say."""

    ok: bool = True


class Pushed(Struct, kw_only=True):
    ok: bool = True
    id: str
    outcome: str  # created | existing | replaced


class PushedBatch(Struct, kw_only=True):
    """`results` only for atomic false; `ids` and `outcomes` have None where an item was refused."""

    ok: bool = True
    ids: list[str | None]
    outcomes: list[str | None]
    results: list[Item | Unpushed] | UnsetType = UNSET


class Pulled(Struct, kw_only=True):
    """`single` is a count of 1, which is answered with `job` in place of `jobs`."""

    jobs: list[Job]
    single: bool


class Item(Struct, kw_only=True):
    """One item of a batch that was carried out."""

    id: str
    ok: bool = True
    already: bool | UnsetType = UNSET
    outcome: str | UnsetType = UNSET
    state: str | UnsetType = UNSET
    retry: bool | UnsetType = UNSET
    next_attempt_at: str | UnsetType = UNSET
    lease_expires_at: str | UnsetType = UNSET
    cancelled: bool | UnsetType = UNSET
    error: JobwireError | UnsetType = UNSET


class Unpushed(Struct, kw_only=True):
    """A job of a batch that was refused; `id` is None when it named none, or none that is a UUID."""

    id: str | None
    ok: bool = False
    error: JobwireError


class Acked(Struct, kw_only=True):
    ok: bool = True
    already: bool | UnsetType = UNSET


class AckedBatch(Struct, kw_only=True):
    ok: bool = True
    acked: int
    failed: int
    results: list[Item]


class Failed(Struct, kw_only=True):
    ok: bool = True
    retry: bool
    will_retry: bool
    next_attempt_at: str | UnsetType | None
    already: bool | UnsetType = UNSET


class FailedBatch(Struct, kw_only=True):
    ok: bool = True
    failed: int
    refused: int
    results: list[Item]


class Moved(Struct, kw_only=True):
    """release, cancel, retry and promote: the state that the job is in now."""

    ok: bool = True
    state: str
    already: bool | UnsetType = UNSET


class Beaten(Struct, kw_only=True):
    ok: bool = True
    lease_expires_at: str
    cancelled: bool | UnsetType = UNSET


class BeatenBatch(Struct, kw_only=True):
    ok: bool = True
    results: list[Item]
    lost: list[str]
    cancelled: list[str]
    deaf: bool


class OneJob(Struct, kw_only=True):
    job: Job


class JobPage(Struct, kw_only=True):
    jobs: list[Job]
    next_cursor: str | None


class Queues(Struct, kw_only=True):
    ok: bool = True
    queues: list[dict[str, Any]]


class Queue(Struct, kw_only=True):
    ok: bool = True
    queue: dict[str, Any]


class Stats(Struct, kw_only=True):
    ok: bool = True
    counts: dict[str, int]
    paused: str | None
    oldest_waiting_ms: int | None


class Paused(Struct, kw_only=True):
    ok: bool = True
    paused: str | None


class DlqDone(Struct, kw_only=True):
    ok: bool = True
    count: int
    results: list[Item]
    remaining: int


class FlowStatus(Struct, kw_only=True):
    flow_id: str
    jobs: list[Job]
    summary: dict[str, int]


class Workers(Struct, kw_only=True):
    ok: bool = True
    workers: list[dict[str, Any]]


class Health(Struct, kw_only=True):
    ok: bool = True
    status: str
    version: str
    uptime_seconds: int
    durability: str
    storage: str


class Status(Struct, kw_only=True):
    """ready and live."""

    ok: bool = True
    status: str


class Capabilities(Struct, kw_only=True):
    ok: bool = True
    server: dict[str, str]
    wire: list[int]
    capabilities: list[str]
    limits: dict[str, Any]
    defaults: dict[str, Any]


class Welcome(Struct, kw_only=True):
    """The answer to hello."""

    ok: bool = True
    v: int
    server: dict[str, str]
    capabilities: list[str]
    limits: dict[str, Any]
    defaults: dict[str, Any]
    heartbeat_ms: int


class Aborted(Struct, kw_only=True):
    ok: bool = True
    aborted: bool


Answer = (
    Done | Pushed | PushedBatch | Pulled | Acked | AckedBatch | Failed | FailedBatch | Moved | Beaten | BeatenBatch
    | OneJob | JobPage | Queues | Queue | Stats | Paused | DlqDone | FlowStatus | Workers | Health | Status
    | Capabilities | Welcome | Aborted | JobwireError
)  # fmt: skip
