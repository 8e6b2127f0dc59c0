"""T50: a name is a value: never a part of SQL, never a path of a file, never another name."""

from __future__ import annotations

import socket
import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.proof.hostile.attacked import rest_of, weakened
from tests.proof.hostile.bound_sql import FORMATTED, PUT_TOGETHER, doubtful, sources, statements
from tests.proof.hostile.hostile_names import NAMES, Send, over_http, over_tcp, tried
from tests.proof.knobs import SEED
from tests.proof.launched import Launched, launched
from tests.proof.report import Figure, publish

import jobwire_server

PACKAGE = Path(jobwire_server.__file__).parent
DOORS: dict[str, Callable[[Launched], AbstractContextManager[Send]]] = {
    "http": over_http,
    "tcp": over_tcp,
}
WANTED = (b"root:", b"from __future__", b"SQLite format 3", b"[auth]", b"-- name:")
BEFORE = (
    "",
    "/api/v1",
    "/api/v1/docs",
    "/api/v1/docs/reference.css",
    "/api/v1/openapi.json",
    "/static",
    "http://localhost",
    "file://",
)
CLIMBS = (
    "/../../../../../../etc/passwd", "/..%2f..%2f..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/%252e%252e/%252e%252e/etc/passwd",
    "/..%c0%af..%c0%afetc/passwd", "/..\\..\\..\\etc\\passwd", "//etc/passwd", "/etc/passwd%00.css", "/app.py", "/../app.py", "/%2e%2e/app.py", "/reference.html", "/../proof.toml", "/jobs.db", "/./../jobs.db", "/queries.sql",
)  # fmt: skip


def _fetch(port: int, target: str) -> bytes:
    """What the server says to a target as it is, which no client library would send."""
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        raw.sendall(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        )
        return rest_of(raw)


def _served_files(server: Launched) -> tuple[int, list[str]]:
    targets = [before + climb for before in BEFORE for climb in CLIMBS]
    heard = {target: _fetch(server.http, target) for target in targets}
    wrong = [
        f"{target}: {said[:200]!r}"
        for target, said in heard.items()
        if said[9:10] != b"4" or any(text in said for text in WANTED)
    ]
    return len(targets), wrong


def _shape(folder: Path) -> list[tuple[str, str]]:
    """The tables and indexes of the store, and that it is whole."""
    with sqlite3.connect(f"file:{folder}/jobs.db?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT type, name FROM sqlite_schema ORDER BY 1, 2").fetchall()
        rows += connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return rows


@pytest.mark.acceptance
@pytest.mark.timeout(120)
def test_names_come_back_exactly_or_are_refused(tmp_path: Path) -> None:
    began = time.monotonic()
    with launched(tmp_path) as server:
        witness = server.post("/queues/witness/jobs", {"name": "n", "data": {"still": "here"}})[1][
            "id"
        ]
        before = _shape(tmp_path)
        results = []
        for door, opened in DOORS.items():
            with opened(server) as send:
                results += tried(send, door)
        files, served = _served_files(server)
        seen = server.get(f"/jobs/{witness}")[1]["job"]["data"]
        server.stop()
    wrong = [f"{what}: {said}" for what, said in results if said] + served
    source = sources(PACKAGE)
    built = [f"{path} {found}" for path, text in source.items() for found in doubtful(text)]
    publish(
        Figure(
            test="T50",
            title="names as SQL, as paths and as other names",
            promises=(),
            seed=SEED,
            what="uses of hostile names",
            tries=len(results) + files,
            bad=len(wrong) + len(built),
            bar="exact or 4xx, values bound, no file served",
            seconds=time.monotonic() - began,
            control="a server that decodes paths twice, and planted statements, were found",
            numbers={
                "names": len(NAMES),
                "paths": files,
                "statements": sum(map(statements, source.values())),
                "put_together": len(PUT_TOGETHER) + len(FORMATTED),
            },
        )
    )
    assert wrong == [], "\n".join(wrong[:20])
    assert built == [], (
        "bind the values; what is put together of constants goes into bound_sql.py, with its reason"
    )
    assert seen == {"still": "here"}
    assert _shape(tmp_path) == before
    assert sum(map(statements, source.values())) > 40, "the search found hardly a statement"
    assert "INTERNAL_ERROR" not in server.log
    assert "Traceback" not in server.log


@pytest.mark.acceptance
def test_a_server_that_takes_one_name_for_another_is_caught(tmp_path: Path) -> None:
    """The control: %2541 is A for a server that decodes twice."""
    encoded = [name for name in NAMES if "%2" in name]
    with launched(tmp_path, entry=weakened("twice_decoded")) as server, over_http(server) as send:
        wrong = [what for what, said in tried(send, "http", encoded) if said]

    assert any("%2e%2e%2f" in what for what in wrong)


@pytest.mark.parametrize(
    "planted",
    [
        "cursor.execute(f\"SELECT * FROM jobs WHERE name = '{name}'\")",
        "cursor.execute(\"SELECT * FROM jobs WHERE name = '%s'\" % name)",
        'cursor.execute("SELECT * FROM jobs WHERE name = " + name)',
        'cursor.execute("SELECT * FROM jobs WHERE name = {}".format(name))',
        "cursor.execute(statement)",
    ],
)
def test_a_statement_with_a_value_in_it_is_caught(planted: str) -> None:
    """The control of the search through the source."""
    assert list(doubtful(planted))
