"""What every caller may know without waiting: the settings of the queues and how many jobs are in each state."""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import TYPE_CHECKING

from jobwire_server.model import QueueInfo, QueueSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Counts = dict[tuple[str, str], int]  # (queue, state) → jobs


class Board:
    """
    The queues as last committed. Written by the writer's thread alone, read from any.

    A QueueInfo is replaced and never changed. The dict is copied when a queue comes or goes, so that a reader may walk
    through it meanwhile.
    """

    def __init__(self) -> None:
        self._queues: dict[str, QueueInfo] = {}

    def load(self, settings: Iterable[QueueSettings], counts: Counts) -> None:
        self.publish({each.name: each for each in settings}, counts)

    def publish(self, settings: Mapping[str, QueueSettings], deltas: Counts) -> None:
        """Show what a transaction has changed, after its commit."""
        by_queue: dict[str, Counts] = defaultdict(dict)
        for (queue, state), n in deltas.items():
            by_queue[queue][queue, state] = n
        for name in {*settings, *by_queue}:
            self._put(_sum(self.queue(name), settings.get(name), by_queue.get(name, {})))

    def _put(self, info: QueueInfo) -> None:
        name = info.settings.name
        is_listed = bool(info.counts) or info.settings != QueueSettings(name)
        if is_listed == (name in self._queues):
            if is_listed:
                self._queues[name] = info
            return
        queues = {key: value for key, value in self._queues.items() if key != name}
        self._queues = {**queues, name: info} if is_listed else queues

    def queues(self) -> Mapping[str, QueueInfo]:
        return MappingProxyType(self._queues)

    def queue(self, name: str) -> QueueInfo:
        return self._queues.get(name) or QueueInfo(QueueSettings(name), {})


def _sum(info: QueueInfo, settings: QueueSettings | None, deltas: Counts) -> QueueInfo:
    counts = dict(info.counts)
    for (_, state), n in deltas.items():
        counts[state] = counts.get(state, 0) + n
    return QueueInfo(settings or info.settings, {str(state): n for state, n in counts.items() if n})
