"""
Listening in on a connection that others speak on: bytes of both directions in, exchanges out to the recorder.

Two parsers of h11 side by side: one reads the client as a server would, the other the server as a client would, and each is told
what the other one heard, so that both know which answer is for which request and how it ends. Bytes that are no HTTP end the
listening, and nothing else: the connection is not ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import h11

from conformance.runner.exchange import Exchange, headers_of

if TYPE_CHECKING:
    from conformance.runner.recorder import Recorder

HEADER_BYTES: Final = 1 << 20  # more than the server takes: what it refuses is recorded as well


class HttpTap:
    """One connection of HTTP/1.1. `sent` and `received` raise Undocumented as Recorder.http does."""

    def __init__(self, recorder: Recorder, connection: str, *, by: str) -> None:
        self._recorder = recorder
        self._connection = connection
        self._by = by
        self._reader = h11.Connection(h11.SERVER, max_incomplete_event_size=HEADER_BYTES)
        self._answers = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEADER_BYTES)
        self._request: h11.Request | None = None
        self._request_body = b""
        self._response: h11.Response | None = None
        self._response_body = b""
        self.listens = True

    def sent(self, data: bytes) -> None:
        """Bytes of the client; empty when it ended its side."""
        self._feed(self._reader, data)

    def received(self, data: bytes) -> None:
        """Bytes of the server; empty when it closed."""
        self._feed(self._answers, data)

    def _feed(self, parser: h11.Connection, data: bytes) -> None:
        if not self.listens:
            return
        try:
            parser.receive_data(data)
            self._read_requests()
            while self._read_answers():
                self._read_requests()
        except (h11.RemoteProtocolError, h11.LocalProtocolError):
            self.listens = False

    def _read_requests(self) -> None:
        while True:
            event = self._reader.next_event()
            if isinstance(event, h11.Request):
                self._request, self._request_body = event, b""
                self._answers.send(event)
            elif isinstance(event, h11.Data):
                self._request_body += bytes(event.data)
                self._answers.send(h11.Data(data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._answers.send(h11.EndOfMessage())
            else:
                return

    def _read_answers(self) -> bool:
        """Read on in the answer; whether one is complete, so that the next request may be looked at."""
        while True:
            event = self._answers.next_event()
            if isinstance(event, h11.Response):
                self._response, self._response_body = event, b""
                self._reader.send(event)
            elif isinstance(event, h11.InformationalResponse):
                self._reader.send(event)
            elif isinstance(event, h11.Data):
                self._response_body += bytes(event.data)
                self._reader.send(h11.Data(data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                self._reader.send(h11.EndOfMessage())
                return self._complete()
            else:
                return False

    def _complete(self) -> bool:
        request, response = self._request, self._response
        done = self._reader.our_state is h11.DONE and self._reader.their_state is h11.DONE
        if done:
            self._reader.start_next_cycle()
            self._answers.start_next_cycle()
        self._request = self._response = None
        if request is not None and response is not None:
            self._recorder.http(self._exchange(request, response))
        return done

    def _exchange(self, request: h11.Request, response: h11.Response) -> Exchange:
        return Exchange(
            method=request.method.decode("ascii"),
            target=request.target.decode("ascii"),
            request_headers=headers_of(request.headers),
            request_body=self._request_body,
            status=response.status_code,
            headers=headers_of(response.headers),
            body=self._response_body,
            by=self._by,
            connection=self._connection,
        )
