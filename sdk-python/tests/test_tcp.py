"""The TCP session, without sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from jobwire._errors import (
    AuthError,
    ProtocolError,
    TransportError,
    UnavailableError,
    ValidationError,
)
from jobwire._tcp import (
    Answered,
    Broken,
    Event,
    Late,
    Noticed,
    Ready,
    Session,
    Silence,
    Unprocessed,
)


def line(**members: Any) -> bytes:
    return json.dumps(members).encode() + b"\n"


def session(token: str | None = None, **options: Any) -> Session:
    return Session(client_name="test", token=token, **options)


def ready(version: int = 2) -> Session:
    made = session()
    made.hello()
    assert made.feed(line(ok=True, rid=1, v=version)) == [Ready(version)]
    return made


def splits(data: bytes) -> Iterator[list[bytes]]:
    """*data* whole, byte by byte, and cut in two at every place."""
    yield [data]
    yield [data[at : at + 1] for at in range(len(data))]
    for at in range(1, len(data)):
        yield [data[:at], data[at:]]


# --- the handshake ----------------------------------------------------------------------------------------------------


def test_hello_offers_both_versions_and_carries_the_token() -> None:
    hello = json.loads(session("s3cret").hello())

    assert hello["cmd"] == "hello"
    assert hello["v"] == [1, 2]
    assert hello["token"] == "s3cret"
    assert hello["client"]["name"] == "test"


def test_without_a_token_hello_has_none() -> None:
    assert "token" not in json.loads(session().hello())


def test_a_server_without_hello_is_spoken_to_in_version_1() -> None:
    made = session()
    made.hello()

    assert made.feed(line(ok=False, error={"code": "UNKNOWN_COMMAND", "message": "x"})) == [
        Ready(1)
    ]
    assert made.outgoing() == b""


@pytest.mark.parametrize("refusal", ["UNKNOWN_COMMAND", "UNAUTHORIZED"])
@pytest.mark.parametrize(
    "verdict", [{"ok": True}, {"ok": False, "error": {"code": "UNKNOWN_COMMAND", "message": ""}}]
)
def test_a_server_without_hello_is_given_the_token_by_auth(
    refusal: str, verdict: dict[str, Any]
) -> None:
    made = session("s3cret")
    made.hello()

    assert made.feed(line(ok=False, error={"code": refusal, "message": "x"})) == []
    assert json.loads(made.outgoing()) == {"cmd": "auth", "token": "s3cret"}
    assert made.feed(line(**verdict)) == [Ready(1)]


def test_a_wrong_token_is_an_auth_error_and_is_not_tried_twice() -> None:
    made = session("wrong")
    made.hello()

    events = made.feed(line(ok=False, rid=1, error={"code": "UNAUTHORIZED", "message": "no"}))

    assert [type(event) for event in events] == [Broken]
    assert isinstance(events[0], Broken)
    assert isinstance(events[0].error, AuthError)
    assert made.outgoing() == b""


def test_a_server_that_is_full_says_so_instead_of_hello() -> None:
    made = session()
    made.hello()

    [event] = made.feed(line(ok=False, error={"code": "OVERLOADED", "message": "full"}))

    assert isinstance(event, Broken)
    assert isinstance(event.error, UnavailableError)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad\r\n", b"[]\n", b"\xff\n", b'{"ok":true,"v":3}\n']
)
def test_what_is_no_answer_to_hello_is_a_protocol_error(answer: bytes) -> None:
    made = session()
    made.hello()

    [event] = made.feed(answer)

    assert isinstance(event, Broken)
    assert isinstance(event.error, ProtocolError)


# --- requests and answers ---------------------------------------------------------------------------------------------


def test_a_request_carries_its_rid_and_its_fields() -> None:
    rid, data = ready().send("ack", b'{"id":"x"}')

    assert data.endswith(b"\n")
    assert json.loads(data) == {"cmd": "ack", "rid": rid, "id": "x"}


def test_a_request_without_fields_is_an_object_too() -> None:
    rid, data = ready().send("ping", b"{}")

    assert json.loads(data) == {"cmd": "ping", "rid": rid}


def test_answers_find_their_requests_however_their_bytes_arrive() -> None:
    stream = (
        line(ok=True, rid=3, id="ü\u2028\r")
        + line(notice="job.cancel", id="j", lease="L")
        + line(ok=False, rid=2, error={"code": "INTERNAL_ERROR", "message": "x"})
    )
    expected: list[Event] = [
        Answered(3, {"ok": True, "rid": 3, "id": "ü\u2028\r"}),
        Noticed("job.cancel", {"id": "j", "lease": "L"}),
        Answered(2, {"ok": False, "rid": 2, "error": {"code": "INTERNAL_ERROR", "message": "x"}}),
    ]
    for parts in splits(stream):
        made = ready()
        assert [made.send("ping", b"{}")[0] for _ in range(2)] == [2, 3]

        assert [event for part in parts for event in made.feed(part)] == expected
        assert made.in_flight == 0


def test_in_version_1_answers_come_in_the_order_of_the_requests() -> None:
    made = ready(1)
    first, data = made.send("ping", b"{}")
    second, _ = made.send("ping", b"{}")

    assert data == b'{"cmd":"ping"}\n'
    assert made.feed(line(ok=True, n=1) + line(ok=True, n=2)) == [
        Answered(first, {"ok": True, "n": 1}),
        Answered(second, {"ok": True, "n": 2}),
    ]


def test_the_answer_to_an_abandoned_request_reaches_nobody() -> None:
    made = ready()
    first, _ = made.send("ping", b"{}")
    second, _ = made.send("ping", b"{}")

    assert made.abandon(first) is False
    assert made.in_flight == 1
    assert made.feed(line(ok=True, rid=first) + line(ok=True, rid=second)) == [
        Answered(second, {"ok": True, "rid": second})
    ]


def test_in_version_1_an_abandoned_request_spoils_the_connection() -> None:
    made = ready(1)
    rid, _ = made.send("ping", b"{}")

    assert made.abandon(rid) is True


def test_an_answer_comes_once() -> None:
    made = ready()
    rid, _ = made.send("ping", b"{}")
    made.send("ping", b"{}")

    events = made.feed(line(ok=True, rid=rid) * 2)

    assert [type(event) for event in events] == [Answered, Broken]


@pytest.mark.parametrize("rid", [99, 0, -1, 2.0, True, "2", None])
def test_an_answer_to_nothing_breaks_the_connection(rid: Any) -> None:
    made = ready()
    made.send("ping", b"{}")

    [event] = made.feed(line(ok=True, rid=rid))

    assert isinstance(event, Broken)
    assert isinstance(event.error, ProtocolError)


def test_an_error_without_a_rid_speaks_of_the_connection_when_several_calls_wait() -> None:
    made = ready()
    made.send("ping", b"{}")
    made.send("ping", b"{}")

    [event] = made.feed(line(ok=False, error={"code": "REQUEST_TIMEOUT", "message": "slow"}))

    assert isinstance(event, Broken)
    assert isinstance(event.error, TransportError)
    assert "REQUEST_TIMEOUT" in event.error.message


def test_nothing_is_read_after_the_connection_broke() -> None:
    made = ready()
    rid, _ = made.send("ping", b"{}")

    events = made.feed(b"garbage\n" + line(ok=True, rid=rid))

    assert [type(event) for event in events] == [Broken]
    assert made.feed(line(ok=True, rid=rid)) == []


def test_late_jobs_of_a_cancelled_pull_can_be_given_back() -> None:
    made = ready()
    rid, _ = made.send("pull", b"{}")
    made.abandon(rid, cancelled=True)
    body = {"ok": True, "rid": rid, "jobs": [{"id": "a", "lease": "1"}, {"id": "b", "lease": "2"}]}

    assert made.feed(line(**body)) == [Late(body)]
    lines = [json.loads(one) for one in made.give_back(body).splitlines()]

    assert [(one["cmd"], one["id"], one["lease"]) for one in lines] == [
        ("release", "a", "1"),
        ("release", "b", "2"),
    ]
    assert made.feed(b"".join(line(ok=True, rid=one["rid"]) for one in lines)) == []


# --- silence ----------------------------------------------------------------------------------------------------------


def test_a_ping_is_not_in_flight_and_its_answer_reaches_nobody() -> None:
    made = ready()
    rid, _ = made.send("pull", b"{}")

    ping = json.loads(made.ping())

    assert ping == {"cmd": "ping", "rid": rid + 1}
    assert made.in_flight == 1
    assert made.feed(line(ok=True, rid=ping["rid"])) == []
    assert made.feed(line(ok=True, rid=rid)) == [Answered(rid, {"ok": True, "rid": rid})]


def test_in_version_1_there_is_no_ping() -> None:
    made = ready(1)

    assert made.ping() == b""
    assert made.in_flight == 0


def test_a_peer_that_is_quiet_is_pinged_once_and_then_given_up() -> None:
    silence = Silence(10.0)
    silence.begin(100.0)

    assert silence.look(100.0, can_ping=True) == ("wait", 105.0)
    assert silence.look(104.9, can_ping=True) == ("wait", 105.0)
    assert silence.look(105.0, can_ping=True) == ("ping", 110.0)
    assert silence.look(105.0, can_ping=True) == ("wait", 110.0)
    assert silence.look(109.9, can_ping=True) == ("wait", 110.0)
    assert silence.look(110.0, can_ping=True) == ("give up", 110.0)


def test_a_peer_that_answers_its_pings_is_kept_for_ever() -> None:
    """JW-SDK-14."""
    silence = Silence(10.0)
    silence.begin(0.0)

    for asked_at in (5.0, 10.5, 16.0, 21.5):
        assert silence.look(asked_at, can_ping=True) == ("ping", asked_at + 5.0)
        silence.begin(asked_at + 0.5)
        assert silence.look(asked_at + 5.0, can_ping=True) == ("wait", asked_at + 5.5)


def test_a_peer_that_cannot_be_asked_is_given_up_after_the_whole_of_it() -> None:
    silence = Silence(10.0)
    silence.begin(0.0)

    assert silence.look(5.0, can_ping=False) == ("wait", 10.0)
    assert silence.look(10.0, can_ping=False) == ("give up", 10.0)


def test_a_look_that_comes_too_late_still_asks_first() -> None:
    """A process that was stopped for a minute has heard nothing either, and its peer may be well."""
    silence = Silence(10.0)
    silence.begin(0.0)

    assert silence.look(60.0, can_ping=True) == ("ping", 65.0)
    assert silence.look(64.9, can_ping=True) == ("wait", 65.0)
    assert silence.look(65.0, can_ping=True) == ("give up", 65.0)


# --- goodbye ----------------------------------------------------------------------------------------------------------


def test_goaway_names_what_was_not_processed() -> None:
    made = ready()
    first, _ = made.send("ping", b"{}")
    second, _ = made.send("ping", b"{}")
    goaway = {"last_rid": first, "reason": "shutdown"}

    assert made.feed(line(notice="goaway", **goaway)) == [
        Unprocessed(second),
        Noticed("goaway", goaway),
    ]
    assert made.draining
    refusal = line(ok=False, rid=second, error={"code": "SHUTTING_DOWN", "message": "x"})
    assert made.feed(refusal) == []
    assert made.feed(line(ok=True, rid=first)) == [Answered(first, {"ok": True, "rid": first})]


def test_goaway_without_a_rid_says_nothing_of_what_is_in_flight() -> None:
    made = ready()
    rid, _ = made.send("ping", b"{}")

    made.feed(line(notice="goaway", last_rid=None, reason="x"))

    assert made.draining
    assert made.feed(line(ok=True, rid=rid)) == [Answered(rid, {"ok": True, "rid": rid})]


# --- limits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_over_the_limit_breaks_the_connection(end: bytes) -> None:
    made = session(max_answer=50)
    made.hello()

    [event] = made.feed(b'{"x":"' + b"a" * 50 + b'"}' + end)

    assert isinstance(event, Broken)
    assert "50" in event.error.message


def test_a_request_over_the_servers_limit_is_not_sent() -> None:
    made = session()
    made.hello()
    made.feed(line(ok=True, rid=1, v=2, limits={"line_bytes": 40}))

    with pytest.raises(ValidationError) as caught:
        made.send("push", json.dumps({"x": "a" * 40}).encode())

    assert caught.value.code == "PAYLOAD_TOO_LARGE"
    assert caught.value.details == {"limit": 40}
    assert made.in_flight == 0
    assert made.send("ping", b"{}")[0] == 2


def test_the_repr_does_not_show_the_token() -> None:
    assert "s3cret" not in repr(session("s3cret"))
