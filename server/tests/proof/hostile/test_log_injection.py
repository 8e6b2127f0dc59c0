"""T48: text of users is shown and never obeyed: in the log, in the command line's tables and JSON, in configuration errors and in the metrics."""

from __future__ import annotations

import functools
import io
import json
import socket
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import typer.main
from prometheus_client.parser import text_string_to_metric_families
from tests.proof.hostile.attacked import ask, rest_of, say, weakened
from tests.proof.hostile.nasty_text import FORGED, NASTY, obeyed
from tests.proof.knobs import SEED
from tests.proof.launched import Launched, launched
from tests.proof.report import Figure, publish

from jobwire_server.cli import main

pytestmark = pytest.mark.acceptance

TOKEN = "t48-token"
SETTINGS = '[auth]\ntokens = ["%s"]\n[log]\nlevel = "debug"\nformat = "%s"\n[http]\ntrusted_proxies = ["127.0.0.1"]\n'
QUEUE = "shown"
COMMAND = functools.cache(
    typer.main.get_command
)  # building the commands takes longer than any of them


def _settings(log_format: str) -> str:
    return SETTINGS % (TOKEN, log_format)


def _raw(server: Launched, text: str, place: str) -> None:
    """A request with the text where no client library would put it: bytes of a header, a method or a path as they are."""
    data = text.encode("utf-8", "surrogatepass")
    heads = {
        "header": b"GET /api/v1/queues HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + data,
        "host": b"GET /api/v1/queues HTTP/1.1\r\nHost: " + data,
        "origin": b"GET /api/v1/queues HTTP/1.1\r\nHost: localhost\r\nOrigin: " + data,
        "token": b"GET /api/v1/queues HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + data,
        "request id": b"GET /api/v1/queues HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: " + data,
        "forwarded": b"GET /api/v1/queues HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: " + data,
        "method": data + b" /api/v1/queues HTTP/1.1\r\nHost: localhost",
        "path": b"GET /api/v1/" + data + b" HTTP/1.1\r\nHost: localhost",
    }
    source = f"127.48.{len(text) % 250}.{1 + sum(data) % 250}"
    with socket.create_connection(("127.0.0.1", server.http), 10, (source, 0)) as raw:
        raw.sendall(heads[place] + b"\r\nConnection: close\r\n\r\n")
        heard = rest_of(raw, quiet_s=2.0)
    assert FORGED.encode() not in heard.partition(b"\r\n\r\n")[0], (
        "a header of the answer was forged"
    )


PLACES = ("header", "host", "origin", "token", "request id", "forwarded", "method", "path")


def _attack_http(server: Launched, text: str) -> int:
    for place in PLACES:
        _raw(server, text, place)
    encoded = quote(text, safe="")
    for path in (
        f"/{encoded}",
        f"/jobs/{encoded}",
        f"/queues/{encoded}",
        f"/flows/{encoded}",
        f"/queues?x={encoded}",
    ):
        ask(server.http, "GET", path, token=TOKEN)
    ask(server.http, "POST", "/queues/q/jobs", {"name": text, text: 1}, token=TOKEN)
    return len(PLACES) + 6


def _attack_tcp(server: Launched, text: str) -> int:
    hello = {
        "cmd": "hello",
        "v": [2],
        "token": TOKEN,
        "client": {"name": text, "version": text},
        "worker": {"id": f"w {text}", "queues": [text], "concurrency": 1},
    }
    lines = [
        {"cmd": text},
        {"cmd": "stats", "queue": text},
        {"cmd": "get", "id": text},
        {"cmd": "find", "cursor": text, text: 1},
    ]
    return len(say(server.tcp, hello, *lines))


def _fill(server: Launched, text: str) -> str:
    """A dead letter whose every free text is nasty; its id."""
    options = {
        "tags": [text],
        "custom_id": text,
        "group_id": text,
        "flow_id": text,
        "unique_key": text,
        "metadata": {text: text},
        "max_attempts": 1,
    }
    pushed, pulled = say(
        server.tcp,
        {"cmd": "auth", "token": TOKEN},
        {"cmd": "push", "queue": QUEUE, "name": "n", "data": {text: text}, **options},
        {"cmd": "pull", "queue": QUEUE, "worker_id": text},
    )[1:]
    job = pulled["job"]
    ends = [
        {"cmd": "progress", "id": job["id"], "progress": 1, "message": text},
        {"cmd": "fail", "id": job["id"], "lease": job["lease"], "error": text},
    ]
    answers = say(server.tcp, {"cmd": "auth", "token": TOKEN}, *ends)
    assert all(answer["ok"] for answer in answers), answers
    return str(pushed["id"])


def _commands(ids: list[str]) -> Iterator[tuple[str, ...]]:
    for output in ((), ("-o", "json")):
        yield ("status", *output)
        yield ("workers", *output)
        yield ("queue", "list", *output)
        yield ("dlq", "list", QUEUE, *output)
        yield ("job", "find", "--limit", "1000", *output)
        yield from (("job", "get", job_id, *output) for job_id in ids)
    for text in NASTY:
        if "\x00" not in text:
            yield ("queue", "show", text)
            yield ("job", "get", text)
            yield ("push", QUEUE, text)
            yield ("status", "--url", text)


def _print(arguments: tuple[str, ...], environment: dict[str, str]) -> str:
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        patch.setattr("typer.main.get_command", COMMAND)
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit):
            main(arguments)
    return printed.getvalue()


def _config_errors(folder: Path) -> Iterator[str]:
    """Every setting that is text, with each nasty text as its value and as its name, in a file and in the environment."""
    file = folder / "nasty.toml"
    for text in NASTY:
        value = json.dumps(text, ensure_ascii=True).replace("\\u007f", "\\u007F")
        for body in (
            f"storage = {value}",
            f"[http]\nhost = {value}",
            f"[http]\nallowed_origins = [{value}]",
            f"[http]\ntrusted_proxies = [{value}]",
            f"[log]\nlevel = {value}",
            f"{value} = 1",
            f"[http]\nallowed_hosts = [{value}]",
        ):
            file.write_text(body + "\n")
            yield _print(("config", "check", "--config", str(file)), {})
        if "\x00" not in text:
            yield _print(
                ("config", "show", "--origin"),
                {"JOBWIRE_HTTP__TLS_CERT": text, "JOBWIRE_HTTP__TLS_KEY": text},
            )
            yield _print(("config", "check", "--config", str(folder / text.replace("/", "-"))), {})


def _log_problems(log: str, log_format: str) -> list[str]:
    problems = [f"{log_format} log: {problem}" for problem in obeyed(log)]
    if log_format == "json":
        for line in log.splitlines():
            parsed: Any = json.loads(line)
            if not {"timestamp", "level", "event"} <= parsed.keys() or FORGED in parsed["event"]:
                problems.append(f"json log: {line[:120]}")
    return problems


def _metric_problems(text: str) -> list[str]:
    """The labels of every sample, read by the client library's own parser."""
    labels = [
        value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for value in sample.labels.values()
    ]
    assert labels
    return [f"metrics: {problem}" for label in labels for problem in obeyed(label)]


@pytest.mark.timeout(120)
def test_nothing_that_is_shown_is_obeyed(tmp_path: Path) -> None:
    began = time.monotonic()
    problems, tries, lines, ids = [], 0, 0, []
    for log_format in ("json", "pretty"):
        with launched(tmp_path / log_format, settings=_settings(log_format)) as server:
            for text in NASTY:
                tries += _attack_http(server, text) + _attack_tcp(server, text)
            if log_format == "json":
                ids = [_fill(server, text) for text in NASTY]
                environment = {
                    "JOBWIRE_URL": f"http://127.0.0.1:{server.http}",
                    "JOBWIRE_TOKEN": TOKEN,
                }
                shown = [
                    (arguments, _print(arguments, environment)) for arguments in _commands(ids)
                ]
                problems += [
                    f"{arguments[:2]}: {problem}"
                    for arguments, text in shown
                    for problem in obeyed(text)
                ]
                tries += len(shown)
            problems += _metric_problems(
                ask(server.http, "GET", "/metrics/prometheus").body.decode()
            )
            server.stop()
            problems += _log_problems(server.log, log_format)
            lines += server.log.count("\n")
    told = list(_config_errors(tmp_path))
    problems += [f"configuration: {problem}" for text in told for problem in obeyed(text)]
    publish(
        Figure(
            test="T48",
            title="text of users in the log, on the terminal, in errors and metrics",
            promises=(),
            seed=SEED,
            what="nasty texts shown",
            tries=tries + len(told),
            bad=len(problems),
            bar="escaped 100 %",
            seconds=time.monotonic() - began,
            control="a log that writes text as it came had forged lines and escapes",
            numbers={"texts": len(NASTY), "log_lines": lines, "jobs": len(ids), "csv_exports": 0},
        )
    )
    assert problems == [], "\n".join(problems[:20])
    assert lines > len(NASTY) * 4
    assert len(ids) == len(NASTY)


@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_a_log_that_writes_text_as_it_came_is_caught(tmp_path: Path, log_format: str) -> None:
    """The control."""
    with launched(tmp_path, settings=_settings(log_format), entry=weakened("raw_log")) as server:
        for text in NASTY:
            _attack_http(server, text)
        server.stop()

    problems = list(obeyed(server.log))
    assert any("a forged line" in problem for problem in problems)
    assert any("\\x1b" in problem for problem in problems)
