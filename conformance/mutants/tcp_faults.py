"""Faults of the TCP door: lines, order, versions, notices, and how a conversation ends."""

from __future__ import annotations

from typing import Any

from jobwire_server import auth
from jobwire_server.config import tokens
from jobwire_server.errors import JobwireError
from jobwire_server.operations import holders
from jobwire_server.tcp_api import connection
from jobwire_server.wire import compat, responses, tcp_codec, tcp_refusals, tcp_session
from jobwire_server.wire.tcp_session import Session
from jobwire_server.wire.tcp_verdicts import FIRST_VERSION, State

from conformance.mutants.fault import around, fault, put

# --- lines --------------------------------------------------------------------------------------------------------------


@fault("RQ-TCP-005", "JW-TCP-3")
def blank_line_is_passed_over() -> None:
    """A blank line gets no answer."""
    around(
        tcp_codec.LineDecoder,
        "feed",
        lambda original, self, data: [line for line in original(self, data) if line.strip()],
    )


@fault("JW-TCP-4")
def partial_line_holds_back_the_rest() -> None:
    """A complete line is not answered before the one behind it is complete as well."""

    def holding(original: Any, self: Any, data: bytes) -> Any:
        lines = [*self.__dict__.setdefault("kept", []), *original(self, data)]
        self.__dict__["kept"] = lines if self.buffered else []
        return [] if self.buffered else lines

    class Holding(tcp_codec.LineDecoder):  # without __slots__, so that it can keep lines
        pass

    around(Holding, "feed", holding)
    put(tcp_session, "LineDecoder", Holding)


@fault("JW-TCP-5")
def last_line_needs_its_newline() -> None:
    """A last line without its newline is dropped when the client ends its side."""
    put(tcp_codec.LineDecoder, "eof", lambda self: [])


@fault("FRAME-010", "JW-TCP-7")
def bad_line_ends_the_connection() -> None:
    """After a line that cannot be parsed nothing more is read."""

    def strict(original: Any, self: Any, error: JobwireError, rid: Any, name: str = "") -> None:
        original(self, error, rid, name)
        if error.code == "PARSE_ERROR":
            self._lines, self._next_line, self._ending = [], 0, True

    around(Session, "_refuse", strict)


@fault("JW-TCP-8", "JW-LIMIT-4")
def long_line_is_dropped_in_silence() -> None:
    """A line over the limit ends the connection without a word."""

    def mute(original: Any, self: Any, error: JobwireError, rid: Any = None) -> None:
        original(self, error, rid)
        if error.code == "PAYLOAD_TOO_LARGE":
            self._last_words = b""

    around(Session, "_end_with", mute)


@fault("FRAME-012", "JW-TCP-9")
def http_on_the_tcp_port_is_a_line() -> None:
    """An HTTP request on the TCP port is taken for lines that are not JSON."""
    put(tcp_codec, "_HTTP_WORDS", ())


@fault("JW-TCP-12")
def pieces_are_lines() -> None:
    """The bytes of a request that come in two pieces are taken for two lines."""

    def cutting(original: Any, self: Any, data: bytes) -> Any:
        return original(self, data if data.endswith(b"\n") or len(data) > 512 else data + b"\n")

    around(tcp_codec.LineDecoder, "feed", cutting)


# --- rids and order -----------------------------------------------------------------------------------------------------


@fault("JW-TCP-19")
def errors_have_no_rid() -> None:
    """An error does not echo the rid of its request."""

    def anonymous(original: Any, name: str, result: Any, *, wire: int, rid: int | None) -> Any:
        return original(
            name, result, wire=wire, rid=None if isinstance(result, JobwireError) else rid
        )

    around(responses, "tcp_answer", anonymous)


@fault("FRAME-004", "JW-TCP-15")
def version_1_has_no_order() -> None:
    """In version 1 requests with a rid are carried out side by side."""
    put(Session, "_is_ordered", lambda self, command: command.rid is None)


@fault("JW-TCP-23")
def waiting_pull_holds_up_the_rest() -> None:
    """In version 2 a request waits for the answer of the one before."""
    put(Session, "_is_ordered", lambda self, command: True)


# --- versions -----------------------------------------------------------------------------------------------------------


@fault("SESSION-001", "JW-TCP-20")
def lowest_version_is_chosen() -> None:
    """A hello that offers both versions gets version 1."""

    def modest(original: Any, self: Any, command: Any) -> Any:
        command.request.v = [min(command.request.v)]
        return original(self, command)

    around(Session, "_hello", modest)


@fault("JW-TCP-22")
def hello_may_be_said_twice() -> None:
    """A second hello is answered as the first one."""

    def patient(original: Any, self: Any, command: Any) -> Any:
        self._greeted = False
        return original(self, command)

    around(Session, "_hello", patient)


@fault("JW-TCP-16")
def version_1_has_all_commands() -> None:
    """Commands of version 2 are carried out without a hello."""
    FIRST_VERSION.update(dict.fromkeys(FIRST_VERSION, 1))


@fault("JW-TCP-18")
def version_1_get_says_job_not_found() -> None:
    """In version 1 a get of a job that is not there is answered with the code of version 2."""
    put(compat, "code_of", lambda command, code, wire: code)


@fault("JW-TCP-17")
def partial_failure_is_ok() -> None:
    """In version 1 a batch of acks of which one was refused is answered ok."""
    put(compat, "partial_failure", lambda answer: answer)


# --- notices and waits --------------------------------------------------------------------------------------------------


@fault("NOTICE-002", "JW-TCP-1")
def notices_go_to_version_1() -> None:
    """A client that never said hello is told of a cancelled job."""

    def frank(original: Any, self: Any, transport: Any) -> None:
        original(self, transport)
        self._caller.notify = self._notify

    def loud(self: Any, fields: Any) -> bool:
        self._send(responses.notice(fields))
        return True

    around(connection.Connection, "connection_made", frank)
    put(Session, "notice", loud)


@fault("JW-TCP-31")
def nobody_is_told() -> None:
    """The worker of a job that is cancelled gets no notice."""
    put(holders.Holders, "_tell", lambda self, job, notice, *, lost: None)


@fault("TCP-DRAIN-v2", "JW-TCP-33")
def goaway_names_another_rid() -> None:
    """The last_rid of a goaway is one too low."""

    def wrong(original: Any, self: Any, fields: Any) -> Any:
        if fields.get("last_rid") is not None:
            fields = {**fields, "last_rid": fields["last_rid"] - 1}
        return original(self, fields)

    around(Session, "notice", wrong)


@fault("JW-TCP-25")
def abort_ends_nothing() -> None:
    """An abort is answered, and the pull waits on."""
    put(Session, "_abort", lambda self, command: self._say_aborted(command.rid, False))


@fault("JW-TCP-26")
def abort_of_nothing_is_true() -> None:
    """An abort of a request that was answered says that it ended it."""
    around(Session, "_say_aborted", lambda original, self, rid, ended: original(self, rid, True))


@fault("JW-TCP-29")
def bye_is_not_the_end() -> None:
    """The requests behind a bye are carried out."""

    def lingering(self: Any, rid: int | None) -> None:
        self._ending = True
        self._last_words = self._encoded("bye", tcp_session._WELL, rid)

    put(Session, "_bye", lingering)


@fault("JW-TCP-28")
def bye_does_not_wait() -> None:
    """A bye is answered before what is in flight."""

    def hasty(self: Any, rid: int | None) -> None:
        self._lines, self._next_line = [], 0
        self._ending = True
        self._send(self._encoded("bye", tcp_session._WELL, rid))

    put(Session, "_bye", hasty)


# --- tokens -------------------------------------------------------------------------------------------------------------


@fault("JW-AUTH-9")
def start_of_a_token_is_enough() -> None:
    """A token is known by its first four characters, in any letter case."""

    def short(original: Any, token: str) -> Any:
        return original(token[:4].lower())

    around(auth, "hash_token", short)
    around(tokens, "_hash", short)


@fault("JW-AUTH-3")
def tokens_can_be_guessed() -> None:
    """Nobody is locked out, however many wrong tokens came."""
    put(auth.Gate, "_remember_failure", lambda self, source, now: None)


@fault("JW-AUTH-8")
def wrong_token_ends_the_connection() -> None:
    """After one wrong token the connection is closed."""

    def harsh(self: Any, error: JobwireError, rid: int | None) -> None:
        self._lines, self._next_line = [], 0
        self._end_with(error, rid)

    put(Session, "_refuse_token", harsh)


@fault("JW-AUTH-2")
def tcp_needs_no_token() -> None:
    """Every command is carried out before a token was given."""

    def open_door(original: Any, self: Any, **options: Any) -> None:
        original(self, **options)
        self.state = State.READY

    around(Session, "__init__", open_door)


@fault("SESSION-002", "JW-TCP-20")
def unsupported_version_names_none() -> None:
    """The refusal of a hello does not say which versions there are."""

    def mute(original: Any, offered: Any) -> JobwireError:
        error: JobwireError = original(offered)
        return JobwireError(error.code, error.message)

    around(tcp_refusals, "unsupported", mute)
