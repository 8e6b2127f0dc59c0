"""The whole state of a store: its hash, and its end."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from jobwire_server.model import Change, Job, JobFilter, JobState, QueueSettings
from jobwire_server.wire.job_view import view

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jobwire_server.store.base import Store

_PAGE: Final = 500
_SWEPT: Final = 2_000
_FAR: Final = 1 << 52  # an instant after all others
_SETTINGS: Final = tuple(name for name in QueueSettings.__struct_fields__ if name != "name")


async def snapshot(store: Store) -> tuple[str, int]:
    """
    A SHA-256 over what can be seen of every job and of every queue's settings, and how many jobs there are.

    Jobs by id and queues by name, so that it is the same for every store that is in the same state.
    """
    jobs: list[tuple[str, bytes]] = []
    async for page in _pages(store):
        jobs += [(job.id, _digest(job)) for job in page]
    whole = hashlib.sha256()
    for _, digest in sorted(jobs):
        whole.update(digest)
    for name, info in sorted(store.queues().items()):
        if info.settings != QueueSettings(name):
            whole.update(msgspec.json.encode(info.settings))
    return whole.hexdigest(), len(jobs)


async def wipe(store: Store) -> None:
    """
    Take out every job, tombstone, unique key, remembered claim and queue setting, with the store's own verbs.

    Several passes when jobs change meanwhile; it ends when one has found nothing.
    """
    while await _remove_jobs(store):
        pass
    while await store.sweep(_FAR, 0, _SWEPT):
        pass
    for name in list(store.queues()):
        await store.set_queue(name, dict.fromkeys(_SETTINGS))


def _digest(job: Job) -> bytes:
    return hashlib.sha256(msgspec.json.encode(view(job))).digest()


async def _remove_jobs(store: Store) -> int:
    found = 0
    async for page in _pages(store):
        found += len(page)
        await store.apply([Change(_removed(job), job.revision) for job in page], _FAR)
    return found


def _removed(job: Job) -> Job:
    return replace(job, state=JobState.REMOVED, revision=job.revision + 1, due_at=None)


async def _pages(store: Store) -> AsyncIterator[list[Job]]:
    cursor: str | None = None
    while True:
        page = await store.find(JobFilter(), limit=_PAGE, cursor=cursor)
        if page.jobs:
            yield page.jobs
        cursor = page.next_cursor
        if cursor is None:
            return
