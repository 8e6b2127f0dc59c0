"""T31: hostile JSON gets one verdict on every door and in every place, is kept byte for byte where it is accepted, and harms nothing
(JW-ERR-3, JW-ERR-4, JW-ERR-8, JW-ERR-10, JW-LIMIT-3, JW-JOB-5; guarantees C9)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from tests.acceptance.processes import Server
from tests.proof.fuzz.faulty_parsers import faulty_server
from tests.proof.fuzz.json_doors import BROKEN, OK, Door, Request, Verdict, open_doors
from tests.proof.fuzz.json_rows import VALIDATION_ERROR, Row, rows
from tests.proof.knobs import SEED
from tests.proof.report import Figure, publish

from jobwire_server.wire import limits

pytestmark = pytest.mark.acceptance

LEAST_TRIES = 2_500
LONGEST_OF_CONTROL = 1_000  # bytes


@dataclass(slots=True)
class Place:
    """Where a text stands: in `member` of a push, or of another request."""

    name: str
    limit: int
    request: Callable[[bytes, bytes], Request]  # of an id and the text
    shown_as: bytes = b""  # the member of the job that then has the text
    behind: bytes = b""  # what follows that member in an answer


def push(member: bytes) -> Callable[[bytes, bytes], Request]:
    def request(job_id: bytes, text: bytes) -> Request:
        fields = b'"name":"n","id":"%b",%b' % (job_id, member.replace(b"@", text))
        return Request("push", "POST", "/queues/q/jobs", fields, b'"queue":"q"')

    return request


def push_batch(job_id: bytes, text: bytes) -> Request:
    fields = b'"jobs":[{"name":"n","id":"%b","data":%b}]' % (job_id, text)
    return Request("push_batch", "POST", "/queues/q/jobs/batch", fields, b'"queue":"q"')


def ack(job_id: bytes, text: bytes) -> Request:
    path = f"/jobs/{job_id.decode()}/ack"
    return Request("ack", "POST", path, b'"result":%b' % text, b'"id":"%b"' % job_id)


def alone(_: bytes, text: bytes) -> Request:
    """The text is the whole body or line; none of them is a command, so that a good text is refused for its shape."""
    return Request("ack_batch", "POST", "/jobs/ack", text, bare=True)


DATA, METADATA = limits.DATA_BYTES, limits.METADATA_BYTES
PLACES = (
    Place("data", DATA, push(b'"data":@'), b"data", b',"result"'),
    Place("metadata", METADATA, push(b'"metadata":@'), b"metadata", b',"depends_on"'),
    Place("nested", METADATA, push(b'"options":{"metadata":@}'), b"metadata", b',"depends_on"'),
    Place("batch", DATA, push_batch, b"data", b',"result"'),
    Place("result", limits.RESULT_BYTES, ack, b"result", b',"state"'),
    Place("alone", limits.LINE_BYTES, alone),
)
# An empty body is an object without fields over HTTP (JW-HTTP-8), and an empty line is no JSON (JW-TCP-3).
EMPTY = (b"", b" ", b" \t ")


@dataclass(slots=True)
class Trial:
    """All doors of one server, the verdicts that were wrong, and what was counted."""

    server: Server
    doors: list[Door]
    tries: int = 0
    kept: int = 0  # texts that came back byte for byte
    codes: Counter[str] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    _made: int = 0

    def one(self, place: Place, row: Row) -> None:
        """A text in a place, on every door."""
        wanted = wanted_verdict(place, row)
        for index, door in enumerate(self.doors):
            try:
                self._one_over(door, place, row, wanted)
            except BROKEN as broken:
                self.bad.append(f"{row.name} as {place.name} over {door.name}: {broken!r}")
                door.close()
                self.doors[index] = door.again()

    def _one_over(self, door: Door, place: Place, row: Row, wanted: str) -> None:
        job_id = self._prepared(place)
        found = door.ask(place.request(job_id, row.text))
        self._judge(place, row, door, found, wanted)
        if found.code == OK == wanted:
            self._compare(place, row, door, job_id)
        elif place.name == "result":
            self.server.post(f"/jobs/{job_id.decode()}/ack")

    def _judge(self, place: Place, row: Row, door: Door, found: Verdict, wanted: str) -> None:
        self.tries += 1
        self.codes[found.code] += 1
        fine = found.status is None or (
            found.status < 300 if wanted == OK else found.status in (400, 422)
        )
        if found.code != wanted or not fine:
            self.bad.append(
                f"{row.name} as {place.name} over {door.name}: {found.code} {found.status}, not {wanted}"
            )

    def _prepared(self, place: Place) -> bytes:
        """An id; that of an active job where the place is the result of one."""
        self._made += 1
        job_id = str(UUID(int=(SEED << 64) + self._made)).encode()
        if place.name == "result":
            door = self.doors[1]
            fields = b'"name":"n","id":"%b"' % job_id
            door.ask(Request("push", "POST", "/queues/acks/jobs", fields, b'"queue":"acks"'))
            pulled = door.ask(
                Request("pull", "POST", "/queues/acks/pull", in_path=b'"queue":"acks"')
            )
            assert job_id in pulled.raw
        return job_id

    def _compare(self, place: Place, row: Row, by: Door, job_id: bytes) -> None:
        """The text as every door shows it."""
        wanted = b'"%b":%b%b' % (place.shown_as, row.text, place.behind)
        if row.text == b"null" and place.shown_as == b"metadata":
            wanted = b'"unique_key":null'  # null is no metadata (JW-ERR-7), so there is none to see
        get = Request("get", "GET", f"/jobs/{job_id.decode()}", in_path=b'"id":"%b"' % job_id)
        for door in self.doors:
            shown = door.ask(get).raw
            self.kept += 1
            if wanted not in shown:
                self.bad.append(
                    f"{row.name} as {place.name}, put in over {by.name}: {door.name} shows another text"
                )


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    server = Server(tmp_path).start()
    doors = open_doors(server)
    found = Trial(server, doors)
    yield found
    for door in found.doors:
        door.close()
    server.end()


def test_one_verdict_on_every_door_in_every_place(trial: Trial) -> None:
    began = time.monotonic()
    table = rows()
    for place in PLACES:
        for row in table:
            if row.text or place.name != "alone":
                trial.one(place, row)
    empty = [one_of_nothing(door, text) for text in EMPTY for door in trial.doors]
    accepted = trial.codes[OK]

    publish(figure(trial, len(table), time.monotonic() - began))
    assert trial.bad == [], "\n".join(trial.bad[:20])
    assert empty == [VALIDATION_ERROR, "PARSE_ERROR", "PARSE_ERROR"] * len(EMPTY)
    assert trial.tries >= LEAST_TRIES
    assert accepted > len(table)
    assert trial.kept == accepted * len(trial.doors)
    assert "INTERNAL_ERROR" not in trial.server.log
    assert "Traceback" not in trial.server.log
    assert trial.server.get("/health")[1]["status"] == "healthy"
    assert jobs_of(trial.server) == accepted + acks_refused(table) * len(trial.doors), (
        "a refused request left a job"
    )


def wanted_verdict(place: Place, row: Row) -> str:
    """A text that is good JSON and stands alone is no request; nor has it a limit on its depth, which is that of a job's values."""
    if place.name != "alone":
        return row.verdict_within(place.limit)
    is_json = row.verdict == OK or "depth/129" in row.name
    return VALIDATION_ERROR if is_json else row.verdict


def one_of_nothing(door: Door, text: bytes) -> str:
    return door.ask(alone(b"", text)).code


def jobs_of(server: Server) -> int:
    queues = server.get("/queues")[1]["queues"]
    return sum(sum(queue["counts"].values()) for queue in queues)


def acks_refused(table: list[Row]) -> int:
    """The jobs that were pushed for a result that was refused."""
    return sum(row.verdict_within(limits.RESULT_BYTES) != OK for row in table)


def figure(trial: Trial, texts: int, seconds: float) -> Figure:
    return Figure(
        test="T31",
        title="one verdict on hostile JSON",
        promises=("C9",),
        seed=SEED,
        what="verdicts",
        tries=trial.tries,
        bad=len(trial.bad),
        bar="the same verdict on HTTP, TCP 1 and TCP 2; never a 5xx; accepted texts byte for byte",
        seconds=seconds,
        control="a server that takes whatever its decoder takes: caught",
        numbers={
            "texts": texts,
            "places": len(PLACES),
            "refused": trial.tries - trial.codes[OK],
            "kept_byte_for_byte": trial.kept,
        },
    )


def is_key_twice(name: str) -> bool:
    return "key twice" in name or "/key/" in name


def test_a_lenient_server_is_caught(tmp_path: Path) -> None:
    """The control: without the strict check a key stands twice, and bad UTF-8 ends connections or the server."""
    server = faulty_server(tmp_path, "lenient").start()
    doors = open_doors(server)
    trial = Trial(server, doors)
    try:
        for row in sorted(rows(), key=lambda row: not is_key_twice(row.name)):
            if row.verdict != OK and len(row.text) < LONGEST_OF_CONTROL:
                trial.one(PLACES[0], row)
    except OSError as gone:
        trial.bad.append(f"the server is gone: {gone}")
    finally:
        for door in trial.doors:
            door.close()
        server.end()

    assert any(is_key_twice(bad) for bad in trial.bad), trial.bad
    assert len(trial.bad) > 10
