"""The web app of the e-mail example: signup, password reset, stats. It answers as soon as the mail is queued."""

from __future__ import annotations

import json
import os
import secrets
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from jobwire import Client, JobwireError

QUEUE = "emails"
MAX_BODY = 64 * 1024

client = Client()


def signup(form: dict[str, str]) -> dict[str, Any]:
    """Queue a welcome mail."""
    data = {"name": form["name"], "email": form["email"]}
    pushed = client.push(QUEUE, "welcome", data, backoff_delay=1)
    return {"job": pushed.id}


def password_reset(form: dict[str, str]) -> dict[str, Any]:
    """Queue a reset mail: it overtakes the welcomes, and is tried five times."""
    data = {"email": form["email"], "token": secrets.token_urlsafe(16)}
    pushed = client.push(
        QUEUE, "password-reset", data, priority=10, max_attempts=5, backoff_delay=1
    )
    return {"job": pushed.id}


def stats(_: dict[str, str]) -> dict[str, Any]:
    """How many mails wait, are being sent, are done, or could not be sent."""
    counts = client.stats(QUEUE).counts
    return {
        name: getattr(counts, name) for name in ("waiting", "delayed", "active", "completed", "dlq")
    }


ROUTES = {
    ("POST", "/signup"): (signup, ("name", "email")),
    ("POST", "/password-reset"): (password_reset, ("email",)),
    ("GET", "/stats"): (stats, ()),
}


class App(BaseHTTPRequestHandler):
    """Reads a JSON object, calls the route, writes a JSON object."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        route = ROUTES.get((self.command, self.path))
        if route is None:
            self._answer(404, {"error": "there is no such page"})
            return
        function, fields = route
        try:
            form = self._form(fields)
        except ValueError as error:
            self._answer(400, {"error": str(error)})
            return
        try:
            self._answer(202 if self.command == "POST" else 200, function(form))
        except JobwireError as error:
            self._answer(503, {"error": f"the queue cannot take it now: {error}"})

    def _form(self, fields: tuple[str, ...]) -> dict[str, str]:
        if not fields:
            return {}
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            raise ValueError(f"the body is over {MAX_BODY} bytes")
        form = json.loads(self.rfile.read(length))
        missing = [
            name
            for name in fields
            if not isinstance(form, dict) or not isinstance(form.get(name), str)
        ]
        if missing:
            raise ValueError(f"send a JSON object with {' and '.join(missing)}")
        if "@" not in form["email"]:
            raise ValueError("email is no address")
        return form

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), App)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
