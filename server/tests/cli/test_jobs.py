from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.cli.scripted_server import Script

from jobwire_server.wire.commands import OBJECT_FIELDS

ID = "01992222-7e1d-7c3a-9d54-1f2e3a4b5c6d"
PUSH = "POST /queues/emails/jobs"
PUSHED = {"ok": True, "id": ID, "outcome": "created"}
JOB = {
    "id": ID,
    "queue": "emails",
    "name": "welcome",
    "data": {"to": "ada"},
    "state": "dlq",
    "attempt": 3,
    "priority": 0,
    "created_at": "2026-11-22T09:00:00Z",
    "updated_at": "2026-11-22T09:05:00Z",
    "run_at": "2026-11-22T09:00:00Z",
    "reason": "failed",
    "last_error": "smtp is down",
    "timeout_ms": 90_000,
    "lease": "7",
    "lifo": False,
    "result": None,
}


# --- push ------------------------------------------------------------------------------------------------------


def test_push_sends_an_id_and_prints_the_servers(jobwire: Run, server: Script) -> None:
    server.on(PUSH, PUSHED, status=201)

    result = jobwire("push", "emails", "welcome")

    assert (result.code, result.out, result.err) == (0, f"{ID}\n", "")
    assert server.only.json.keys() == {"id", "name"}
    assert server.only.headers["Content-Type"] == "application/json"


def test_push_makes_another_id_each_time_unless_it_is_told_one(
    jobwire: Run, server: Script
) -> None:
    server.on(PUSH, PUSHED)

    for arguments in ((), (), ("--id", ID)):
        jobwire("push", "emails", "welcome", *arguments)

    first, second, third = (request.json["id"] for request in server.requests)
    assert first != second
    assert third == ID


@pytest.mark.parametrize("data", ['{"b": 9223372036854775808, "a":1.0}', "null", '"é"', "[]"])
def test_push_sends_data_as_it_was_written(jobwire: Run, server: Script, data: str) -> None:
    server.on(PUSH, PUSHED)

    jobwire("push", "emails", "welcome", data)

    assert f'"data":{data}'.encode() in server.only.body


def test_push_reads_data_from_a_file_and_from_stdin(jobwire: Run, server: Script) -> None:
    server.on(PUSH, PUSHED)
    Path("data.json").write_text('{"from": "file"}\n')

    jobwire("push", "emails", "welcome", "@data.json")
    jobwire("push", "emails", "welcome", "-", stdin=b'{"from": "stdin"}\n')

    assert [each.json["data"]["from"] for each in server.requests] == ["file", "stdin"]


@pytest.mark.parametrize("data", ["{bad", "", "{} {}", "NaN", "'single'", "\udcff", '"\udcff"'])
def test_push_refuses_what_is_not_json_and_sends_nothing(
    jobwire: Run, server: Script, data: str
) -> None:
    result = jobwire("push", "emails", "welcome", data)

    assert result.code == 2
    assert "error: USAGE: DATA is not JSON" in result.err
    assert "fix: quote it for the shell" in result.err
    assert server.requests == []


def test_push_refuses_a_file_that_is_missing(jobwire: Run, server: Script) -> None:
    result = jobwire("push", "emails", "welcome", "@nowhere.json")

    assert result.code == 2
    assert "cannot read DATA from nowhere.json (No such file or directory)" in result.err


OPTIONS = {
    "priority": ("5", 5),
    "delay": ("1m30s", 90_000),
    "run-at": ("2026-11-22T09:00:00Z", "2026-11-22T09:00:00Z"),
    "max-attempts": ("7", 7),
    "backoff": ("linear", "linear"),
    "backoff-delay": ("2s", 2_000),
    "backoff-schedule": ("1s, 10s,5m", [1_000, 10_000, 300_000]),
    "backoff-max": ("1h", 3_600_000),
    "jitter": ("0.5", 0.5),
    "ttl": ("1d", 86_400_000),
    "timeout": ("500ms", 500),
    "unique-key": ("k", "k"),
    "unique-for": ("1s", 1_000),
    "on-conflict": ("ignore", "ignore"),
    "tag": ("t", ["t"]),
    "group-id": ("g", "g"),
    "lifo": (None, True),
    "remove-on-complete": (None, True),
    "remove-on-fail": (None, True),
    "custom-id": ("c", "c"),
    "metadata": ('{"m":1}', {"m": 1}),
    "depends-on": (ID, [ID]),
    "flow-id": ("f", "f"),
}


def test_push_has_an_option_for_every_option_of_the_wire(jobwire: Run, server: Script) -> None:
    server.on(PUSH, PUSHED)
    given = [
        word
        for name, (text, _) in OPTIONS.items()
        for word in (f"--{name}", *([] if text is None else [text]))
    ]

    jobwire("push", "emails", "welcome", *given)

    sent = server.only.json
    assert set(sent) - {"id", "name"} == set(OBJECT_FIELDS["JobOptions"])
    assert sorted(
        map(str, (value for key, value in sent.items() if key not in ("id", "name")))
    ) == sorted(str(expected) for _, expected in OPTIONS.values())


def test_push_says_when_the_job_was_there_already(jobwire: Run, server: Script) -> None:
    server.on(PUSH, {**PUSHED, "outcome": "existing"})

    assert jobwire("push", "emails", "welcome").out == f"{ID} (existing)\n"


def test_a_bare_number_is_no_duration(jobwire: Run, server: Script) -> None:
    result = jobwire("push", "emails", "welcome", "--delay", "30")

    assert result.code == 2
    assert "--delay" in result.err
    assert server.requests == []


def test_a_name_with_slashes_stays_one_part_of_the_path(jobwire: Run, server: Script) -> None:
    server.fail("POST /queues/a%2F..%2Fb%3Fc/jobs", 400, "VALIDATION_ERROR")

    assert jobwire("push", "a/../b?c", "welcome").code == 1


# --- pull, ack, fail, release ----------------------------------------------------------------------------------


def test_pull_asks_for_all_its_queues_at_once(jobwire: Run, server: Script) -> None:
    server.on("POST /pull", {"ok": True, "jobs": [JOB]})

    result = jobwire(
        "pull",
        "emails",
        "sms",
        "-n",
        "2",
        "--wait",
        "20s",
        "--lease",
        "1m",
        "--name",
        "welcome",
        "--worker-id",
        "w",
    )

    assert server.only.json == {
        "queues": ["emails", "sms"],
        "count": 2,
        "wait_ms": 20_000,
        "lease_ms": 60_000,
        "names": ["welcome"],
        "worker_id": "w",
    }
    assert result.out.split()[:2] == ["id", "lease"]
    assert f"{ID}  7" in result.out
    assert '{"to":"ada"}' in result.out


def test_pull_of_one_answers_job_and_nothing_is_no_error(jobwire: Run, server: Script) -> None:
    server.on("POST /pull", {"ok": True, "job": JOB}, {"ok": True, "job": None})

    assert ID in jobwire("pull", "emails").out
    assert jobwire("pull", "emails").out == "No job waits.\n"


def test_json_is_the_servers_own_text(jobwire: Run, server: Script) -> None:
    text = b'{"ok":true,"job":{"data":{"z":9223372036854775808,  "a":1.0}}}'
    server.on("POST /pull", text)

    assert jobwire("pull", "emails", "-o", "json").out == text.decode() + "\n"


def test_ack_sends_lease_and_result(jobwire: Run, server: Script) -> None:
    server.on(f"POST /jobs/{ID}/ack", {"ok": True})

    result = jobwire("ack", ID, "--lease", "7", "--result", "1.0")

    assert server.only.body == b'{"lease":"7","result":1.0}'
    assert result.out == f"{ID} completed\n"


def test_a_repeated_ack_says_already(jobwire: Run, server: Script) -> None:
    server.on(f"POST /jobs/{ID}/ack", {"ok": True, "already": True})

    assert jobwire("ack", ID).out == f"{ID} completed (already)\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {"retry": True, "will_retry": True, "next_attempt_at": "2026-11-22T09:00:00Z"},
            "next attempt 2026-11-22T09:00:00Z",
        ),
        ({"retry": True}, "next attempt at once"),
        ({"retry": False, "will_retry": False}, "it will not be tried again"),
    ],
)
def test_fail_says_what_comes_next(
    jobwire: Run, server: Script, answer: dict[str, object], expected: str
) -> None:
    server.on(f"POST /jobs/{ID}/fail", {"ok": True, **answer})

    result = jobwire("fail", ID, "--error", "boom", "--retry-in", "5s", "--discard")

    assert server.only.json == {"error": "boom", "retry_in_ms": 5_000, "discard": True}
    assert expected in result.out


def test_release_gives_a_job_back(jobwire: Run, server: Script) -> None:
    server.on(f"POST /jobs/{ID}/release", {"ok": True, "state": "delayed"})

    result = jobwire("release", ID, "--delay", "1m")

    assert server.only.json == {"delay_ms": 60_000}
    assert result.out == f"{ID} delayed\n"


# --- job … -----------------------------------------------------------------------------------------------------


def test_job_get_shows_what_is_set(jobwire: Run, server: Script) -> None:
    server.on(f"GET /jobs/{ID}", {"ok": True, "job": JOB})

    lines = dict(line.split(maxsplit=1) for line in jobwire("job", "get", ID).out.splitlines())

    assert lines["timeout_ms"].strip() == "1m30s"
    assert lines["data"].strip() == '{"to":"ada"}'
    assert "result" not in lines


@pytest.mark.parametrize(
    ("command", "method", "path", "answer", "expected"),
    [
        ("cancel", "POST", "/cancel", {"state": "cancelled"}, "cancelled"),
        ("cancel", "POST", "/cancel", {"state": "active"}, "is asked to stop"),
        (
            "cancel",
            "POST",
            "/cancel",
            {"state": "cancelled", "already": True},
            "cancelled (already)",
        ),
        ("retry", "POST", "/retry", {"state": "waiting"}, "waiting"),
        ("promote", "POST", "/promote", {"state": "waiting"}, "waiting"),
        ("delete", "DELETE", "", {}, "deleted"),
    ],
)
def test_a_job_can_be_changed(
    jobwire: Run,
    server: Script,
    command: str,
    method: str,
    path: str,
    answer: dict[str, object],
    expected: str,
) -> None:
    server.on(f"{method} /jobs/{ID}{path}", {"ok": True, **answer})

    result = jobwire("job", command, ID)

    assert (result.code, result.out) == (0, f"{ID} {expected}\n")


def test_find_filters_and_lists(jobwire: Run, server: Script) -> None:
    server.on(
        "GET /jobs?queue=emails&state=dlq%2Cwaiting&limit=2",
        {"ok": True, "jobs": [JOB], "next_cursor": None},
    )

    result = jobwire(
        "job", "find", "--queue", "emails", "--state", "dlq", "--state", "waiting", "-n", "2"
    )

    heading, row = result.out.splitlines()
    assert heading.split()[:4] == ["id", "queue", "name", "state"]
    assert row.split()[:4] == [ID, "emails", "welcome", "dlq"]
    assert result.err == ""


def test_find_goes_on_over_short_pages_and_keeps_payloads_verbatim(
    jobwire: Run, server: Script
) -> None:
    server.on("GET /jobs?limit=2", b'{"ok":true,"jobs":[{"data":1.0}],"next_cursor":"c1"}')
    server.on("GET /jobs?limit=1&cursor=c1", b'{"ok":true,"jobs":[],"next_cursor":"c2"}')
    server.on(
        "GET /jobs?limit=1&cursor=c2", b'{"ok":true,"jobs":[{"data":1.50}],"next_cursor":"c3"}'
    )

    result = jobwire("job", "find", "-n", "2", "-o", "json")

    assert result.out == '{"ok":true,"jobs":[{"data":1.0},{"data":1.50}],"next_cursor":"c3"}\n'


def test_find_says_how_to_go_on(jobwire: Run, server: Script) -> None:
    server.on("GET /jobs?limit=1", {"ok": True, "jobs": [JOB], "next_cursor": "c1"})

    assert jobwire("job", "find", "-n", "1").err == "There are more: --cursor c1\n"


# --- errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (404, "JOB_NOT_FOUND", 4),
        (409, "INVALID_STATE", 5),
        (409, "LEASE_LOST", 5),
        (401, "UNAUTHORIZED", 1),
        (503, "SHUTTING_DOWN", 1),
        (500, "A_CODE_OF_THE_FUTURE", 1),
    ],
)
def test_an_error_of_the_server_sets_the_exit_code(
    jobwire: Run, server: Script, status: int, code: str, exit_code: int
) -> None:
    server.fail(f"POST /jobs/{ID}/ack", status, code)

    result = jobwire("ack", ID)

    assert (result.code, result.out) == (exit_code, "")
    assert result.err.startswith(f"error: {code}: said the server\n")
    assert ("fix: " in result.err) is (code != "A_CODE_OF_THE_FUTURE")


def test_no_text_of_others_reaches_the_terminal_as_it_is(jobwire: Run, server: Script) -> None:
    nasty = "a\x1b]0;owned\x07\r\n\x9b2J\u202eb[bold]:smile:"
    server.on(
        "GET /jobs?limit=1",
        {"ok": True, "jobs": [{**JOB, "queue": nasty, "id": nasty}], "next_cursor": nasty},
    )
    server.on(f"GET /jobs/{ID}", {"ok": True, "job": {nasty: nasty, "data": {nasty: nasty}}})
    server.fail(f"POST /jobs/{ID}/ack", 409, "LEASE_LOST", nasty)

    table, one, error = (
        jobwire("job", "find", "-n", "1"),
        jobwire("job", "get", ID),
        jobwire("ack", ID),
    )

    for result in (table, one, error):
        assert (result.out + result.err).replace("\n", "").isprintable()
        assert "[bold]:smile:" in result.out + result.err


def test_json_has_no_control_character_and_the_same_meaning(jobwire: Run, server: Script) -> None:
    nasty = "\x7f\x9b2J\u202e\U000e0001é😀"
    server.on(
        f"GET /jobs/{ID}", json.dumps({"ok": True, "job": nasty}, ensure_ascii=False).encode()
    )

    result = jobwire("job", "get", ID, "-o", "json")

    assert result.out.rstrip("\n").isprintable()
    assert "é😀" in result.out
    assert json.loads(result.out)["job"] == nasty
