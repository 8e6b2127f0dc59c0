"""T46: what TLS has to refuse, by a real server on both doors and by the SDK with nothing set but the URL."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest
import trustme
from jobwire import AsyncClient, Client, TransportError
from tests.proof.hostile.attacked import weakened
from tests.proof.hostile.tls_server import (
    HOST,
    TlsServer,
    bad_certificates,
    handshake,
    speak,
    tls_server,
)
from tests.proof.knobs import SEED
from tests.proof.launched import Launched, launched
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.acceptance

OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)
CURRENT = {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}
DOORS = (("https", "http"), ("tcps", "tcp"))  # the scheme of the SDK, the door of the server
PLAIN = {
    "http": b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tcp": b'{"cmd":"ping"}\n',
}
TLS_HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(160)
QUICK_S = 5.0  # on a machine that is shared; no deadline of the server is shorter than this


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(ca: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system trusts the authority, so that the SDK needs no setting of its own."""
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))


def _sync(url: str, tls: ssl.SSLContext | None = None) -> str:
    """How a call of the SDK ends: `ok`, `ok` for no verdict but the certificate's."""
    with Client(url, retries=0, retry_budget=0, timeout=10, tls=tls) as client:
        try:
            client.list_queues()
        except TransportError as error:
            return f"{error.code} {error.message}"
    return "ok"


def _async(url: str, tls: ssl.SSLContext | None = None) -> str:
    async def call() -> str:
        async with AsyncClient(url, retries=0, retry_budget=0, timeout=10, tls=tls) as client:
            try:
                await client.list_queues()
            except TransportError as error:
                return f"{error.code} {error.message}"
        return "ok"

    return asyncio.run(call())


CLIENTS = (_sync, _async)


def _certificates(server: TlsServer, ca: trustme.CA) -> list[str]:
    """Both clients at both doors refuse each bad certificate, and take the good one that comes after."""
    wrong = []
    for name, issued in bad_certificates(ca).items():
        server.take(issued)
        wrong += [f"{name}: {said}" for said in _calls(server) if "certificate" not in said.lower()]
    server.take(ca.issue_cert(HOST))
    return wrong + [f"a good one: {said}" for said in _calls(server) if said != "ok"]


def _calls(server: TlsServer, tls: ssl.SSLContext | None = None) -> list[str]:
    return [
        call(f"{scheme}://{HOST}:{server.port(door)}", tls)
        for scheme, door in DOORS
        for call in CLIENTS
    ]


def _versions(server: TlsServer) -> list[str]:
    agreed = {
        (door, version): handshake(server.port(door), version)
        for _, door in DOORS
        for version in (*OLD, *CURRENT)
    }
    return [f"{case}: {said}" for case, said in agreed.items() if said != CURRENT.get(case[1])]


def _crossed(secure: TlsServer, plain: Launched) -> list[str]:
    """Plaintext to a TLS port, TLS to a plaintext port; by hand and by the SDK. All are told or cut at once."""
    wrong = []
    for door, data in PLAIN.items():
        heard = speak(secure.port(door), data)
        if heard.seconds > QUICK_S or b"HTTP/" in heard.data or b'"ok"' in heard.data:
            wrong.append(f"plain to {door}: {heard}")
    for door, expected in (("http", b"BAD_REQUEST"), ("tcp", b"UNSUPPORTED_PROTOCOL")):
        heard = speak(plain.port(door), TLS_HELLO)
        if heard.seconds > QUICK_S or expected not in heard.data:
            wrong.append(f"TLS to plain {door}: {heard}")
    return wrong + _crossed_sdk(secure, plain)


def _crossed_sdk(secure: TlsServer, plain: Launched) -> list[str]:
    urls = [f"{scheme}://{HOST}:{plain.port(door)}" for scheme, door in DOORS]
    urls += [f"{door}://{HOST}:{secure.port(door)}" for _, door in DOORS]
    wrong = []
    for url, call in [(url, call) for url in urls for call in CLIENTS]:
        began = time.monotonic()
        said = call(url)
        if said == "ok" or time.monotonic() - began > QUICK_S:
            wrong.append(f"{url} {call.__name__}: {said} {time.monotonic() - began:.1f} s")
    return wrong


@pytest.mark.usefixtures("trusting")
def test_tls_refuses_what_it_should(ca: trustme.CA, tmp_path: Path) -> None:
    began = time.monotonic()
    with tls_server(tmp_path, ca.issue_cert(HOST)) as secure, launched(tmp_path / "plain") as plain:
        wrong = {
            "certificates": _certificates(secure, ca),
            "versions": _versions(secure),
            "crossed": _crossed(secure, plain),
        }
        alive = _calls(secure)
    tries = (len(bad_certificates(ca)) + 1) * len(_NAMES) + 2 * 4 + 4 + 2 * len(_NAMES)
    publish(
        Figure(
            test="T46",
            title="TLS: versions, certificates, the wrong kind of port",
            promises=(),
            seed=SEED,
            what="connections",
            tries=tries,
            bad=sum(map(len, wrong.values())),
            bar="TLS 1.2 or later, a certificate that does not verify is refused by default, crossed wires end ≤ 5 s",
            seconds=time.monotonic() - began,
            control="unverified clients connect to each bad certificate; a server with old versions agrees on TLS 1.0",
            numbers={
                "certificates": len(bad_certificates(ca)),
                "reloads_by_sighup": len(bad_certificates(ca)) + 1,
            },
        )
    )
    assert not any(wrong.values()), wrong
    assert alive == ["ok"] * len(alive)


_NAMES = [(scheme, call.__name__) for scheme, _ in DOORS for call in CLIENTS]


def test_clients_that_do_not_verify_are_caught(ca: trustme.CA, tmp_path: Path) -> None:
    """The control: the bad certificates work but for the verification."""
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    with tls_server(tmp_path, ca.issue_cert(HOST)) as server:
        for issued in bad_certificates(ca).values():
            server.take(issued)
            assert _calls(server, blind) == ["ok"] * len(_NAMES)


def test_a_server_with_old_versions_is_caught(ca: trustme.CA, tmp_path: Path) -> None:
    """The control: this machine's OpenSSL still has what the product refuses."""
    with tls_server(tmp_path, ca.issue_cert(HOST), entry=weakened("old_tls")) as server:
        assert len(_versions(server)) == len(OLD) * len(DOORS)
