from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog
from tests.cli.conftest import Run

from jobwire_server import app
from jobwire_server.config import Settings
from jobwire_server.errors import StoreFailed, StoreInUse, StoreUnusable
from jobwire_server.tls import TlsError


@pytest.fixture(autouse=True)
def _logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


class Fake:
    """Stands in for app.serve: keeps the settings, says that it started, or raises."""

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.error: BaseException | None = None

    async def __call__(
        self, settings: Settings, *, on_started: Callable[[int, int, str], None]
    ) -> None:
        self.settings = settings
        if self.error is not None:
            raise self.error
        on_started(settings.http.port, settings.tcp.port, "fsync")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    fake = Fake()
    monkeypatch.setattr(app, "serve", fake)
    return fake


def test_every_flag_sets_its_setting(jobwire: Run, fake: Fake) -> None:
    result = jobwire(
        "serve", "--storage", "memory://", "--host", "::1", "--http-port", "1", "--tcp-port", "2",
        "--token", "one", "--token", "two", "--insecure", "--log-format", "json", "--log-level", "error",
    )  # fmt: skip

    settings = fake.settings
    assert (result.code, result.out) == (0, "")
    assert settings is not None
    assert (settings.storage, settings.http.host, settings.tcp.host) == ("memory://", "::1", "::1")
    assert (settings.http.port, settings.tcp.port, len(settings.auth.tokens)) == (1, 2, 2)
    assert (settings.auth.insecure, settings.log.format, settings.log.level) == (
        True,
        "json",
        "error",
    )


def test_the_flags_of_test_mode_set_their_settings_and_it_is_off_without_them(
    jobwire: Run, fake: Fake
) -> None:
    jobwire("serve")
    off = fake.settings
    jobwire("serve", "--test-mode", "--test-port", "7", "--test-seed", "8", "--test-clock", "9")
    on = fake.settings

    assert off is not None
    assert on is not None
    assert not off.test.enabled
    assert (on.test.enabled, on.test.port, on.test.seed, on.test.clock_ms) == (True, 7, 8, 9)


def test_a_flag_that_is_not_given_leaves_the_environment(
    jobwire: Run, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBWIRE_HTTP_PORT", "7")
    monkeypatch.setenv("JOBWIRE_INSECURE", "true")

    jobwire("serve")

    assert fake.settings is not None
    assert (fake.settings.http.port, fake.settings.auth.insecure) == (7, True)


def test_the_banner_is_for_people_only(jobwire: Run, fake: Fake) -> None:
    pretty, piped = jobwire("serve", "--log-format", "pretty"), jobwire("serve")

    assert "Jobwire 0.1.0 is ready" in pretty.out
    assert piped.out == ""


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--host", "0.0.0.0"), "can be reached by others and no token is set"),
        (("--config", "nowhere.toml"), "No such file"),
        (("--http-port", "65536"), "http.port (flag --http-port): too large"),
        (("--storage", "redis://h"), "storage (flag --storage): unsupported storage 'redis'"),
        (("--no-such-flag",), "No such option"),
    ],
)
def test_a_wrong_configuration_exits_2_and_starts_nothing(
    jobwire: Run, fake: Fake, arguments: tuple[str, ...], expected: str
) -> None:
    result = jobwire("serve", *arguments)

    assert (result.code, fake.settings) == (2, None)
    assert expected in result.err


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (StoreInUse("the store is in use"), 3, "STORE_IN_USE: the store is in use"),
        (StoreUnusable("not a store"), 1, "STORE_UNUSABLE: not a store"),
        (StoreFailed("fsync failed"), 1, "STORE_FAILED: fsync failed"),
        (TlsError("bad key"), 1, "TLS: bad key"),
        (OSError(errno.EADDRINUSE, "address in use"), 1, "ADDRESS_IN_USE"),
        (OSError(errno.EADDRNOTAVAIL, "no such address"), 1, "CANNOT_START"),
        (
            ExceptionGroup("tasks", [ExceptionGroup("inner", [StoreInUse("mine")])]),
            3,
            "STORE_IN_USE: mine",
        ),
    ],
)
def test_each_reason_to_stop_has_its_exit_code_and_fix(
    jobwire: Run, fake: Fake, error: BaseException, code: int, word: str
) -> None:
    fake.error = error

    result = jobwire("serve")

    assert result.code == code
    assert word in result.err
    assert "fix: " in result.err


def test_a_bug_stays_a_traceback(jobwire: Run, fake: Fake) -> None:
    fake.error = ExceptionGroup("tasks", [ZeroDivisionError("a bug")])

    with pytest.raises(ZeroDivisionError, match="a bug"):
        jobwire("serve")
