"""
A driver in a page, with a client of its own over http.client and plain sockets: the worked example of docs/conformance/join-with-your-language.md.

Nothing of Jobwire is imported. It has seven methods, no retries and no worker, and says so in `ready`.
"""

from __future__ import annotations

import http.client
import json
import platform
import socket
import sys
import uuid
from urllib.parse import urlsplit

ROUTES = {
    "push": ("POST", "/queues/{queue}/jobs"),
    "pull": ("POST", "/pull"),
    "ack": ("POST", "/jobs/{id}/ack"),
    "fail": ("POST", "/jobs/{id}/fail"),
    "get": ("GET", "/jobs/{id}"),
    "queues": ("GET", "/queues"),
    "ping": ("GET", "/health/live"),
}


class Client:
    """What you have already: your SDK. `ask` makes one request, and returns the body of its answer."""

    def __init__(self, url, token=None, timeout_ms=30_000, **_):
        self.url, self.token, self.rid = urlsplit(url), token, 0
        address, seconds = (self.url.hostname, self.url.port), timeout_ms / 1000
        self.http = self.socket = None
        if self.url.scheme == "http":
            self.http = http.client.HTTPConnection(*address, timeout=seconds)
        else:
            self.socket = socket.create_connection(address, seconds)
            self.lines = self.socket.makefile("rb")
            self.ask("hello", {"v": [2], **({"token": token} if token else {})})

    def ask(self, command, fields):
        return self.ask_http(command, fields) if self.http else self.ask_tcp(command, fields)

    def ask_http(self, command, fields):
        method, path = ROUTES[command]
        named = {name: fields.pop(name) for name in ("queue", "id") if f"{{{name}}}" in path}
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        body = json.dumps(fields).encode() if method == "POST" else None
        headers |= {"Content-Type": "application/json"} if body else {}
        self.http.request(method, "/api/v1" + path.format(**named), body, headers)
        answer = self.http.getresponse()
        return {**json.loads(answer.read()), "status": answer.status}

    def ask_tcp(self, command, fields):
        self.rid += 1
        self.socket.sendall(
            json.dumps({"cmd": command, "rid": self.rid, **fields}).encode() + b"\n"
        )
        while True:
            answer = json.loads(self.lines.readline())
            if answer.get("rid") == self.rid:  # anything else is a notice
                return answer

    def close(self):
        for each in (self.http, self.socket and self.lines, self.socket):
            if each:
                each.close()


# --- the methods: arguments of a message → command and fields, and the answer → value ------------------------------------

METHODS = {
    "push": lambda a: ("push", {"id": str(uuid.uuid4()), **a}, lambda b: only(b, "id", "outcome")),
    "pull": lambda a: ("pull", a, lambda b: b["jobs"] if "jobs" in b else [b["job"]]),
    "ack": lambda a: ("ack", held(a), lambda b: None),
    "fail": lambda a: ("fail", held(a), lambda b: only(b, "retry")),
    "get_job": lambda a: ("get", {"id": a["job"]}, lambda b: b["job"]),
    "list_queues": lambda a: ("queues", {}, lambda b: b["queues"]),
    "ping": lambda a: ("ping", {}, lambda b: None),
}


def only(body, *names):
    return {name: body[name] for name in names}


def held(args):
    """`job` is an id, or {"$job": {id, lease}}."""
    job = args.pop("job")
    return {**args, **(job["$job"] if isinstance(job, dict) else {"id": job})}


def call(client, method, args):
    command, fields, value = METHODS[method](args)
    body = client.ask(command, fields)
    if body["ok"]:
        return {"ok": True, "value": value(body)}
    error = body["error"]
    told = {name: error.get(name) for name in ("code", "message", "retryable", "retry_after_ms")}
    told |= {"details": error["details"] or {}, "http_status": body.get("status")}
    return {"ok": False, "error": {"class": "Refused", "shown": error["message"], **told}}


# --- the protocol: a JSON object a line, in and out -----------------------------------------------------------------------


SDK = {"name": "minimal", "version": "1", "lang": "python", "runtime": platform.python_version()}


def say(**message):
    print(json.dumps(message), flush=True)


def main():
    objects = {}
    for line in sys.stdin:
        message = json.loads(line)
        kind, number = message["t"], message.get("id")
        result = {"ok": True, "value": None}
        if kind == "init":
            say(t="ready", proto=1, sdk=SDK, caps=[], methods=sorted(METHODS))
            continue
        if kind == "new":
            objects[message["obj"]] = Client(**message["args"])
        elif kind == "call":
            result = call(objects[message["obj"]], message["method"], message["args"])
        elif kind == "close":
            objects.pop(message["obj"]).close()
        elif kind == "stats":
            result["value"] = dict.fromkeys(("sockets", "threads", "tasks", "calls", "timers"), 0)
        say(t="result", id=number, **result)


main()
