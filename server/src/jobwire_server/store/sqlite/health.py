"""Whether the store can still be trusted, shared by its threads."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Final

import apsw
import msgspec

from jobwire_server.errors import StoreFailed

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


# Errors of a statement that are its caller's fault, or ours, and say nothing about the file.
_HARMLESS: Final = (
    apsw.BindingsError,
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.RangeError,
    apsw.SQLError,
    apsw.TooBigError,
)

# What a row raises whose text is none any more. What is written was text when it came, so this is never its caller's fault.
_UNREADABLE: Final = (UnicodeDecodeError, msgspec.DecodeError)


class Health:
    """
    `failed` is set once, by the first failure, and never taken back. `is_full` comes and goes; the writer alone sets it.

    `on_failed` is called once, on the thread that met the failure.
    """

    def __init__(self, on_failed: Callable[[StoreFailed], None] | None) -> None:
        self.failed: StoreFailed | None = None
        self.is_full = False
        self._on_failed = on_failed
        self._lock = threading.Lock()

    def fail(self, error: StoreFailed) -> StoreFailed:
        """Note a final failure; the first one, which is what every caller gets."""
        with self._lock:
            is_first = self.failed is None
            failure = self.failed = self.failed or error
        if is_first:
            _log.critical("the store failed: %s", error)
            if self._on_failed is not None:
                self._on_failed(error)
        return failure

    def judge(self, error: Exception) -> Exception:
        """What the caller gets for an error; one that says that the file cannot be trusted is the end of this store."""
        if isinstance(error, StoreFailed):
            return self.fail(error)
        if isinstance(error, _UNREADABLE):
            return self.fail(StoreFailed(f"the file is damaged: a job cannot be read ({error})"))
        if isinstance(error, apsw.Error | OSError) and not isinstance(error, _HARMLESS):
            return self.fail(StoreFailed(f"the store failed: {error}"))
        return error
