"""Names that try to be SQL, paths, or two names at once; and what a server makes of them at either door."""

from __future__ import annotations

import http.client
import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote, urlencode

from tests.proof.hostile.attacked import API
from tests.proof.launched import Launched

from jobwire_server.wire.commands import COMMANDS

NAMES = (
    "'", "''", '"', "`", "\\", "\\'", ";", "--", "/*", "*/", "#", "%", "_", "*", "?", "$1", ":name", "@x", "{queue}", "{walk}", "{values}",
    "' OR '1'='1", "' OR 1=1--", "'; DROP TABLE jobs;--", '" OR ""="', "1; DELETE FROM jobs", "x' UNION SELECT data FROM jobs--",
    "'); ATTACH DATABASE '/tmp/evil' AS e;--", "x' AND randomblob(1000000000)--", "0x27", "char(39)", "\u02bc", "\uff07", "NULL", "null", "true", "0", "-1", "1e999",
    "../../../../etc/passwd", "..", ".", "/", "//", "\\..\\..\\", "file:///etc/passwd", "%2e%2e%2f", "%252e%252e%252f", "..%c0%af", "%00", "%", "%zz", "a/b", "a%2Fb", "a?b=c", "a#b", "a b", "a+b", "a&b=c", "a,b", "a;b",
    "\x00", "a\x00b", "\x01", "\n", "\r\n", "\t", "\x7f", " ", " a", "a ", "\u00a0", "\ufeff", "\u200b", "\u202e", "\ufffe", "\uffff",
    "é", "e\u0301", "ß", "İ", "ſ", "日本語", "😀", "👨\u200d👩\u200d👧", "\U0010ffff", unicodedata.normalize("NFD", "ñ"),
    "waiting,dlq", "[]", "{}", '{"$ne":null}', "[object Object]", "__proto__", "constructor", "${7*7}", "{{7*7}}", "<x>", "&amp;", "CON", "nul.txt", "~root", "$HOME", "`id`", "|ls", "a" * 255, "a" * 256, "a" * 257, "a" * 1_023, "é" * 512, "a" * 1_024, "é" * 513, "a" * 1_025, "a" * 5_000, "",
)  # fmt: skip
KEYS = ("unique_key", "custom_id", "group_id", "flow_id")
Send = Callable[[str, Mapping[str, Any]], Any]


@contextmanager
def over_tcp(server: Launched) -> Iterator[Send]:
    """A command as it is, on one connection; `ok` of the answer says how it went."""
    with server.connect() as lines:
        lines.call(cmd="hello", v=[2])
        yield lambda command, fields: lines.call(**{"cmd": command, **fields})


@contextmanager
def over_http(server: Launched) -> Iterator[Send]:
    """The same by its route, with fields in the path and the query where the route has them there."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http, 30)

    def send(command: str, fields: Mapping[str, Any]) -> Any:
        method, target, body = _request(command, fields)
        text = None if body is None else json.dumps(body)
        connection.request(method, API + target, text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return {**json.loads(answer.read()), "status": answer.status}

    with closing(connection):
        yield send


def _request(command: str, fields: Mapping[str, Any]) -> tuple[str, str, Any]:
    """Method, path with its query, and body."""
    method, _, path = COMMANDS[command].http[0].partition(" ")
    in_path = {name: value for name, value in fields.items() if f"{{{name}}}" in path}
    rest = {name: value for name, value in fields.items() if name not in in_path}
    path = path.format(**{name: quote(str(value), safe="") for name, value in in_path.items()})
    query = f"?{urlencode(rest)}" if rest and method == "GET" else ""
    return method, path + query, rest if method == "POST" else None


def tried(send: Send, door: str, names: Sequence[str] = NAMES) -> Iterator[tuple[str, str]]:
    """Each use of each name, and what is wrong with how it went ('' when it came back exactly or was refused in form)."""
    for number, name in enumerate(names):
        yield f"{door} push as queue {name!r}", _as_queue(send, name)
        yield f"{door} push as name {name!r}", _as_job_name(send, name)
        yield f"{door} keys {name!r}", _as_keys(send, f"{door}{number}", name)
        yield f"{door} worker {name!r}", _as_worker(send, name)
        for command, fields in _questions(name):
            said = send(command, fields)
            wrong = _refused_or_ok(said) or _renamed(said, name)
            yield f"{door} {command} {tuple(fields)} {name!r}", wrong


def _questions(name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from (
        ("stats", {"queue": name}),
        ("queue", {"queue": name}),
        ("flow", {"flow_id": name}),
        ("get", {"id": name}),
        ("dlq", {"queue": "q", "cursor": name}),
    )
    yield from (
        ("find", {field: name})
        for field in ("queue", "name", "state", "cursor", "limit", "created_after", name or "empty")
    )


def _renamed(answer: Any, name: str) -> str:
    """What the answer calls the queue or the flow that was asked for, when it is something else."""
    called = answer.get("flow_id", answer.get("queue", {}).get("name", name))
    return "" if called == name else f"called {called!r}"


def _as_queue(send: Send, name: str) -> str:
    answer = send("push", {"queue": name, "name": "n"})
    if not answer["ok"]:
        return _refused_or_ok(answer)
    found = send("find", {"queue": name})["jobs"]
    return (
        "" if [job["queue"] for job in found] == [name] * len(found) and found else f"found {found}"
    )


def _as_job_name(send: Send, name: str) -> str:
    answer = send("push", {"queue": "names", "name": name})
    if not answer["ok"]:
        return _refused_or_ok(answer)
    return "" if send("get", {"id": answer["id"]})["job"]["name"] == name else "another name"


def _as_keys(send: Send, queue: str, name: str) -> str:
    """All keys and a tag of one job in a queue of its own: given back exactly, and found by each, alone."""
    keys = dict.fromkeys(KEYS, name)
    answer = send(
        "push",
        {"queue": f"keys-{queue}", "name": "n", **keys, "tags": [name], "metadata": {name: name}},
    )
    if not answer["ok"]:
        return _refused_or_ok(answer)
    job = send("get", {"id": answer["id"]})["job"]
    if (
        any(job[key] != name for key in KEYS)
        or job["tags"] != [name]
        or job["metadata"] != {name: name}
    ):
        return f"came back as {job}"
    for field in ("custom_id", "group_id", "flow_id", "tag"):
        found = send("find", {field: name, "queue": f"keys-{queue}"})
        if found.get("ok") and [one["id"] for one in found["jobs"]] != [job["id"]]:
            return f"find by {field}: {found}"
    again = send("push", {"queue": f"keys-{queue}", "name": "n", "unique_key": name})
    return "" if again["error"]["code"] == "DUPLICATE_KEY" else f"not unique: {again}"


def _as_worker(send: Send, name: str) -> str:
    answer = send("pull", {"queues": ["nothing"], "worker_id": name, "request_id": name})
    if not answer["ok"]:
        return _refused_or_ok(answer)
    send("heartbeat_batch", {"worker": {"id": name, "queues": [name or "q"]}})
    ids = [worker["id"] for worker in send("workers", {})["workers"]]
    return "" if name in ids else f"not among the workers {ids[:5]}"


def _refused_or_ok(answer: Any) -> str:
    refused = (
        not answer["ok"]
        and 400 <= answer.get("status", 400) < 500
        and answer["error"]["code"] != "INTERNAL_ERROR"
    )
    return "" if answer["ok"] or refused else str(answer)
