"""T38: whoever guesses tokens gets few of them checked, whatever the door, the address or the header; and locks out nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.proof.hostile.attacked import ask, say, weakened
from tests.proof.hostile.guessing import Guesser, guess_together
from tests.proof.knobs import SCALE, SEED
from tests.proof.launched import Launched, launched
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

TOKEN = "t38-good-token"
PROXY = "127.7.7.7"
OWNER = "127.9.9.9"
SETTINGS = f'[auth]\ntokens = ["{TOKEN}"]\n[http]\ntrusted_proxies = ["{PROXY}"]\n'
SOURCES = max(18, round(60 * SCALE))  # addresses a door
GUESSES = 30  # a source
CLAIMS = tuple(f"203.0.113.{n}" for n in range(100))
LIMIT = 10  # guesses that may be checked a source; all of this takes less than the five minutes of a lock
PACE_S = 0.02


def _sources() -> list[Guesser]:
    addresses = [f"127.{1 + n // 62_500}.{n // 250 % 250}.{2 + n % 250}" for n in range(SOURCES)]
    return [
        Guesser(door, address.replace("127.1.", f"127.{second}."), GUESSES)
        for door, second in (("http", 20), ("tcp", 40))
        for address in addresses
    ]


def _together() -> list[Guesser]:
    """One source that guesses on many connections and both doors at once."""
    return [Guesser(door, "127.60.0.1", GUESSES) for door in ("http", "tcp") for _ in range(8)]


def _forgers() -> list[Guesser]:
    """Not a proxy, and pretends to be someone else each time, the owner of the token above all."""
    return [
        Guesser("http", "127.61.0.1", 300, CLAIMS),
        Guesser("http", "127.61.0.2", 300, (OWNER, f"{OWNER}, {PROXY}")),
    ]


def _proxied() -> Guesser:
    """Behind the trusted proxy: every client counts for itself, what it claims to the left of that counts for nothing."""
    return Guesser("http", PROXY, 40 * 10, tuple(f"{OWNER}, 198.51.100.{n}" for n in range(10)))


@contextmanager
def _owner(server: Launched) -> Iterator[list[str]]:
    """The owner of the token at work from another address, at both doors; what it was refused with."""
    refused: list[str] = []
    done = threading.Event()

    def work() -> None:
        while not done.wait(PACE_S):
            code = ask(server.http, "GET", "/queues", token=TOKEN, source=OWNER).code
            answer = say(server.tcp, {"cmd": "auth", "token": TOKEN}, source=OWNER)[0]
            refused.extend([code] if code else [])
            refused.extend([] if answer["ok"] else [answer["error"]["code"]])
            served.append(2)

    served: list[int] = []
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield refused
    finally:
        done.set()
        thread.join()
    assert sum(served) >= 10, "the owner was hardly at work"


def test_guesses_are_hardly_checked_and_the_owner_is_served(tmp_path: Path) -> None:
    began = time.monotonic()
    alone, together, forgers, proxied = _sources(), _together(), _forgers(), _proxied()
    guessers = [*alone, *together, *forgers, proxied]
    with launched(tmp_path, settings=SETTINGS) as server, _owner(server) as refused:
        guess_together(guessers, {"http": server.http, "tcp": server.tcp}, SEED)
        locked = ask(server.http, "GET", "/queues", token=TOKEN, source=alone[0].source).code
        as_proxied = ask(
            server.http,
            "GET",
            "/queues",
            token=TOKEN,
            source=PROXY,
            headers={"X-Forwarded-For": OWNER},
        ).code
    per_source = [guesser.checked for guesser in (*alone, *forgers)]
    per_source += [sum(guesser.checked for guesser in together), -(-proxied.checked // 10)]
    let_in = sum(guesser.heard["let in"] for guesser in guessers)
    over = [checked for checked in per_source if checked > LIMIT]
    publish(
        Figure(
            test="T38",
            title="guessing tokens at both doors",
            promises=(),
            seed=SEED,
            what="guesses",
            tries=sum(guesser.heard.total() for guesser in guessers),
            bad=len(over) + len(refused) + let_in,
            bar=f"≤ {LIMIT} checked a source and minute; the owner is served; X-Forwarded-For counts behind a trusted proxy only",
            seconds=time.monotonic() - began,
            control="without a lock-out, or with X-Forwarded-For of anyone believed, all guesses were checked",
            numbers={
                "sources": len(per_source),
                "checked": sum(guesser.checked for guesser in guessers),
                "checked_max_per_source": max(per_source),
            },
        )
    )
    assert over == []
    assert refused == []
    assert let_in == 0
    assert min(per_source) >= 1, "a source that was not heard at all proves nothing"
    assert sum(guesser.heard.total() for guesser in guessers) == sum(g.guesses for g in guessers)
    assert (locked, as_proxied) == ("RATE_LIMITED", None)


@pytest.mark.parametrize(
    ("weakness", "guesser"),
    [
        ("no_lockout", Guesser("http", "127.30.0.1", GUESSES)),
        ("no_lockout", Guesser("tcp", "127.30.0.2", GUESSES)),
        ("believing", Guesser("http", "127.30.0.3", 100, CLAIMS)),
    ],
    ids=["no lock-out over HTTP", "no lock-out over TCP", "believes X-Forwarded-For"],
)
def test_a_server_that_checks_every_guess_is_caught(
    tmp_path: Path, weakness: str, guesser: Guesser
) -> None:
    """The controls."""
    with launched(tmp_path, settings=SETTINGS, entry=weakened(weakness)) as server:
        guess_together([guesser], {"http": server.http, "tcp": server.tcp}, SEED)

    assert guesser.checked == guesser.guesses > LIMIT
