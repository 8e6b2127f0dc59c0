"""How a command ends: the exit codes, which are API, and the one exception that carries them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from jobwire_server.error_codes import ERROR_CODES


class Exit(IntEnum):
    """What the shell sees. Numbers are never given a new meaning."""

    OK = 0
    ERROR = 1
    USAGE = 2
    STORE_IN_USE = 3
    NOT_FOUND = 4
    CONFLICT = 5
    UNREACHABLE = 6


MEANINGS: Final[dict[Exit, str]] = {
    Exit.OK: "It worked. A pull that found nothing is this too.",
    Exit.ERROR: "The server answered with an error, whose code is printed, or `serve`, `doctor` or `backup` failed.",
    Exit.USAGE: "The command line or the configuration is wrong; nothing was done.",
    Exit.STORE_IN_USE: "`serve`: another process owns the store's file.",
    Exit.NOT_FOUND: "There is no such job.",
    Exit.CONFLICT: "Someone was first, or the job's state forbids it.",
    Exit.UNREACHABLE: "No connection, no answer in time, or the answer is not a Jobwire server's.",
}

_BY_CATEGORY: Final = {"not_found": Exit.NOT_FOUND, "conflict": Exit.CONFLICT}


class CliError(Exception):
    """
    Ends the command: `code: message` and the fix go to stderr, `exit_code` to the shell.

    `code` is the server's, or for what the command found itself a word of its own in the same spelling.
    """

    def __init__(
        self, code: str, message: str, fix: str = "", *, exit_code: Exit = Exit.ERROR
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.fix = fix
        self.exit_code = exit_code


def usage(message: str, fix: str = "") -> CliError:
    """A wrong argument, found before anything was sent."""
    return CliError("USAGE", message, fix, exit_code=Exit.USAGE)


def unreachable(code: str, message: str, fix: str) -> CliError:
    """No answer, or none that this wire knows."""
    return CliError(code, message, fix, exit_code=Exit.UNREACHABLE)


def server_error(code: str, message: str) -> CliError:
    """An error that the server answered, with the catalogue's fix."""
    info = ERROR_CODES.get(code)
    exit_code = _BY_CATEGORY.get(info.category, Exit.ERROR) if info else Exit.ERROR
    return CliError(code, message, info.fix if info else "", exit_code=exit_code)
