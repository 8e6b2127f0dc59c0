"""What the recorder writes, what it raises, and whom it blames."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.runner.exchange import Exchange
from conformance.runner.recorder import Recorder, read_records
from conformance.runner.taps import HttpTap
from conformance.runner.validating import Undocumented
from conformance.tests.exchanges import PUSHED, exchange, line

PUSH = line(cmd="push", queue="q", name="n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "records"


@pytest.fixture
def recorder(folder: Path) -> Iterator[Recorder]:
    with Recorder(folder, worker="w") as made:
        made.note("CASE-1[http]", 2)
        yield made


def records(folder: Path, *kinds: str) -> list[dict[str, Any]]:
    return [each for each in read_records(folder) if each["kind"] in kinds]


def test_an_exchange_is_recorded_with_its_place(recorder: Recorder, folder: Path) -> None:
    recorder.http(exchange(request_body=b'{"name":"n"}', by="sdk:python"))

    (found,) = records(folder, "http")
    assert (found["case"], found["step"], found["by"]) == ("CASE-1[http]", "2", "sdk:python")
    assert (found["operations"], found["status"], found["code"]) == (["push"], 201, "")
    assert (found["type"], found["problems"]) == ("application/json", [])
    assert json.loads(found["response"]["body"]) == PUSHED


def test_an_undocumented_member_is_raised_kept_and_recorded(
    recorder: Recorder, folder: Path
) -> None:
    with pytest.raises(Undocumented, match="'more' was unexpected"):
        recorder.http(exchange(body={**PUSHED, "more": 1}))

    (problem,) = recorder.problems_of("CASE-1[http]")
    assert "'more' was unexpected" in problem
    assert records(folder, "http")[0]["problems"] == [problem]
    assert recorder.problems_of("CASE-2[http]") == []


def test_a_peer_that_is_meant_to_misbehave_is_not_judged(folder: Path) -> None:
    with Recorder(folder, judge=False) as recorder:
        recorder.http(exchange(body={**PUSHED, "more": 1}))
        recorder.tcp_line("c", "received", b"nonsense\n")

    assert recorder.problems_of("") == []
    assert [each["problems"] for each in records(folder, "http", "tcp")] == [[], []]


def test_nothing_is_written_without_a_folder(tmp_path: Path) -> None:
    recorder = Recorder(None)

    with pytest.raises(Undocumented):
        recorder.http(exchange(status=202))
    assert list(tmp_path.iterdir()) == []


def test_lines_are_recorded_however_they_are_cut(recorder: Recorder, folder: Path) -> None:
    answer = line(**PUSHED)
    for at in range(len(PUSH)):
        recorder.tcp_line("c", "sent", PUSH[at : at + 1])
    for at in range(len(answer)):
        recorder.tcp_line("c", "received", answer[at : at + 1])

    sent, received = records(folder, "line", "tcp")
    assert sent["text"] == PUSH.decode().rstrip()
    assert (received["command"], received["wire"], received["code"]) == ("push", 1, "")


def test_two_connections_are_two_conversations(recorder: Recorder, folder: Path) -> None:
    recorder.tcp_line("a", "sent", PUSH)
    recorder.tcp_line("b", "sent", line(cmd="ping"))
    recorder.tcp_line("b", "received", line(ok=True))
    recorder.tcp_line("a", "received", line(**PUSHED))

    assert [each["command"] for each in records(folder, "tcp")] == ["ping", "push"]


def test_a_connection_that_is_closed_is_forgotten(recorder: Recorder, folder: Path) -> None:
    recorder.tcp_line("c", "sent", PUSH)
    recorder.tcp_line("c", "received", b'{"ok":tr')
    recorder.tcp_closed("c")
    recorder.tcp_line("c", "sent", line(cmd="ping"))
    recorder.tcp_line("c", "received", line(ok=True))

    cut = records(folder, "line")[1]
    assert (cut["sent"], cut["text"]) == (False, '{"ok":tr')
    assert records(folder, "tcp")[0]["command"] == "ping"


def test_an_undocumented_line_is_raised(recorder: Recorder) -> None:
    recorder.tcp_line("c", "sent", PUSH)

    with pytest.raises(Undocumented, match="'more' was unexpected"):
        recorder.tcp_line("c", "received", line(**PUSHED, more=1))


async def test_cases_side_by_side_are_told_apart(folder: Path) -> None:
    async def case(name: str) -> None:
        recorder.note(name)
        await asyncio.sleep(0)
        await asyncio.create_task(part())

    async def part() -> None:
        recorder.http(exchange())

    with Recorder(folder) as recorder:
        await asyncio.gather(case("A"), case("B"))

    assert sorted(each["case"] for each in records(folder, "http")) == ["A", "B"]


def test_tokens_and_long_bodies_are_not_kept(recorder: Recorder, folder: Path) -> None:
    secret = (("authorization", "Bearer s3cret"),)
    recorder.http(exchange(request_headers=secret, request_body=b"x" * 10_000))

    text = next(folder.iterdir()).read_text(encoding="utf-8")
    assert "s3cret" not in text
    assert records(folder, "http")[0]["request"]["body"].endswith("… (10000 bytes)")


def test_features_are_written_once(recorder: Recorder, folder: Path) -> None:
    for _ in range(3):
        recorder.http(exchange(request_body=b'{"name":"n","priority":1}'))

    (found,) = records(folder, "features")
    assert "Pushed.outcome=created" in found["seen"]
    assert "push(priority) accepted" in found["seen"]


def test_a_line_that_is_no_record_is_an_error(folder: Path) -> None:
    folder.mkdir()
    (folder / "w.jsonl").write_text('{"kind":"sdk"}\n{"no": 1}\n', encoding="utf-8")

    with pytest.raises(ValueError, match=r"w\.jsonl:2"):
        read_records(folder)


# --- taps -------------------------------------------------------------------------------------------------------


class Heard(Recorder):
    """Keeps the exchanges."""

    def __init__(self) -> None:
        super().__init__(None)
        self.exchanges: list[Exchange] = []

    def http(self, exchange: Exchange) -> Any:
        self.exchanges.append(exchange)


REQUEST = b"POST /api/v1/pull HTTP/1.1\r\nHost: x\r\nContent-Length: 13\r\n\r\n" + b'{"queue":"q"}'
CHUNKED = b"GET /api/v1/queues HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nX-Request-Id: 1\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}'


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_tap_hears_each_exchange_however_it_is_cut(size: int) -> None:
    heard = Heard()
    tap = HttpTap(heard, "c", by="sdk:python")
    for sent, received in ((REQUEST + CHUNKED, b""), (b"", ANSWER * 2)):
        for at in range(0, len(sent), size):
            tap.sent(sent[at : at + size])
        for at in range(0, len(received), size):
            tap.received(received[at : at + size])

    assert [(each.method, each.request_body, each.body) for each in heard.exchanges] == [
        ("POST", b'{"queue":"q"}', b'{"ok":true}'),
        ("GET", b"{}", b'{"ok":true}'),
    ]
    assert (heard.exchanges[0].by, heard.exchanges[0].header("x-request-id")) == ("sdk:python", "1")


def test_a_tap_stops_listening_to_what_is_no_http() -> None:
    heard = Heard()
    tap = HttpTap(heard, "c", by="sdk:python")
    tap.sent(REQUEST)
    tap.received(b"\x00\x01 nonsense\r\n\r\n")
    tap.received(ANSWER)

    assert (tap.listens, heard.exchanges) == (False, [])


def test_an_answer_before_the_end_of_its_request_is_heard() -> None:
    heard = Heard()
    tap = HttpTap(heard, "c", by="sdk:python")
    tap.sent(REQUEST[:-4])
    tap.received(ANSWER)

    assert [each.body for each in heard.exchanges] == [b'{"ok":true}']
    assert heard.exchanges[0].target == "/api/v1/pull"
