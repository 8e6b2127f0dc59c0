from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from jobwire_server import log
from jobwire_server.config import LogSettings

NASTY = "a\nb\r\x1b[31m\x9b2J\u202e\x00\x7f"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """The logging of pytest as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    quieter = {name: logging.getLogger(name).level for name in ("aiohttp.access", "asyncio")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, value in quieter.items():
        logging.getLogger(name).setLevel(value)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def configured(
    form: Literal["auto", "pretty", "json"],
    level: Literal["debug", "info", "warning", "error"] = "info",
    stream: io.StringIO | None = None,
) -> io.StringIO:
    stream = stream or io.StringIO()
    log.configure(LogSettings(format=form, level=level), stream)
    return stream


def only_line(stream: io.StringIO) -> dict[str, Any]:
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    parsed: dict[str, Any] = json.loads(lines[0])
    return parsed


def test_json_is_one_object_a_line_with_its_fields() -> None:
    stream = configured("json")

    log.get_logger(component="store").info("store_opened", job_id="j1", count=3)

    line = only_line(stream)
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["timestamp"].endswith("Z")
    assert {
        "level": "info",
        "event": "store_opened",
        "component": "store",
        "job_id": "j1",
        "count": 3,
    }.items() <= line.items()


def test_pretty_shows_event_and_fields() -> None:
    stream = configured("pretty")

    log.get_logger().warning("lease_lost", job_id="j1")

    assert "[warning  ] lease_lost" in stream.getvalue()
    assert "job_id='j1'" in stream.getvalue()


@pytest.mark.parametrize(("stream", "pretty"), [(Terminal(), True), (io.StringIO(), False)])
def test_auto_is_pretty_on_a_terminal_only(stream: io.StringIO, pretty: bool) -> None:
    configured("auto", stream=stream)

    log.get_logger().info("hello")

    assert pretty is not stream.getvalue().startswith("{")


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_what_is_below_the_level_is_not_logged(form: Literal["json", "pretty"]) -> None:
    stream = configured(form, level="warning")

    log.get_logger().info("quiet")
    logging.getLogger("aiohttp.server").info("quiet")

    assert stream.getvalue() == ""


def test_a_second_configuration_reaches_loggers_that_were_used() -> None:
    first = configured("json")
    logger = log.get_logger()
    logger.info("one")
    second = configured("json")

    logger.info("two")

    assert only_line(first)["event"] == "one"
    assert only_line(second)["event"] == "two"


def test_fields_bound_around_a_request_are_on_its_lines() -> None:
    stream = configured("json")

    with structlog.contextvars.bound_contextvars(request_id="r1"):
        log.get_logger().info("request_failed")

    assert only_line(stream)["request_id"] == "r1"


# --- other people's logging ------------------------------------------------------------------------------------


def test_the_standard_library_comes_out_in_the_same_form() -> None:
    stream = configured("json")

    logging.getLogger("aiohttp.server").error("Error handling %s", "request")

    line = only_line(stream)
    assert (
        line["level"],
        line["event"],
        line["logger"],
    ) == ("error", "Error handling request", "aiohttp.server")


def test_access_lines_of_aiohttp_are_left_out() -> None:
    stream = configured("json", level="debug")

    logging.getLogger("aiohttp.access").info("GET /")

    assert stream.getvalue() == ""


def test_warnings_are_logged() -> None:
    stream = configured("json")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("careful", UserWarning, stacklevel=1)

    assert "careful" in only_line(stream)["event"]


# --- text of users ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_nothing_that_a_terminal_obeys_gets_out(form: Literal["json", "pretty"]) -> None:
    stream = configured(form)

    log.get_logger().error(NASTY, name=NASTY, names=[NASTY], nested={"k": NASTY})
    logging.getLogger("aiohttp.server").error("%s", NASTY)

    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_the_text_of_an_exception_cannot_forge_a_line(form: Literal["json", "pretty"]) -> None:
    stream = configured(form)

    try:
        raise ValueError(f"{NASTY}\n2026-11-22T00:00:00Z [info] forged")
    except ValueError:
        log.get_logger().exception("request_failed", reason=ValueError(NASTY))

    first, *rest = stream.getvalue().splitlines()
    assert "request_failed" in first
    assert all(line.startswith("    | ") for line in rest)
    assert all(line.isprintable() for line in (first, *rest))


def test_a_traceback_shows_no_local_variables() -> None:
    stream = configured("pretty", stream=Terminal())
    canary = "local" + "canary"

    try:
        raise ValueError(len(canary))
    except ValueError:
        log.get_logger().exception("request_failed")

    assert "localcanary" not in stream.getvalue()


def test_printable_leaves_the_letters_of_all_scripts() -> None:
    assert log.printable("naïve 日本語 😀 \\n") == "naïve 日本語 😀 \\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb", "a\\nb"),
        ("\x1b[0m", "\\x1b[0m"),
        ("\x9b", "\\x9b"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
    ],
)
def test_printable_escapes_what_a_terminal_obeys(text: str, expected: str) -> None:
    assert expected == log.printable(text)


# --- secrets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_no_secret_and_no_job_data_gets_out(form: Literal["json", "pretty"]) -> None:
    stream = configured(form, level="debug")
    secrets = dict.fromkeys(log.SECRET_FIELDS, "canary")

    log.get_logger().debug("request", **secrets, nested={"token": "canary"})
    log.get_logger().debug("request", header="Bearer canary", url="redis://u:canary@h/0")
    logging.getLogger("aiohttp.server").error("bad header %r", b"Authorization: Bearer canary")
    log.get_logger().error("failed", error=ValueError("bearer canary"), list=["Bearer canary"])

    assert len(stream.getvalue().splitlines()) == 4
    assert "canary" not in stream.getvalue()
