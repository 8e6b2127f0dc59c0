"""The main job on real input, with the app of each SDK: processes, sockets, mails, and kill -9 in the middle."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.examples.apps import APPS, Commands
from tests.examples.processes import App, MailServer, Server, running, until

from jobwire import Client

# The first test of a language builds its app, which is not done in 120 s on a cold and busy machine.
pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(400)]

NAMES = [
    "Ada Lovelace",
    "Zoë Ångström-Łukasz",
    "李小龍",
    "محمد بن موسى",
    "Ελένη Παπαδοπούλου",
    "Дмитрий Иванович",
    "हिन्दी नाम",
    "ชื่อภาษาไทย",
    "👩‍🚀 Sally",
    'O\'Brien, "Bob" <bob> & sons',
    "x" * 300,
]


@pytest.fixture(scope="session", params=APPS)
def commands(request: pytest.FixtureRequest) -> Commands:
    return APPS[request.param]()


@pytest.fixture(scope="session")
def kept_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    with running(server):
        yield server


@pytest.fixture
def server(kept_server: Server) -> Iterator[Server]:
    """Without jobs; for tests that leave it alone."""
    yield kept_server
    kept_server.empty()


@pytest.fixture
def mortal_server(tmp_path: Path) -> Iterator[Server]:
    """For a test that kills it."""
    server = Server(tmp_path)
    server.start()
    with running(server):
        yield server


def test_mails_in_every_script_arrive_intact(
    commands: Commands, tmp_path: Path, server: Server
) -> None:
    with (
        MailServer() as mail,
        App(commands, tmp_path, server, mail.port) as app,
    ):
        app.start_web()
        app.worker.start()
        for number, name in enumerate(NAMES):
            assert app.post("signup", {"name": name, "email": f"user{number}@example.com"})

        until(lambda: len(mail.mails) >= len(NAMES), 30, "all mails arrive")

    by_user = {str(message["To"].addresses[0].username): message for message in mail.mails}
    for number, name in enumerate(NAMES):
        message = by_user[f"user{number}"]
        text = message.get_body(("plain",)).get_content()
        assert message["To"].addresses[0].display_name == name
        assert message["Subject"] == f"Welcome, {name}"
        assert text.startswith(f"Welcome, {name}!")


def test_resets_overtake_welcomes(commands: Commands, tmp_path: Path, server: Server) -> None:
    with (
        MailServer() as mail,
        App(commands, tmp_path, server, mail.port, WORKER_CONCURRENCY="1") as app,
    ):
        app.start_web()
        for number in range(10):
            app.post("signup", {"name": "Ada", "email": f"user{number}@example.com"})
        for number in range(3):
            app.post("password-reset", {"email": f"reset{number}@example.com"})
        app.worker.start()
        until(lambda: len(mail.mails) == 13, 30, "all mails arrive")

    first = [message["To"].addresses[0].username for message in mail.mails[:3]]
    assert first == ["reset0", "reset1", "reset2"]


def test_a_mail_server_that_refuses_every_fifth_mail_gets_it_again_later(
    commands: Commands, tmp_path: Path, server: Server
) -> None:
    turns = itertools.count(1)
    with (
        MailServer(lambda _: "451 try again later" if next(turns) % 5 == 0 else None) as mail,
        App(commands, tmp_path, server, mail.port) as app,
    ):
        app.start_web()
        app.worker.start()
        for number in range(25):
            app.post("signup", {"name": "Ada", "email": f"user{number}@example.com"})

        until(lambda: len(mail.mails) == 25, 60, "all mails arrive")
        until(lambda: app.stats()["completed"] == 25, 10, "all jobs are done")

    assert mail.refused >= 5
    assert len({message["To"].addresses[0].username for message in mail.mails}) == 25


def test_what_is_refused_for_good_or_too_often_ends_in_the_dead_letters(
    commands: Commands, tmp_path: Path, server: Server
) -> None:
    replies = {"gone@example.com": "550 no such user", "busy@example.com": "451 try again later"}
    with (
        MailServer(replies.get) as mail,
        App(commands, tmp_path, server, mail.port) as app,
    ):
        app.start_web()
        app.worker.start()
        for address in replies:
            app.post("signup", {"name": "Ada", "email": address})

        until(lambda: app.stats()["dlq"] == 2, 30, "both are dead letters")

    # once for the refusal for good; three attempts for the other
    assert mail.refused == 4


def test_kill_9_of_server_and_worker_loses_no_accepted_mail(
    commands: Commands, tmp_path: Path, mortal_server: Server
) -> None:
    with (
        MailServer() as mail,
        App(commands, tmp_path, mortal_server, mail.port, WORKER_LEASE="2") as app,
    ):
        app.start_web()
        app.worker.start()
        accepted = [number for number in range(20) if _signup(app, number)]
        until(lambda: len(mail.mails) >= 5, 30, "mails flow")
        mortal_server.kill()
        mortal_server.start()
        accepted += [number for number in range(20, 40) if _signup(app, number)]
        app.worker.kill()
        accepted += [number for number in range(40, 50) if _signup(app, number)]
        app.worker.start()
        mortal_server.kill()
        mortal_server.start()
        accepted += [number for number in range(50, 60) if _signup(app, number)]

        wanted = {f"user{number}" for number in accepted}
        with Client(f"http://127.0.0.1:{mortal_server.http}") as client:
            until(lambda: _all_arrived(mail, client, wanted), 60, "accepted mails arrive")

    assert len(accepted) == 60


def test_missing_settings_fail_the_job_and_not_the_start(
    commands: Commands, tmp_path: Path, server: Server
) -> None:
    with App(commands, tmp_path, server, None) as app:
        app.start_web()
        app.worker.start()
        app.post("signup", {"name": "Ada", "email": "ada@example.com"})

        until(lambda: app.stats()["delayed"] == 1, 20, "the job failed and waits for its retry")
        until(lambda: "set SMTP_HOST and MAIL_FROM" in app.worker.output, 20, "it says why")
        assert app.worker.is_running


def _signup(app: App, number: int) -> bool:
    return app.post("signup", {"name": "Ada", "email": f"user{number}@example.com"})


def _all_arrived(mail: MailServer, client: Client, wanted: set[str]) -> bool:
    """A job that lost its lease in each of the three kills is a dead letter by its three attempts, and not lost: it is tried again."""
    client.retry_dlq("emails")
    return _arrived(mail) >= wanted


def _arrived(mail: MailServer) -> set[str]:
    return {str(message["To"].addresses[0].username) for message in mail.mails}
