"""T45: tokens, passwords in URLs and data of jobs come out nowhere: not in logs, metrics, errors, `config show`, process lists or the SDK."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from jobwire import AsyncClient, AsyncWorker, Client, Worker
from tests.proof.hostile.attacked import ask, weakened
from tests.proof.hostile.canaries import (
    DATA,
    GOOD,
    GUESS,
    PASSWORD,
    SECOND,
    TOKENS,
    Haul,
    ask_everything,
    say_everything,
)
from tests.proof.knobs import SEED
from tests.proof.launched import Launched, launched
from tests.proof.report import Figure, publish

from jobwire_server.cli import main

pytestmark = pytest.mark.acceptance

LEAST_ANSWERS = 500
CLOSED = "127.0.0.1:9"  # the discard port: nobody is there
BAD_URLS = (
    f"http://user:{PASSWORD}@{CLOSED}",
    f"http://user:{PASSWORD}@{CLOSED}99999",
    f"http://user:{PASSWORD}@[::1",
    f"redis://user:{PASSWORD}@{CLOSED}/0",
    f"http://{CLOSED}/?token={GOOD}",
    f"tcp://:{PASSWORD}@{CLOSED}",
)
BAD_SETTINGS = (
    {"JOBWIRE_TOKENS": f"{GOOD} with spaces"},
    {"JOBWIRE_TOKENS": f"sha256:{GOOD}"},
    {"JOBWIRE_TOKENS": GOOD * 100},
    {"JOBWIRE_AUTH__TOKENS": f'["{GOOD}", 7, "{GUESS} "]'},
    {"JOBWIRE_STORAGE": f"postgres://user:{PASSWORD}@db/jobs"},
    {"JOBWIRE_STORAGE": f"sqlite://user:{PASSWORD}@host/jobs.db"},
    {"JOBWIRE_HTTP__ALLOWED_ORIGINS": f"https://user:{PASSWORD}@example.com"},
    {"JOBWIRE_HTTP__TRUSTED_PROXIES": f"http://user:{PASSWORD}@proxy"},
)


@contextmanager
def _serving(folder: Path, log_format: str, weakness: str = "") -> Iterator[Launched]:
    folder.mkdir()
    (folder / "tokens").write_text(f"{GOOD}\n")
    settings = f'[auth]\ntokens_file = "{folder}/tokens"\n[log]\nlevel = "debug"\nformat = "{log_format}"\n'
    environment = {"JOBWIRE_TOKENS": SECOND}
    with launched(
        folder, settings=settings, environment=environment, entry=weakened(weakness)
    ) as server:
        yield server


def _attack(server: Launched, haul: Haul) -> int:
    """Every error path of both doors; what came back, and what the server wrote and shows of itself."""
    answered = ask_everything(server.http, haul) + say_everything(server.tcp, haul)
    haul.add("metrics", ask(server.http, "GET", "/metrics/prometheus").body)
    haul.add("capabilities", ask(server.http, "GET", "/capabilities").body)
    haul.add("ps", Path(f"/proc/{server.pid}/cmdline").read_bytes())
    server.stop()
    haul.add("log", server.log)
    return answered


def _data_hits(haul: Haul) -> list[str]:
    """Data of jobs may be in an answer that gives out the job, and nowhere else."""
    beside = [
        (source, text) for source, text in haul.texts if not source.endswith((" 200", " 201"))
    ]
    return [hit for hit in Haul(beside).hits([DATA]) if not hit.startswith("tcp")]


def _commands(folder: Path, haul: Haul) -> int:
    """The command line with tokens in its environment and passwords in its URLs."""
    (folder / "tokens").write_text(f"{GOOD}\nnot a token {GUESS}\n")
    (folder / "broken.toml").write_text(f'[auth]\ntokens = ["{GOOD}"\n')
    runs: list[tuple[dict[str, str], tuple[str, ...]]] = [
        ({"JOBWIRE_TOKENS": f"{GOOD},{SECOND}"}, ("config", "show", *more))
        for more in ((), ("--origin",), ("-o", "json"))
    ]
    runs += [
        ({"JOBWIRE_TOKENS": GOOD}, ("config", "check")),
        ({"JOBWIRE_TOKENS": GOOD}, ("doctor",)),
    ]
    runs += [({}, ("config", "check", "--config", str(folder / "broken.toml")))]
    runs += [({"JOBWIRE_TOKENS_FILE": str(folder / "tokens")}, ("config", "check"))]
    runs += [(setting, ("config", "check")) for setting in BAD_SETTINGS]
    runs += [({"JOBWIRE_TOKEN": GOOD, "JOBWIRE_URL": url}, ("status",)) for url in BAD_URLS]
    runs += [({"JOBWIRE_TOKEN": f"{GOOD} {GUESS}"}, ("status",))]
    with_output = [(run, _jobwire(folder, *run)) for run in runs]
    for run, output in with_output:
        haul.add(str(run[1][:2]), output)
    return len(runs)


def _jobwire(folder: Path, environment: dict[str, str], arguments: tuple[str, ...]) -> str:
    """All that a command prints; run in this process, as each would take half a second to start."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(printed):
        patch.chdir(folder)
        for name, value in environment.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit):
            main(arguments)
    assert printed.getvalue(), arguments
    return printed.getvalue()


def _sdk(server: Launched, haul: Haul, caplog: pytest.LogCaptureFixture) -> int:
    """Representations, exceptions with their causes, and log lines of the SDK."""
    caplog.set_level(logging.DEBUG)
    urls = [
        f"http://127.0.0.1:{server.http}",
        f"tcp://127.0.0.1:{server.tcp}",
        f"http://{CLOSED}",
        f"tcp://{CLOSED}",
        *BAD_URLS,
    ]
    urls += [f"http://127.0.0.1:{server.tcp}", f"tcp://127.0.0.1:{server.http}"]
    calls = [(url, token) for url in urls for token in (GUESS, f"{GOOD} {GUESS}", GOOD)]
    for url, token in calls:
        for call in (_use_client, _use_async_client):
            haul.add(f"sdk {call.__name__} {url.split('@')[-1]}", _told(call, url, token))
    haul.add("sdk log", caplog.text)
    return 2 * len(calls)


def _told(call: Callable[[str, str], str], url: str, token: str) -> str:
    try:
        return call(url, token)
    except Exception as error:  # noqa: BLE001 - whatever it is, its text is what counts
        # A traceback quotes lines of source, never values; the secrets of this test stand in no line of it.
        return f"{error!r} {error} {vars(error)} {''.join(traceback.format_exception(error))}"


def _use_client(url: str, token: str) -> str:
    with Client(url, token=token, retries=0, retry_budget=0, timeout=5) as client:
        shown = f"{client!r} {client} {client._endpoint!r} {client._transport!r} {Worker(client, queues=['q'])!r}"
        try:
            client.push("q", "n", {"secret": DATA}, unique_key=7)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - as above
            shown += f"{error!r} {vars(error)} {''.join(traceback.format_exception(error))}"
        client.list_queues()
        return shown


def _use_async_client(url: str, token: str) -> str:
    async def use() -> str:
        async with AsyncClient(url, token=token, retries=0, retry_budget=0, timeout=5) as client:
            await client.list_queues()
            return f"{client!r} {client} {client._endpoint!r} {AsyncWorker(client, queues=['q'])!r}"

    return asyncio.run(use())


@pytest.mark.timeout(120)
def test_no_secret_comes_out_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    began = time.monotonic()
    haul = Haul()
    answered = 0
    for log_format in ("json", "pretty"):
        with _serving(tmp_path / log_format, log_format) as server:
            tried = _sdk(server, haul, caplog) if log_format == "json" else 0
            answered += tried + _attack(server, haul)
            lines = server.log.count("\n")
    answered += _commands(tmp_path, haul)
    hits = haul.hits(TOKENS) + _data_hits(haul)
    publish(
        Figure(
            test="T45",
            title="secrets in logs, metrics, errors, the command line and the SDK",
            promises=(),
            seed=SEED,
            what="answers and texts",
            tries=answered,
            bad=len(hits),
            bar="canary hits 0",
            seconds=time.monotonic() - began,
            control="a planted leak of the token in the log was found",
            numbers={
                "texts": len(haul.texts),
                "log_lines": lines,
                "bytes": sum(len(t) for _, t in haul.texts),
            },
        )
    )
    assert hits == [], "\n".join(hits)
    assert answered >= LEAST_ANSWERS
    assert lines > 100, "a debug log that says nothing proves nothing"


def test_a_leak_is_caught(tmp_path: Path) -> None:
    """The control: a server that writes tokens to its log."""
    haul = Haul()
    with _serving(tmp_path / "s", "json", "telling") as server:
        _attack(server, haul)

    hits = haul.hits(TOKENS)
    assert {hit for hit in hits if hit.startswith("log: ")} >= {f"log: {GOOD}", f"log: {GUESS}"}
    assert all(hit.startswith("log: ") for hit in hits)


def test_the_hunt_sees_a_secret_in_any_dress() -> None:
    """The control of the hunt itself."""
    haul = Haul(
        [
            ("a", json.dumps({"x": f"Bearer {GOOD}"})),
            ("b", "Y2FuYXJ5LWdvb2QtN2YzYTlj"),
            ("c", "none"),
        ]
    )

    assert sorted(hit[0] for hit in haul.hits([GOOD])) == ["a", "b"]
