"""What `jobwire serve` says on a terminal when it is ready: addresses, durability, and first lines to paste."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jobwire_server import __version__
from jobwire_server.config import Loaded, mask_url, token_hashes

_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}

_DURABILITY: Final = {
    "fsync": "every accepted job is on the disk before it is answered",
    "os-crash-loss": "a crash of the machine may lose the last commits",
    "memory": "everything is lost when the server stops",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What is known only when the server is up: the ports that were bound, the durability as verified, the control API."""

    http_port: int
    tcp_port: int
    durability: str
    control: str | None = None  # of test mode


def banner(loaded: Loaded, started: Started) -> str:
    """All of it, as lines of text."""
    settings = loaded.settings
    http, tcp = (
        http_url(loaded, started),
        _url("tcp", settings.tcp.host, started.tcp_port, settings.tcp.tls_cert),
    )
    durability = f"{started.durability}: {_DURABILITY.get(started.durability, 'see the store')}"
    facts = {
        "HTTP": http,
        "TCP": tcp,
        "storage": f"{mask_url(settings.storage)} ({durability})",
        "auth": _auth(loaded),
        "config": str(loaded.file or "defaults, environment and flags"),
    }
    head = [f"Jobwire {__version__} is ready. Ctrl-C stops it.", ""]
    if started.control is not None:
        head.insert(
            1, "TEST MODE: programs on this machine may stop its clock and delete every job."
        )
        facts["test control "] = started.control
    width = max(8, *map(len, facts))
    body = [f"  {name:<{width}} {fact}" for name, fact in facts.items()]
    return "\n".join([*head, *body, "", *first_lines(http, with_token=_needs_token(loaded))])


def http_url(loaded: Loaded, started: Started) -> str:
    """The HTTP door as a client on this machine reaches it."""
    http = loaded.settings.http
    return _url("http", http.host, started.http_port, http.tls_cert)


def _url(scheme: str, host: str, port: int, cert: object) -> str:
    host = _ANY.get(host, host)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}{'s' if cert else ''}://{shown}:{port}"


def _needs_token(loaded: Loaded) -> bool:
    return bool(token_hashes(loaded.settings.auth))


def _auth(loaded: Loaded) -> str:
    count = len(token_hashes(loaded.settings.auth))
    if count:
        return f"{count} token{'s' if count > 1 else ''}"
    if loaded.settings.auth.insecure:
        return "NONE: whoever reaches the address may do everything (insecure)"
    return "none, for programs on this machine only"


def first_lines(url: str, *, with_token: bool) -> list[str]:
    """Lines to paste into a shell and into Python; a token comes from JOBWIRE_TOKEN."""
    return [
        "Try it in a shell:",
        "",
        *_indented(_shell(url, with_token)),
        "",
        "Or in Python, with the SDK:",
        "",
        *_indented(_python(url)),
    ]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _shell(url: str, with_token: bool) -> list[str]:
    """A push; a pull that keeps the job's id, which is the first `id` of the answer; and its ack."""
    token = ' -H "Authorization: Bearer $JOBWIRE_TOKEN"' if with_token else ""
    curl = f"curl -s{token} -H 'Content-Type: application/json'"
    api = f"{url}/api/v1"
    first_id = 'grep -o \'"id":"[^"]*\' | head -1 | cut -d\'"\' -f4'
    return [
        f"""{curl} {api}/queues/emails/jobs -d '{{"name":"welcome","data":{{"to":"ada@example.com"}}}}'""",
        f"""ID=$({curl} {api}/queues/emails/pull -d '{{}}' | {first_id}); echo $ID""",
        f"""{curl} {api}/jobs/$ID/ack -d '{{"result":"sent"}}'""",
    ]


def _python(url: str) -> list[str]:
    return [
        "from jobwire import Client",
        f'with Client("{url}") as client:',
        '    client.push("emails", "welcome", {"to": "ada@example.com"})',
        '    for job in client.pull(["emails"]):',
        "        print(job.data)",
        "        client.ack(job)",
    ]
