"""
What the clients ask of a transport, and the words in which every transport reports a failed connection.

Rule 1: a Reply belongs to the Request it is returned for, also after other calls timed out or were cancelled.
Rule 2: OSError ends here; callers see TransportError, RequestTimeout or ProtocolError.
Rule 3: a transport never repeats a request; the client decides that.
"""

from __future__ import annotations

import copy
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from jobwire import _errors as errors

if TYPE_CHECKING:
    from jobwire._operations import Reply, Request

# Called with the name of a notice (job.cancel, lease.lost, goaway) and its fields. It must return at once and must
# not call the client back: it runs where the answers of all other calls are read.
NoticeCallback = Callable[[str, Mapping[str, Any]], None]


class Transport(Protocol):
    """Carries requests from any number of threads."""

    @property
    def polls(self) -> bool:
        """True when the server answers a waiting pull at once (RustQueue), so that the client has to ask again."""

    def send(self, request: Request[Any], timeout: float) -> Reply:
        """The answer to *request*, within *timeout* seconds."""

    def subscribe(self, callback: NoticeCallback) -> Callable[[], None]:
        """Have *callback* called with each notice; what comes back ends that."""

    def interrupt(self) -> None:
        """Have requests that wait on the server's side (pull, heartbeat_batch) answered soon, as if their time were up."""

    def close_idle(self) -> None:
        """Close the connections on which nothing is in flight; for who has found another to the same server dead."""

    def close(self) -> None:
        """Close every connection and end what runs; calls in flight raise CLIENT_CLOSED. Idempotent."""


class AsyncTransport(Protocol):
    """As Transport, for any number of tasks of one event loop."""

    @property
    def polls(self) -> bool:
        """As Transport.polls."""

    async def send(self, request: Request[Any], timeout: float) -> Reply:
        """As Transport.send; may be cancelled at any time."""

    def subscribe(self, callback: NoticeCallback) -> Callable[[], None]:
        """As Transport.subscribe."""

    def interrupt(self) -> None:
        """As Transport.interrupt."""

    def close_idle(self) -> None:
        """As Transport.close_idle."""

    async def aclose(self) -> None:
        """As Transport.close."""


class Notices:
    """The callbacks of a transport's subscribers."""

    def __init__(self) -> None:
        self._callbacks: tuple[NoticeCallback, ...] = ()

    def subscribe(self, callback: NoticeCallback) -> Callable[[], None]:
        self._callbacks = (*self._callbacks, callback)
        return lambda: self._unsubscribe(callback)

    def _unsubscribe(self, callback: NoticeCallback) -> None:
        self._callbacks = tuple(one for one in self._callbacks if one is not callback)

    def tell(self, name: str, fields: Mapping[str, Any]) -> None:
        for callback in self._callbacks:
            callback(name, fields)


def client_closed() -> errors.TransportError:
    return errors.TransportError("CLIENT_CLOSED", "the client was closed")


def timed_out(timeout: float, where: object) -> errors.RequestTimeout:
    return errors.RequestTimeout("TIMEOUT", f"no answer from {where} within {timeout:.3g} s")


def connection_lost(where: object, why: object = "") -> errors.TransportError:
    reason = f": {why}" if why else ""
    return errors.TransportError("CONNECTION_LOST", f"the connection to {where} was lost{reason}")


def connection_failed(
    where: object, why: object, *, retryable: bool | None = None
) -> errors.TransportError:
    return errors.TransportError(
        "CONNECTION_FAILED", f"cannot connect to {where}: {why}", retryable=retryable
    )


def before_ready(where: object, error: errors.JobwireError) -> errors.JobwireError:
    """What *error*, which ended a handshake, means for the request that was to follow: it was never sent."""
    if error.code in ("CONNECTION_LOST", "TIMEOUT"):
        return connection_failed(where, error.message)
    return copy.copy(error)  # several calls may share it, and raising writes to it


def not_processed() -> errors.JobwireError:
    return errors.error_for("SHUTTING_DOWN", "the server said goodbye before it read the request")


@contextmanager
def connecting(where: object) -> Iterator[None]:
    """Map what goes wrong while a connection is made: nothing of a request has been sent."""
    try:
        yield
    except ssl.SSLError as exc:  # a wrong certificate or a plain peer does not mend itself
        why = getattr(exc, "verify_message", "") or exc.reason or type(exc).__name__
        raise connection_failed(where, f"TLS failed: {why}", retryable=False) from exc
    except TimeoutError as exc:
        raise connection_failed(where, "timed out") from exc
    except OSError as exc:
        raise connection_failed(where, exc.strerror or type(exc).__name__) from exc
