"""Session: what is said when on one TCP connection, without a socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobwire_server.errors import JobwireError
from jobwire_server.wire import answers
from jobwire_server.wire.commands import COMMANDS
from jobwire_server.wire.limits import LINE_BYTES, UNAUTHENTICATED_LINE_BYTES
from jobwire_server.wire.tcp_events import (
    Abort,
    Authenticate,
    Batch,
    Close,
    Event,
    Hello,
    PeerDone,
    Write,
)
from jobwire_server.wire.tcp_session import IN_FLIGHT_BYTES, SEND_BYTES, Session
from jobwire_server.wire.tcp_verdicts import VERDICTS, State, Verdict

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
TOKEN = "right"
WRONG = JobwireError("UNAUTHORIZED", "Invalid authentication token")
LOCKED = JobwireError("RATE_LIMITED", "Too many", retry_after_ms=300_000)


def line(cmd: str, **fields: Any) -> bytes:
    return json.dumps({"cmd": cmd, **fields}).encode() + b"\n"


PING = line("ping")
HELLO = line("hello", v=[1, 2], rid=0)


def push(rid: int | None = None, **fields: Any) -> bytes:
    return line("push", queue="q", name="n", **fields, **({} if rid is None else {"rid": rid}))


def pull(rid: int | None = None, **fields: Any) -> bytes:
    return line("pull", queue="q", **fields, **({} if rid is None else {"rid": rid}))


def ack(rid: int | None = None) -> bytes:
    return line("ack", id=JOB, **({} if rid is None else {"rid": rid}))


class Peer:
    """A session and the shell around it: tokens are checked at once, batches are kept until `finish`."""

    def __init__(
        self,
        *,
        token: bool = False,
        max_in_flight: int = 1000,
        max_response_bytes: int = 1 << 20,
        line_bytes: int = LINE_BYTES,
    ) -> None:
        self.session = Session(
            authenticated=not token,
            max_in_flight=max_in_flight,
            max_response_bytes=max_response_bytes,
            line_bytes=line_bytes,
        )
        self.locked = False
        self.batches: list[Batch] = []
        self.events: list[Event] = []
        self.sent = b""

    def send(self, *data: bytes) -> Peer:
        for chunk in data:
            self.session.receive_data(chunk)
            self.run()
        return self

    def eof(self) -> Peer:
        self.session.receive_eof()
        return self.run()

    def run(self) -> Peer:
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, Batch):
                self.batches.append(event)
            elif isinstance(event, Hello):
                check = event.token is not None and self.session.wants_token
                error = self.check(event.token) if check else None
                self.session.greet(event, error or welcome(event.version))
            elif isinstance(event, Authenticate):
                self.session.authenticate(event, self.check(event.token))
            elif isinstance(event, Write):
                self.flush()
        return self.flush()

    def check(self, token: str | None) -> JobwireError | None:
        if self.locked:
            return LOCKED
        return None if token == TOKEN else WRONG

    def flush(self) -> Peer:
        self.sent += self.session.data_to_send()
        return self

    def finish(self, index: int = 0) -> Peer:
        """Answer one of the batches that are out: pushes say which job, others say ok."""
        batch = self.batches.pop(index)
        self.session.answer(batch, [result_of(batch.name, request) for request in batch.requests])
        return self.run()

    def finish_all(self) -> Peer:
        while self.batches:
            self.finish()
        return self

    def said(self) -> list[dict[str, Any]]:
        """The answers that were sent since the last call."""
        assert self.sent == b"" or self.sent.endswith(b"\n")
        lines, self.sent = self.sent.splitlines(), b""
        return [json.loads(text) for text in lines]

    def closed(self) -> Close | None:
        last = self.events[-1] if self.events else None
        return last if isinstance(last, Close) else None

    def out(self) -> list[tuple[str, int]]:
        """The batches that are out: command and size."""
        return [(batch.name, len(batch.requests)) for batch in self.batches]


def welcome(version: int) -> answers.Welcome:
    return answers.Welcome(
        v=version,
        server={"name": "jobwire", "version": "0"},
        capabilities=[],
        limits={},
        defaults={},
        heartbeat_ms=10_000,
    )


def result_of(name: str, request: Any) -> Any:
    if name == "push":
        return answers.Pushed(id=request.id or request.name, outcome="created")
    if name == "pull":
        return answers.Pulled(jobs=[], single=request.wanted == 1)
    return answers.Done()


def v2(**options: Any) -> Peer:
    peer = Peer(**options).send(HELLO)
    assert peer.said()[0]["v"] == 2
    return peer


def codes(said: list[dict[str, Any]]) -> list[str]:
    return ["ok" if answer["ok"] else answer["error"]["code"] for answer in said]


def rids(said: list[dict[str, Any]]) -> list[int | None]:
    return [answer.get("rid") for answer in said]


# --- order -------------------------------------------------------------------------------------------------------


class TestOrderInVersion1:
    def test_a_request_is_begun_when_the_one_before_is_answered(self) -> None:
        peer = Peer().send(pull() + ack() + push())

        assert peer.out() == [("pull", 1)]
        assert peer.finish().out() == [("ack", 1)]
        assert peer.finish().out() == [("push", 1)]

    def test_a_rid_is_echoed_and_changes_no_order(self) -> None:
        peer = Peer().send(pull(rid=7) + ack(rid=8))

        assert peer.out() == [("pull", 1)]
        assert rids(peer.finish_all().said()) == [7, 8]

    def test_answers_of_the_session_and_errors_keep_their_places(self) -> None:
        peer = Peer().send(
            pull(rid=1) + line("ping", rid=2) + b"\n" + line("nope", rid=3) + push(rid=4)
        )
        assert peer.said() == []

        said = peer.finish_all().said()

        assert codes(said) == ["ok", "ok", "PARSE_ERROR", "UNKNOWN_COMMAND", "ok"]
        assert rids(said) == [1, 2, None, 3, 4]

    def test_hello_waits_for_what_stands_before_it(self) -> None:
        peer = Peer().send(pull(rid=1) + HELLO + push(rid=2))

        assert peer.out() == [("pull", 1)]
        assert peer.session.backlogged
        peer.finish()
        assert rids(peer.said()) == [1, 0]
        assert peer.out() == [("push", 1)]
        assert not peer.batches[0].ordered


class TestOrderInVersion2:
    def test_requests_with_a_rid_run_at_once_and_are_answered_as_they_finish(self) -> None:
        peer = v2().send(pull(rid=1, wait_ms=60_000) + ack(rid=2) + push(rid=3))
        assert peer.out() == [("pull", 1), ("ack", 1), ("push", 1)]

        assert rids(peer.finish(2).finish(1).finish(0).said()) == [3, 2, 1]

    def test_requests_without_a_rid_are_in_order_among_themselves(self) -> None:
        peer = v2().send(pull() + ack() + push(rid=3) + PING)

        assert peer.out() == [("pull", 1), ("push", 1)]
        assert rids(peer.finish(1).said()) == [3]
        assert peer.finish(0).out() == [("ack", 1)]
        assert len(peer.finish(0).said()) == 3  # pull, ack, ping

    def test_errors_and_session_answers_with_a_rid_overtake(self) -> None:
        peer = v2().send(pull() + line("ping", rid=5) + line("push", rid=6))

        said = peer.said()

        assert codes(said) == ["ok", "VALIDATION_ERROR"]
        assert rids(said) == [5, 6]


def test_an_answer_is_not_withheld_behind_a_partial_line() -> None:
    peer = Peer().send(push() + b'{"cmd":"pi')
    assert len(peer.finish().said()) == 1

    assert codes(peer.send(b'ng"}\n').said()) == ["ok"]


# --- batches -----------------------------------------------------------------------------------------------------


class TestBatches:
    @pytest.mark.parametrize("make", [Peer, v2], ids=["v1", "v2"])
    def test_neighbours_of_one_command_that_came_together_are_one_batch(
        self, make: Callable[[], Peer]
    ) -> None:
        rid = iter(range(1, 100))
        peer = make().send(b"".join([push(next(rid)) for _ in range(5)] + [ack(next(rid))] * 2))
        if make is Peer:
            assert peer.out() == [("push", 5)]
            peer.finish()
            assert peer.out() == [("ack", 2)]
        else:
            assert peer.out() == [("push", 5), ("ack", 2)]

    def test_pulls_are_never_one_batch(self) -> None:
        assert v2().send(pull(rid=1) + pull(rid=2)).out() == [("pull", 1), ("pull", 1)]

    @pytest.mark.parametrize("rid", [None, 1])
    def test_a_batch_has_a_thousand_requests_at_most(self, rid: int | None) -> None:
        peer = v2(max_in_flight=5000).send(push(rid) * 2500)

        sizes = []
        while peer.batches:
            sizes.append(len(peer.batches[0].requests))
            peer.finish()

        assert sizes == [1000, 1000, 500]

    def test_a_bad_line_inside_a_run_does_not_split_it(self) -> None:
        peer = v2().send(push(1) + line("push", rid=2) + push(3))

        assert peer.out() == [("push", 2)]
        assert rids(peer.said()) == [2]
        assert rids(peer.finish().said()) == [1, 3]

    def test_in_the_lane_a_bad_line_keeps_its_place(self) -> None:
        peer = Peer().send(push(1) + line("push", rid=2) + push(3))

        assert rids(peer.finish_all().said()) == [1, 2, 3]

    def test_each_request_gets_its_own_result(self) -> None:
        peer = Peer().send(push(1) + push(2))
        batch = peer.batches[0]

        peer.session.answer(batch, [result_of("push", batch.requests[0]), WRONG])

        assert codes(peer.run().said()) == ["ok", "UNAUTHORIZED"]


# --- bounds ------------------------------------------------------------------------------------------------------


class TestBounds:
    @pytest.mark.parametrize("rid", [None, 1])
    def test_no_more_requests_are_taken_than_may_be_in_flight(self, rid: int | None) -> None:
        peer = v2(max_in_flight=3).send(pull(rid) * 5)

        assert peer.session.in_flight == 3
        assert peer.session.backlogged
        assert len(peer.finish_all().said()) == 5
        assert not peer.session.backlogged

    def test_answers_that_wait_for_their_turn_count_too(self) -> None:
        peer = Peer(max_in_flight=10).send(pull() + b"\n" * 1000)

        assert peer.session.in_flight == 10
        assert peer.session.backlogged
        assert len(peer.finish_all().said()) == 1001

    def test_large_requests_in_flight_are_bounded_in_bytes(self) -> None:
        big = pull(7, request_id="x" * 1000)[:-2] + b" " * 1_000_000 + b"}\n"
        peer = v2().send(big * 20)

        assert len(peer.batches) == -(-IN_FLIGHT_BYTES // len(big))
        assert peer.session.backlogged
        assert len(peer.finish_all().said()) == 20

    @pytest.mark.slow
    def test_a_flood_of_bad_lines_is_answered_in_portions(self) -> None:
        session = Peer().session
        session.receive_data(b"\n" * 100_000)
        portions = []

        while (event := session.next_event()) is not None:
            assert isinstance(event, Write)
            portions.append(len(session.data_to_send()))

        assert len(portions) > 10
        assert max(portions) < SEND_BYTES + 1000

    @pytest.mark.slow
    def test_bad_lines_between_good_ones_are_answered_in_portions_too(self) -> None:
        peer = v2()
        peer.session.receive_data(push(1) + b"\xff\n" * 100_000 + push(2))
        sizes = []

        while (event := peer.session.next_event()) is not None:
            sizes.append(len(peer.session.data_to_send()))
            if isinstance(event, Batch):
                assert len(event.requests) == 1

        assert max(sizes) < SEND_BYTES + 1000

    def test_an_answer_over_its_bound_becomes_an_error(self) -> None:
        peer = Peer(max_response_bytes=200).send(push(1))
        long = answers.Pushed(id="x" * 300, outcome="created")

        peer.session.answer(peer.batches[0], [long])

        said = peer.run().said()
        assert codes(said) == ["PAYLOAD_TOO_LARGE"]
        assert said[0]["error"]["details"] == {"limit": 200}
        assert rids(said) == [1]


# --- authentication ----------------------------------------------------------------------------------------------


class TestAuthentication:
    def test_only_the_commands_that_need_no_token_are_served(self) -> None:
        peer = Peer(token=True).send(push(1) + line("ping", rid=2) + line("abort", target=1, rid=3))

        said = peer.said()

        assert codes(said) == ["UNAUTHORIZED", "ok", "UNKNOWN_COMMAND"]
        assert rids(said) == [1, 2, 3]

    def test_a_bad_command_without_a_token_hears_of_the_token_first(self) -> None:
        peer = Peer(token=True).send(line("push", nonsense=1) + line("ping", nonsense=1))

        assert codes(peer.said()) == ["UNAUTHORIZED", "VALIDATION_ERROR"]

    def test_health_needs_no_token(self) -> None:
        peer = Peer(token=True).send(HELLO + line("health", rid=1) + line("workers", rid=2))

        assert peer.out() == [("health", 1)]
        assert codes(peer.said()) == ["ok", "UNAUTHORIZED"]

    @pytest.mark.parametrize(
        "opening", [line("auth", token=TOKEN, rid=0), line("hello", v=[2], token=TOKEN, rid=0)]
    )
    def test_lines_behind_a_good_token_in_the_same_write_are_served(self, opening: bytes) -> None:
        peer = Peer(token=True).send(opening + push(1) + push(2))

        assert codes(peer.said()) == ["ok"]
        assert peer.session.state is State.READY
        assert peer.out() == [("push", 2)]

    def test_a_wrong_token_is_refused_and_may_be_corrected(self) -> None:
        peer = Peer(token=True).send(line("auth", token="no", rid=1) + push(2))
        assert codes(peer.said()) == ["UNAUTHORIZED", "UNAUTHORIZED"]

        peer.send(line("auth", token=TOKEN, rid=3) + push(4))

        assert codes(peer.said()) == ["ok"]
        assert peer.out() == [("push", 1)]

    @pytest.mark.parametrize("text", [b"[" * 70_000, b" " * 70_000])
    def test_a_long_line_is_not_read_before_there_is_a_token(self, text: bytes) -> None:
        """JW-AUTH-10: to check 4 MiB of brackets takes most of a second."""
        peer = Peer(token=True).send(text + b"\n" + line("ping", rid=2))

        said = peer.said()

        assert codes(said) == ["UNAUTHORIZED", "ok"]
        assert "rid" not in said[0]

    def test_a_long_line_behind_a_good_token_is_served(self) -> None:
        """JW-AUTH-7 holds for it too."""
        long = line("push", queue="q", name="n", data="x" * UNAUTHENTICATED_LINE_BYTES, rid=2)
        peer = Peer(token=True).send(line("auth", token=TOKEN, rid=1) + long)

        assert codes(peer.said()) == ["ok"]
        assert peer.out() == [("push", 1)]

    def test_a_hello_with_a_wrong_token_chooses_nothing(self) -> None:
        peer = Peer(token=True).send(line("hello", v=[2], token="no", rid=1))
        assert codes(peer.said()) == ["UNAUTHORIZED"]
        assert peer.session.wire == 1

        assert peer.send(line("hello", v=[2], token=TOKEN, rid=2)).said()[0]["v"] == 2

    def test_a_hello_without_a_token_leaves_the_token_to_auth(self) -> None:
        peer = Peer(token=True).send(HELLO + push(1) + line("auth", token=TOKEN, rid=2) + push(3))

        assert codes(peer.said()) == ["ok", "UNAUTHORIZED", "ok"]
        assert peer.out() == [("push", 1)]

    @pytest.mark.parametrize(
        "command", [line("auth", token="x", rid=1), line("hello", v=[2], token="x", rid=1)]
    )
    def test_a_locked_out_address_is_told_so_and_closed(self, command: bytes) -> None:
        peer = Peer(token=True)
        peer.locked = True
        peer.send(command + line("auth", token=TOKEN, rid=2))

        said = peer.said()
        assert codes(said) == ["RATE_LIMITED"]
        assert said[0]["error"]["retry_after_ms"] == 300_000
        assert rids(said) == [1]
        assert peer.closed() == Close(unread=True)

    def test_auth_is_ok_where_no_token_is_wanted(self) -> None:
        assert codes(Peer().send(line("auth", token="any")).said()) == ["ok"]

    def test_auth_is_ok_and_not_checked_again_once_authenticated(self) -> None:
        peer = Peer(token=True).send(line("auth", token=TOKEN) + line("auth", token="other"))

        assert codes(peer.said()) == ["ok", "ok"]
        assert sum(isinstance(event, Authenticate) for event in peer.events) == 1

    def test_auth_without_a_token_names_the_field(self) -> None:
        error = Peer(token=True).send(line("auth")).said()[0]["error"]

        assert error["code"] == "VALIDATION_ERROR"
        assert error["details"]["pointer"] == "/token"


# --- hello -------------------------------------------------------------------------------------------------------


class TestHello:
    @pytest.mark.parametrize(
        ("offered", "chosen"), [([1], 1), ([2], 2), ([1, 2], 2), ([2, 3, 99], 2)]
    )
    def test_the_highest_version_that_both_speak_is_chosen(
        self, offered: list[int], chosen: int
    ) -> None:
        peer = Peer().send(line("hello", v=offered))

        said = peer.said()[0]
        assert said["v"] == chosen
        assert set(said) == {
            "ok", "v", "server", "capabilities", "limits", "defaults", "heartbeat_ms",
        }  # fmt: skip
        assert peer.session.wire == chosen

    def test_no_common_version_is_an_error_that_names_ours(self) -> None:
        peer = Peer().send(line("hello", v=[3, 4], rid=9))

        said = peer.said()[0]
        assert said["error"]["code"] == "UNSUPPORTED_VERSION"
        assert said["error"]["details"] == {"supported": [1, 2]}
        assert said["rid"] == 9
        assert peer.send(HELLO).said()[0]["v"] == 2

    @pytest.mark.parametrize("first", [1, 2])
    def test_hello_twice_is_refused(self, first: int) -> None:
        peer = Peer().send(line("hello", v=[first]) + line("hello", v=[2]))

        assert codes(peer.said()) == ["ok", "VALIDATION_ERROR"]
        assert peer.session.wire == first

    @pytest.mark.parametrize("name", sorted(n for n, c in COMMANDS.items() if c.wire == 2))
    def test_commands_of_version_2_do_not_exist_before_it(self, name: str) -> None:
        fields = {"id": JOB, "queue": "q", "target": 1, "items": [], "flow_id": "f"}
        given = {key: value for key, value in fields.items() if key in COMMANDS[name].required}
        text = line(name, **given)

        assert codes(Peer().send(text).said()) == ["UNKNOWN_COMMAND"]
        assert "UNKNOWN_COMMAND" not in codes(v2().send(text).finish_all().said())

    @pytest.mark.parametrize("name", sorted(n for n, c in COMMANDS.items() if c.wire == 2))
    def test_whatever_fields_they_have(self, name: str) -> None:
        assert codes(Peer().send(line(name, nonsense=1)).said()) == ["UNKNOWN_COMMAND"]


# --- refusals ----------------------------------------------------------------------------------------------------


REFUSED = {
    "binary": (b"\x01\x00\x04mail", "UNSUPPORTED_PROTOCOL", {"saw": "binary"}),
    "tls": (b"\x16\x03\x01\x02\x00", "UNSUPPORTED_PROTOCOL", {"saw": "tls"}),
    "http": (b"GET / HTTP/1.1\r\n\r\n", "UNSUPPORTED_PROTOCOL", {"saw": "http"}),
    "too long": (PING + b"x" * 200, "PAYLOAD_TOO_LARGE", {"limit": 100}),
}


@pytest.mark.parametrize(("data", "code", "details"), REFUSED.values(), ids=REFUSED.keys())
def test_a_stream_that_cannot_be_read_gets_one_error_and_is_closed(
    data: bytes, code: str, details: dict[str, Any]
) -> None:
    peer = Peer(line_bytes=100).send(data, PING * 3)

    error = peer.said()[-1]["error"]

    assert (error["code"], error["details"]) == (code, details)
    assert peer.closed() == Close(unread=True)
    assert peer.session.state is State.CLOSED


def test_what_stands_before_a_line_that_is_too_long_is_answered_first() -> None:
    peer = Peer(line_bytes=100).send(push() + b"x" * 200)
    assert peer.said() == []
    assert peer.closed() is None

    assert codes(peer.finish().said()) == ["ok", "PAYLOAD_TOO_LARGE"]
    assert peer.closed() is not None


BAD_LINES = {
    "blank": b"\n",
    "blank with a carriage return": b"\r\n",
    "spaces": b"   \n",
    "not JSON": b"hello\n",
    "not UTF-8": b'{"cmd":"ping","x":"\xff"}\n',
    "a lone surrogate": b'{"cmd":"ping","x":"\\ud800"}\n',
    "cut short": b'{"cmd":"ping"\n',
    "two objects": b'{"cmd":"ping"}{"cmd":"ping"}\n',
    "nested without end": b"[" * 100_000 + b"\n",
    "a binary frame later on": b"\x01\x00\n",
}


@pytest.mark.parametrize("bad", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_line_that_is_not_json_is_answered_and_the_connection_goes_on(bad: bytes) -> None:
    peer = Peer().send(PING + bad + PING)

    assert codes(peer.said()) == ["ok", "PARSE_ERROR", "ok"]
    assert peer.closed() is None


# --- abort -------------------------------------------------------------------------------------------------------


class TestAbort:
    def test_a_waiting_pull_is_handed_out_for_the_shell_to_end(self) -> None:
        peer = v2().send(pull(1, wait_ms=5000), line("abort", target=1, rid=2))
        event = peer.events[-1]
        assert isinstance(event, Abort)
        assert event.batch is peer.batches[0]

        peer.session.abandon(event.batch)
        peer.session.aborted(event, True)

        assert peer.run().said() == [
            {"ok": True, "job": None, "rid": 1},
            {"ok": True, "aborted": True, "rid": 2},
        ]
        assert peer.session.in_flight == 0

    def test_many_are_answered_with_an_empty_list(self) -> None:
        peer = v2().send(pull(1, wait_ms=5000, count=5))
        peer.session.abandon(peer.batches[0])

        assert peer.run().said() == [{"ok": True, "jobs": [], "rid": 1}]

    @pytest.mark.parametrize(
        "before", [b"", pull(1), push(1), pull(2, wait_ms=5), pull(None, wait_ms=5)]
    )
    def test_what_does_not_wait_under_that_rid_cannot_be_aborted(self, before: bytes) -> None:
        peer = v2().send(before + line("abort", target=1, rid=9))

        assert peer.said() == [{"ok": True, "aborted": False, "rid": 9}]

    def test_what_was_answered_cannot_be_aborted(self) -> None:
        peer = v2().send(pull(1, wait_ms=5000)).finish()
        peer.said()

        assert peer.send(line("abort", target=1, rid=2)).said()[0]["aborted"] is False

    def test_a_waiting_heartbeat_can_be_aborted(self) -> None:
        beat = line("heartbeat_batch", worker={"id": "w"}, wait_ms=5000, rid=1)
        peer = v2().send(beat + line("abort", target=1, rid=2))

        assert isinstance(peer.events[-1], Abort)


# --- the end -----------------------------------------------------------------------------------------------------


class TestTheEnd:
    def test_bye_is_answered_after_what_is_in_flight_and_closes(self) -> None:
        peer = v2().send(push(1) + line("bye", rid=2) + push(3))
        assert peer.said() == []
        assert PeerDone() in peer.events

        assert rids(peer.finish().said()) == [1, 2]
        assert peer.closed() == Close(unread=True)

    def test_an_unterminated_last_line_is_carried_out(self) -> None:
        peer = Peer().send(PING + push(5).rstrip(b"\n")).eof()
        assert peer.out() == [("push", 1)]

        assert rids(peer.finish().said()) == [None, 5]
        assert peer.closed() == Close(unread=False)

    def test_after_eof_nothing_waits(self) -> None:
        peer = Peer().send(pull(wait_ms=9000) + pull(wait_ms=9000)).eof()
        assert PeerDone() in peer.events
        assert peer.batches[0].waits

        peer.finish()

        assert peer.batches[0].requests[0].wait_ms == 0
        assert not peer.batches[0].waits
        peer.finish()
        assert peer.closed() is not None

    def test_eof_on_an_idle_connection_closes_it(self) -> None:
        assert Peer().send(PING).eof().closed() == Close(unread=False)

    def test_a_deadline_is_said_after_the_complete_lines(self) -> None:
        peer = Peer().send(push() + b'{"cmd"')
        assert peer.session.in_line

        peer.session.fail(JobwireError("REQUEST_TIMEOUT", "late"))

        assert codes(peer.finish().said()) == ["ok", "REQUEST_TIMEOUT"]
        assert peer.closed() == Close(unread=True)

    def test_nothing_is_heard_after_the_end(self) -> None:
        peer = Peer().send(line("bye"))
        peer.said()

        peer.send(PING + PING).eof()
        peer.session.drain("shutdown")
        peer.session.fail(WRONG)

        assert peer.run().said() == []
        assert not peer.session.in_line


class TestDrain:
    def test_version_2_is_told_which_request_was_the_last(self) -> None:
        peer = v2().send(push(41) + pull(42, wait_ms=5000))

        peer.session.drain("shutdown")

        assert peer.run().said() == [{"notice": "goaway", "last_rid": 42, "reason": "shutdown"}]
        assert peer.session.state is State.DRAINING
        assert rids(peer.finish_all().said()) == [41, 42]
        assert peer.closed() == Close(unread=False)

    def test_the_last_rid_is_null_when_no_request_had_one(self) -> None:
        peer = v2().send(push())
        peer.session.drain("shutdown")

        assert peer.run().said()[0]["last_rid"] is None

    def test_later_requests_are_refused_and_do_nothing(self) -> None:
        peer = v2().send(pull(1))
        peer.session.drain("shutdown")
        peer.run().said()

        peer.send(push(2) + line("auth", token="x", rid=3) + line("ping", rid=4))

        assert codes(peer.said()) == ["SHUTTING_DOWN", "SHUTTING_DOWN", "ok"]
        assert peer.out() == [("pull", 1)]

    def test_lines_that_were_not_taken_yet_are_refused(self) -> None:
        peer = v2(max_in_flight=1).send(pull(1) + pull(2) + pull(3))
        peer.session.drain("shutdown")
        assert peer.run().said() == [{"notice": "goaway", "last_rid": 1, "reason": "shutdown"}]

        said = peer.finish().said()

        assert codes(said) == ["ok", "SHUTTING_DOWN", "SHUTTING_DOWN"]
        assert peer.closed() is not None

    def test_version_1_is_closed_without_an_unasked_byte_when_its_queue_is_empty(self) -> None:
        peer = Peer().send(push() + ack())
        peer.session.drain("shutdown")
        assert peer.run().said() == []
        assert peer.closed() is None

        assert len(peer.finish_all().said()) == 2
        assert peer.closed() == Close(unread=False)

    def test_draining_twice_says_it_once(self) -> None:
        peer = v2().send(pull(1))
        peer.session.drain("shutdown")
        peer.session.drain("shutdown")

        assert len(peer.run().said()) == 1


def test_notices_are_for_version_2_only() -> None:
    notice = {"notice": "job.cancel", "id": JOB, "lease": "1"}
    for peer in (Peer(), Peer().send(line("hello", v=[1]))):
        peer.said()
        assert not peer.session.notice(notice)
        assert peer.flush().said() == []

    peer = v2()
    assert peer.session.notice(notice)
    assert peer.flush().said() == [notice]


# --- the table ---------------------------------------------------------------------------------------------------


def test_every_command_has_a_verdict_in_every_state() -> None:
    names = {name for name, info in COMMANDS.items() if info.wire is not None}

    assert set(VERDICTS) == {State.CONNECTED, State.READY, State.DRAINING}
    assert all(set(verdicts) == names for verdicts in VERDICTS.values())


def test_nothing_that_needs_a_token_runs_without_one() -> None:
    refused = {n for n, v in VERDICTS[State.CONNECTED].items() if v is Verdict.UNAUTHORIZED}

    assert refused == {n for n, info in COMMANDS.items() if info.auth and info.wire is not None}


# --- any cut, any bytes ------------------------------------------------------------------------------------------

CONVERSATIONS = {
    "v1": PING + push(1) + push(2) + b"\n" + ack(3) + line("ping", rid=4),
    "v1 with an unterminated end": push(1) + pull(2).rstrip(b"\n"),
    "a token and work": line("auth", token=TOKEN, rid=0) + push(1) + push(2),
    "hello and work": line("hello", v=[2], token=TOKEN, rid=0) + push(1) + PING + ack(2) + push(),
    "carriage returns": PING.replace(b"\n", b"\r\n") + push(1).replace(b"\n", b"\r\n"),
    "bye": push(1) + line("bye", rid=2) + push(3),
    "an HTTP request": b"POST / HTTP/1.1\r\n\r\n" + PING,
    "a line that is too long": PING + b"x" * 300 + b"\n" + PING,
}


def talk(chunks: list[bytes], *, token: bool) -> list[dict[str, Any]]:
    """All that is said when every request is answered as soon as it is handed out."""
    peer = Peer(token=token, line_bytes=256)
    for chunk in chunks:
        peer.send(chunk).finish_all()
    peer.eof().finish_all()
    assert peer.session.state is State.CLOSED
    assert peer.session.in_flight == 0
    return peer.said()


@pytest.mark.parametrize("token", [False, True])
@pytest.mark.parametrize("data", CONVERSATIONS.values(), ids=CONVERSATIONS.keys())
def test_a_conversation_is_the_same_however_it_is_cut(data: bytes, token: bool) -> None:
    by_rid = lambda said: sorted(map(json.dumps, said))  # noqa: E731 - version 2 may reorder
    whole = by_rid(talk([data], token=token))

    assert by_rid(talk([data[i : i + 1] for i in range(len(data))], token=token)) == whole
    for place in range(1, len(data)):
        assert by_rid(talk([data[:place], data[place:]], token=token)) == whole, place


WORDS = [PING, HELLO, push(), push(1), pull(2, wait_ms=5), ack(3), line("abort", target=2, rid=4),
         line("auth", token=TOKEN), line("auth", token="x"), line("bye"), b"\n", b"{", b"\xff\n",
         line("health", rid=5), line("nope"), b"GET / ", b"\x16", b"x" * 300]  # fmt: skip


@given(
    st.booleans(), st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=40)), max_size=30)
)
def test_no_input_breaks_a_session(token: bool, chunks: list[bytes]) -> None:
    peer = Peer(token=token, max_in_flight=4, line_bytes=256)
    for chunk in chunks:
        peer.send(chunk)
        assert peer.session.in_flight <= 4 + len(chunks)
        for event in [event for event in peer.events if isinstance(event, Abort)]:
            peer.session.aborted(event, False)
        peer.events.clear()
        if len(peer.batches) > 2:
            peer.finish()
    peer.eof().finish_all().eof()

    assert peer.session.state is State.CLOSED
    assert peer.session.in_flight == 0
    assert all("ok" in answer for answer in peer.said())
