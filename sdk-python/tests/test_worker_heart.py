"""When a worker fetches over a new connection, without a connection."""

from __future__ import annotations

from types import SimpleNamespace

from jobwire._models import WorkerReport
from jobwire._worker_core import Hearing
from jobwire._worker_heart import Heart


def test_a_lost_connection_is_not_forgotten_while_a_new_one_has_to_wait() -> None:
    """The second outage comes within a heartbeat's interval of the first rebuild; the pull that it killed must not wait for ever."""
    clock = SimpleNamespace(now=0.0)
    rebuilt: list[float] = []
    heart = Heart.__new__(Heart)
    heart._runtime = SimpleNamespace(monotonic=lambda: clock.now)  # type: ignore[assignment]
    heart._hearing = Hearing(10.0)
    heart._on_deaf = lambda: rebuilt.append(clock.now)

    def beat(at: float, *, failed_at: float | None = None, pulled_at: float) -> None:
        clock.now = at
        if failed_at is not None:
            heart._failed_at = failed_at
        report = WorkerReport(id="w", free=1, last_pull=at - pulled_at)
        heart._rebuild(report, deaf=False, started=at)

    beat(100, failed_at=99, pulled_at=95)
    beat(105, failed_at=103, pulled_at=100.5)
    assert rebuilt == [100]

    beat(115, pulled_at=100.5)
    assert rebuilt == [100, 115]

    beat(130, pulled_at=115.5)
    assert rebuilt == [100, 115]
