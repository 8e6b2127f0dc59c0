"""Guessing tokens at both doors, from any loopback address and with any X-Forwarded-For; what the server said to each guess."""

from __future__ import annotations

import http.client
import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field

THREADS = 16
CHECKED = "UNAUTHORIZED"  # the guess was compared; RATE_LIMITED: it was not


@dataclass(slots=True)
class Guesser:
    """One source at one door. `claims` are the X-Forwarded-For that it sends in turn; `heard` counts the codes of its answers."""

    door: str  # http or tcp
    source: str
    guesses: int
    claims: tuple[str, ...] = ()
    heard: Counter[str] = field(default_factory=Counter)

    def guess(self, ports: dict[str, int], seed: int) -> None:
        """Send all guesses one after another, with a new connection whenever the server closed the last one."""
        tokens = list(_tokens(seed, self))
        while tokens:
            send = self._over_http if self.door == "http" else self._over_tcp
            send(ports[self.door], tokens)

    def _over_http(self, port: int, tokens: list[str]) -> None:
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, 30, source_address=(self.source, 0)
        )
        with closing(connection):
            while tokens:
                headers = {"Authorization": f"Bearer {tokens.pop()}"}
                if self.claims:
                    headers["X-Forwarded-For"] = self.claims[len(tokens) % len(self.claims)]
                connection.request("GET", "/api/v1/queues", headers=headers)
                answer = connection.getresponse()
                self._hear(answer.read())

    def _over_tcp(self, port: int, tokens: list[str]) -> None:
        with (
            socket.create_connection(("127.0.0.1", port), 30, (self.source, 0)) as raw,
            raw.makefile("rb") as answers,
        ):
            while tokens:
                line = json.dumps({"cmd": "auth", "token": tokens.pop()})
                raw.sendall(line.encode() + b"\n")
                answer = answers.readline()
                self._hear(answer)
                if self.heard["RATE_LIMITED"]:
                    return  # this connection is closed now; the next guess takes another

    def _hear(self, answer: bytes) -> None:
        said = json.loads(answer)
        self.heard[said["error"]["code"] if not said["ok"] else "let in"] += 1

    @property
    def checked(self) -> int:
        return self.heard[CHECKED]


def _tokens(seed: int, guesser: Guesser) -> Iterator[str]:
    draw = random.Random(f"{seed} {guesser.door} {guesser.source}")
    return (f"{draw.getrandbits(128):032x}" for _ in range(guesser.guesses))


def guess_together(guessers: list[Guesser], ports: dict[str, int], seed: int) -> None:
    """All of them at a time, THREADS at once."""
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(guesser.guess, ports, seed) for guesser in guessers]:
            done.result()
