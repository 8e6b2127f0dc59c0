"""kill -9, SIGTERM, a second owner: what a real process keeps (guarantees C1, C11, C12)."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from tests.acceptance.processes import Server, until

pytestmark = pytest.mark.acceptance


def test_kill_9_during_pushes_loses_no_acknowledged_job(server: Server) -> None:
    acknowledged: list[str] = []
    enough = threading.Event()

    def produce() -> None:
        with server.connect() as lines:
            try:
                for number in range(100_000):
                    answer = lines.call(cmd="push", queue="q", name="n", data={"n": number})
                    if answer is None:
                        return
                    acknowledged.append(answer["id"])
                    if len(acknowledged) >= 200:
                        enough.set()
            except OSError:
                return

    producers = [threading.Thread(target=produce) for _ in range(4)]
    for producer in producers:
        producer.start()
    assert enough.wait(30)
    server.kill()
    for producer in producers:
        producer.join()
    server.start()

    with server.connect() as lines:
        lost = [job_id for job_id in acknowledged if not lines.call(cmd="get", id=job_id)["ok"]]
    assert lost == []


def test_an_ack_that_was_answered_survives_kill_9(server: Server) -> None:
    with server.connect() as lines:
        lines.call(cmd="push", queue="q", name="n")
        job = lines.call(cmd="pull", queue="q")["job"]
        assert lines.call(cmd="ack", id=job["id"], lease=job["lease"], result={"done": 1.0})["ok"]
    server.kill()
    server.start()

    found = server.get(f"/jobs/{job['id']}")[1]["job"]
    assert found["state"] == "completed"
    assert found["result"] == {"done": 1.0}


def test_a_lease_lives_through_a_restart_and_ends_after_its_grace(server: Server) -> None:
    with server.connect() as lines:
        lines.call(cmd="push", queue="q", name="n")
        held = lines.call(cmd="pull", queue="q", lease_ms=1_000)["job"]
    server.kill()
    server.start()

    with server.connect() as lines:
        assert lines.call(cmd="heartbeat", id=held["id"], lease=held["lease"])["ok"]
        again = lines.call(cmd="pull", queue="q", wait_ms=20_000)["job"]
        assert again["id"] == held["id"]
        assert again["delivery"] == 2
        late = lines.call(cmd="ack", id=held["id"], lease=held["lease"])
    assert late["error"]["code"] == "LEASE_LOST"


def test_settings_of_a_queue_survive_kill_9(server: Server) -> None:
    server.post("/queues/q/pause", {"mode": "both"})
    server.kill()
    server.start()

    assert server.get("/queues/q")[1]["queue"]["paused"] == "both"
    assert server.post("/queues/q/jobs", {"name": "n"})[1]["error"]["code"] == "QUEUE_PAUSED"


def test_sigterm_answers_a_waiting_pull_and_exits_with_0(server: Server) -> None:
    with server.connect() as lines:
        assert lines.call(cmd="hello", v=[2], rid=1)["v"] == 2
        lines.send(cmd="pull", queue="q", wait_ms=60_000, rid=2)
        server.signal(signal.SIGTERM)
        answers = [lines.read(), lines.read()]
        end = lines.read()

    assert server.wait() == 0
    assert {"ok": True, "job": None, "rid": 2} in answers
    assert [answer["notice"] for answer in answers if "notice" in answer] == ["goaway"]
    assert end is None


def test_a_second_server_on_the_file_is_refused_with_exit_code_3(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    second = Server(tmp_path / "second", storage=server.storage)

    assert second.launch().wait(20) == 3
    assert "jobs.db" in second.log
    assert server.get("/health")[0] == 200


def test_kill_9_frees_the_file_at_once(server: Server) -> None:
    server.kill()

    server.start()

    assert server.get("/health")[1]["durability"] == "fsync"


def test_a_server_that_was_stopped_for_longer_than_a_lease_takes_no_lease_away(
    server: Server,
) -> None:
    with server.connect() as lines:
        lines.call(cmd="push", queue="q", name="n")
        held = lines.call(cmd="pull", queue="q", lease_ms=8_000)["job"]
        server.signal(signal.SIGSTOP)
        stopped = threading.Event()
        stopped.wait(9)
        server.signal(signal.SIGCONT)
        until(lambda: "loop.stopped" in server.log, 10, "the housekeeper saw the gap")

        assert lines.call(cmd="heartbeat", id=held["id"], lease=held["lease"])["ok"]


def test_the_file_of_an_earlier_run_opens_and_counts_are_right(server: Server) -> None:
    for number in range(30):
        server.post("/queues/q/jobs", {"name": "n", "data": number})
    with server.connect() as lines:
        for _ in range(10):
            lines.call(cmd="pull", queue="q")
    assert server.stop() == 0
    server.start()

    counts = server.get("/queues/q/stats")[1]["counts"]
    assert (counts["waiting"], counts["active"]) == (20, 10)
