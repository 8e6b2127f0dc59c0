"""
The server's log: structlog, one line an event, on stderr.

Rule 1: a message is a short event (`store_opened`, `request_failed`), never a sentence with values in it; values are
        fields, above all `request_id` and `job_id`.
Rule 2: no job data and no token is ever logged. Fields of those names are hidden here all the same, and so are bearer
        tokens and passwords in URLs inside the texts of other libraries (bar T45).
Rule 3: text of users is shown, never obeyed: control characters, ANSI escapes, line ends and characters that turn the
        direction of writing come out as escapes, so that no name can forge a line (bar T48).
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import structlog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

    from jobwire_server.config import LogSettings

HIDDEN: Final = "[hidden]"

# Fields that are never written, whoever passes them.
SECRET_FIELDS: Final = frozenset(
    {"authorization", "data", "metadata", "password", "result", "secret", "token", "tokens"}
)

_SECRETS: Final = (
    (re.compile(r"(?i)\b(bearer)(\s+)[^\s'\",;]+"), rf"\1\2{HIDDEN}"),
    (re.compile(r"(://[^\s/:@]*):[^\s/@]+@"), rf"\1:{HIDDEN}@"),
)

# Loggers of libraries that say more than anyone needs, and the least that is heard of them.
_QUIETER: Final = {
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
}


def get_logger(**fields: Any) -> FilteringBoundLogger:
    """A logger whose lines carry `fields`. Works before `configure`, and follows it."""
    return cast("FilteringBoundLogger", structlog.get_logger(**fields))


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """
    Send the log to `stream` (stderr) in the format and from the level that the settings say. May be called again.

    The standard library's logging, through which aiohttp and asyncio speak, comes out in the same form, warnings too.
    """
    stream = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    _configure_structlog(level)
    _configure_logging(level, _formatter(settings, stream), stream)


def is_pretty(settings: LogSettings, stream: TextIO) -> bool:
    """Whether lines on this stream are for people."""
    return settings.format == "pretty" or (settings.format == "auto" and stream.isatty())


def _configure_structlog(level: int) -> None:
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # so that a second call of configure() reaches every logger
    )


def _configure_logging(level: int, formatter: logging.Formatter, stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, least in _QUIETER.items():
        logging.getLogger(name).setLevel(max(level, least))
    logging.captureWarnings(True)


def _shared() -> list[Processor]:
    """What every line goes through, whether it came from structlog or from the standard library."""
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]


def _formatter(settings: LogSettings, stream: TextIO) -> logging.Formatter:
    render = _pretty(stream.isatty()) if is_pretty(settings, stream) else [json_line]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )


def _pretty(colors: bool) -> list[Processor]:
    """For people. Values are shown by repr, which escapes; the event and a traceback are escaped before."""
    console = structlog.dev.ConsoleRenderer(
        colors=colors,
        repr_native_str=True,
        exception_formatter=structlog.dev.plain_traceback,  # never one that shows local variables
    )
    return [escape_event, console]


# --- processors ------------------------------------------------------------------------------------------------


def hide_secrets(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace what must not be written, by the name of its field and by its look."""
    return {key: _shown(key, value) for key, value in event.items()}


def _shown(key: Any, value: Any) -> Any:
    if isinstance(key, str) and key.startswith(
        "_"
    ):  # structlog's own, gone before anything is written
        return value
    return HIDDEN if str(key).lower() in SECRET_FIELDS else _without_secrets(value)


def _without_secrets(value: Any) -> Any:
    """Numbers as they are, lists and dicts item by item, and the text of everything else, exceptions too."""
    if value is None or isinstance(value, int | float):
        return value
    if isinstance(value, dict):
        return hide_secrets(None, "", value)
    if isinstance(value, list | tuple):
        return [_without_secrets(item) for item in value]
    text = str(value)
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def escape_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Make the event one line, and indent a traceback, so that nothing in it can pass for a line of its own."""
    event["event"] = printable(str(event.get("event", "")))
    if "exception" in event:
        lines = str(event["exception"]).splitlines()
        event["exception"] = "\n".join(f"    | {printable(line)}" for line in lines)
    return event


def json_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    """For programs: one JSON object a line, in ASCII, so that every control character is an escape."""
    return json.dumps(_in_order(event), ensure_ascii=True).replace("\x7f", "\\u007f")


def _in_order(event: Mapping[str, Any]) -> dict[str, Any]:
    first = ("timestamp", "level", "event")
    head = {key: event[key] for key in first if key in event}
    return head | {key: value for key, value in event.items() if key not in head}


# --- text of users ---------------------------------------------------------------------------------------------


def printable(text: str) -> str:
    r"""
    The same text with everything that a terminal could obey as an escape (`\n`, `\x1b`, `\u202e`).

    Letters, digits, punctuation and spaces of every script stay. A backslash stays too: this is for reading, not
    for decoding.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
