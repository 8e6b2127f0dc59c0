"""The reader: get, find, oldest, due and next_due, on a connection and a thread of their own, so that no write waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jobwire_server.store.sqlite.reading import Rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jobwire_server.store.sqlite.health import Health
    from jobwire_server.store.sqlite.worker import Answers, Call

_SINGLE: Final[dict[str, Callable[..., Any]]] = {
    "find": Rows.find,
    "oldest": Rows.oldest,
    "due": Rows.due,
    "next_due": Rows.next_due,
}


class Reader:
    """
    Carries out groups of reads; lives on the reader's thread.

    A statement sees every commit that came before it, so a caller finds whatever it was told before it asked.
    """

    def __init__(self, rows: Rows, health: Health) -> None:
        self._rows = rows
        self._health = health

    def serve(self, calls: Sequence[Call]) -> Answers:
        """One answer a call, in order. Never raises."""
        gets = [call for call in calls if call.verb == "get"]
        answers = self._guarded(lambda: self._get_all(gets))
        if isinstance(answers, BaseException):
            answers = [answers] * len(gets)
        of_gets = iter(answers)
        return [next(of_gets) if call.verb == "get" else self._one(call) for call in calls]

    def _get_all(self, calls: Sequence[Call]) -> Answers:
        """Several gets share their statements."""
        found = self._rows.by_id(job_id for call in calls for job_id in call.arguments[0])
        return [
            [found[job_id][1] if job_id in found else None for job_id in call.arguments[0]]
            for call in calls
        ]

    def _one(self, call: Call) -> Any:
        return self._guarded(lambda: _SINGLE[call.verb](self._rows, *call.arguments))

    def _guarded(self, read: Callable[[], Any]) -> Any:
        """What was read, or the exception that the caller gets."""
        if self._health.failed:
            return self._health.failed
        try:
            return read()
        except Exception as error:  # noqa: BLE001 - handed to the caller
            return self._health.judge(error)
