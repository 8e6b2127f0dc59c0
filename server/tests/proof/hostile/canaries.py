"""
Secrets that are told apart by sight, every way to bring them into a server's errors, and the hunt for where they come out.

A haul is what was collected, by its source; a hit is a secret in it that has no business there.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.parse import quote

from tests.http_api.route_requests import body_of, path_of
from tests.proof.hostile.attacked import ask, say

from jobwire_server.http_api.app import ROUTES
from jobwire_server.http_api.routing import Route
from jobwire_server.wire.commands import COMMANDS

GOOD = "canary-good-7f3a9c"  # a token of the server, in its file
SECOND = "canary-second-51d2e8"  # another one, in its environment
GUESS = "canary-guess-0b64f1"  # a wrong one
PASSWORD = "canary-password-e2c97d"  # in URLs
DATA = "canary-data-93ab06"  # in data, result and metadata of jobs
TOKENS = (GOOD, SECOND, GUESS, PASSWORD)
SOURCES = 250  # loopback addresses that guess in turn, so that none is locked out before its errors are seen


@dataclass
class Haul:
    """Texts by where they came from."""

    texts: list[tuple[str, str]] = field(default_factory=list)

    def add(self, source: str, text: str | bytes) -> None:
        self.texts.append(
            (source, text if isinstance(text, str) else text.decode("utf-8", "replace"))
        )

    def hits(self, secrets: Iterable[str]) -> list[str]:
        """Where one of the secrets stands, also in Base64 and percent-encoded."""
        looks = {
            look for secret in secrets for look in (secret, _base64(secret), quote(secret, safe=""))
        }
        return [
            f"{source}: {look}" for source, text in self.texts for look in looks if look in text
        ]


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


# --- over HTTP -------------------------------------------------------------------------------------------------------


def _credentials() -> Iterator[Mapping[str, str]]:
    for secret in (GUESS, GOOD):
        basic = base64.b64encode(f"user:{secret}".encode()).decode()
        yield {"Authorization": f"Basic {basic}"}
        yield {"Authorization": secret}
        yield {"Authorization": f"Bearer {secret} {secret}"}
    yield {"Authorization": f"Bearer {GUESS}"}
    yield {"Authorization": f"Bearer {GUESS}", "X-Request-Id": "bad id with spaces"}
    yield {"Authorization": f"Bearer {GOOD}", "Content-Type": f"text/{GUESS}"}
    yield {"Authorization": f"Bearer {GOOD}", "Content-Encoding": "gzip"}
    yield {"Authorization": f"Bearer {GOOD}", "Expect": GUESS}
    yield {"Authorization": f"Bearer {GOOD}", "Cookie": f"session={GUESS}", "User-Agent": GUESS}
    yield {"Authorization": f"Bearer {GOOD}", "Transfer-Encoding": GUESS}


def _bodies(route: Route) -> Iterator[Any]:
    good = json.loads(body_of(route) or b"{}")
    secrets = {
        "token": GOOD,
        "data": {"secret": DATA},
        "metadata": {"secret": DATA},
        "result": DATA,
    }
    yield good
    yield {**good, **secrets}
    yield {**good, "name": [GUESS], "id": GUESS, "error": [DATA]}
    yield [secrets]
    yield f"{GOOD} {DATA}"


def ask_everything(port: int, haul: Haul) -> int:
    """Every route with every kind of credentials and body; how many answers came."""
    asked = 0
    for route in ROUTES:
        for headers in _credentials():
            asked += _ask(port, route, path_of(route), None, headers, haul)
        for body in _bodies(route) if body_of(route) is not None else ():
            asked += _ask(
                port, route, path_of(route), body, {"Authorization": f"Bearer {GOOD}"}, haul
            )
        path = f"{path_of(route)}?token={GOOD}&limit={GUESS}&cursor={GUESS}&count={GUESS}"
        asked += _ask(port, route, path, None, {"Authorization": f"Bearer {GOOD}"}, haul)
    return asked


def _ask(
    port: int, route: Route, path: str, body: Any, headers: Mapping[str, str], haul: Haul
) -> int:
    source = f"127.45.0.{2 + len(haul.texts) % SOURCES}"
    with suppress(
        HTTPException, ConnectionError
    ):  # a request that cannot be read may end without an answer
        answer = ask(port, route.method, path, body, headers=headers, source=source)
        haul.add(f"{route} {answer.status}", f"{dict(answer.headers)} {answer.body.decode()}")
        return 1
    return 0


# --- over TCP --------------------------------------------------------------------------------------------------------


def _lines() -> Iterator[Mapping[str, Any]]:
    secrets = {"data": {"secret": DATA}, "metadata": {"secret": DATA}, "result": DATA}
    for name, command in COMMANDS.items():
        if command.wire is not None:
            yield {"cmd": name, "token": GOOD, "queue": "q", **secrets}
            yield {"cmd": name, "id": GUESS, "lease": [GUESS], "name": {"a": GUESS}}
    yield {"cmd": "auth", "token": [GOOD]}
    yield {"cmd": "auth", "token": GOOD * 100}
    yield {"cmd": "hello", "v": [9], "token": GOOD}
    yield {"cmd": "hello", "v": [1, 2], "token": GOOD, "client": {"name": GUESS, "more": GOOD}}


def say_everything(port: int, haul: Haul) -> int:
    """Every command before and after the right token, each beside a wrong one; how many answers came."""
    said = 0
    for number, line in enumerate(_lines()):
        source = f"127.46.0.{2 + number % SOURCES}"
        for first in ({"cmd": "auth", "token": GOOD}, {"cmd": "auth", "token": GUESS}):
            answers = say(port, first, {"cmd": "hello", "v": [2]}, line, source=source)
            haul.add(f"tcp {line['cmd']}", json.dumps(answers))
            said += len(answers)
    return said
