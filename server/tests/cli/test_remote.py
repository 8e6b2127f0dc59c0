from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator

import pytest
from tests.cli.conftest import Run
from tests.cli.scripted_server import Script

from jobwire_server.cli.exits import CliError
from jobwire_server.cli.remote import Remote, from_environment
from jobwire_server.wire.commands import COMMANDS


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def hanging_up_port() -> Iterator[int]:
    """A port that closes each connection once something was said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)

        thread = threading.Thread(target=hang_up)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("command", sorted(name for name, info in COMMANDS.items() if info.http))
def test_every_operation_of_the_wire_can_be_called(server: Script, command: str) -> None:
    method, path = COMMANDS[command].http[0].split()
    fields = dict.fromkeys(re.findall(r"\{(\w+)\}", path), "x")
    server.on(f"{method} {re.sub(r'{.*?}', 'x', path)}", {"ok": True})

    assert from_environment(None, None).call(command, fields).value == {"ok": True}


def test_no_server_is_exit_6_with_the_fix(jobwire: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    result = jobwire("status", "--url", f"http://127.0.0.1:{port}")

    assert result.code == 6
    assert f"error: CONNECTION_FAILED: no connection to http://127.0.0.1:{port}" in result.err
    assert "jobwire serve" in result.err


def test_a_server_that_says_nothing_is_a_timeout(silent_port: int) -> None:
    remote = Remote(f"http://127.0.0.1:{silent_port}", timeout_ms=50)

    with pytest.raises(CliError) as error:
        remote.call("health")

    assert (error.value.code, error.value.exit_code) == ("TIMEOUT", 6)


def test_a_push_whose_answer_was_lost_says_how_to_repeat_it(
    jobwire: Run, hanging_up_port: int
) -> None:
    url = f"http://127.0.0.1:{hanging_up_port}"

    result = jobwire("push", "emails", "welcome", "--url", url, "--id", "my-id")

    assert result.code == 6
    assert "CONNECTION_LOST" in result.err
    assert "repeat the push with --id my-id" in result.err


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"[]", b"{}", b'{"ok":false}', b"\xff", b"[" * 100_000]
)
def test_an_answer_of_something_else_is_exit_6(jobwire: Run, server: Script, body: bytes) -> None:
    server.on("GET /health", body)

    result = jobwire("status")

    assert result.code == 6
    assert "error: PROTOCOL_ERROR" in result.err


@pytest.mark.parametrize(
    "url",
    [
        "tcp://127.0.0.1:6789",
        "127.0.0.1:6790",
        "http://",
        "http://h:99999",
        "http://u:canary@h",
        "http://[h",
    ],
)
def test_a_url_that_is_no_http_door_is_exit_2(jobwire: Run, url: str) -> None:
    result = jobwire("status", "--url", url)

    assert result.code == 2
    assert "give one such as http://127.0.0.1:6790" in result.err
    assert "canary" not in result.err


def test_the_option_wins_over_the_environment(
    jobwire: Run, server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET /workers", {"ok": True, "workers": []})
    monkeypatch.setenv("JOBWIRE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("JOBWIRE_TOKEN", "of-environment")

    result = jobwire("workers", "--url", f"{server.url}/", "--token", "of-option")

    assert result.code == 0
    assert server.only.headers["Authorization"] == "Bearer of-option"


def test_the_token_of_the_environment_is_sent(
    jobwire: Run, server: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("GET /workers", {"ok": True, "workers": []})
    monkeypatch.setenv("JOBWIRE_TOKEN", "abc")

    jobwire("workers")

    assert server.only.headers["Authorization"] == "Bearer abc"


def test_a_url_may_have_a_path_before_the_api(server: Script) -> None:
    Remote(f"{server.url}/jobs-of-ours")
    server.on("GET /jobs-of-ours/api/v1/health", {"ok": True})

    assert Remote(f"{server.url}/jobs-of-ours").call("health").value == {"ok": True}


def test_a_token_that_cannot_be_sent_is_exit_2_and_is_not_shown(jobwire: Run) -> None:
    result = jobwire("workers", "--token", "canary\r\nX: y")

    assert result.code == 2
    assert "canary" not in result.err


def test_rustqueues_names_are_read_last(server: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUSTQUEUE_HOST", "queue.example")
    monkeypatch.setenv("RUSTQUEUE_HTTP_PORT", "7000")

    assert from_environment(None, None).url.geturl() == server.url
    monkeypatch.delenv("JOBWIRE_URL")
    assert from_environment(None, None).url.geturl() == "http://queue.example:7000"
