"""A server process with TLS on both doors, and certificates that are good or bad in one way each."""

from __future__ import annotations

import signal
import socket
import ssl
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from tests.acceptance.processes import until
from tests.proof.launched import REAL, Entry, Launched

HOST = "127.0.0.1"
DAY = timedelta(days=1)


class TlsServer(Launched):
    """Both doors use `cert.pem` and `key.pem` of its folder."""

    def __init__(self, folder: Path, entry: Entry) -> None:
        pair = f'tls_cert = "{folder}/cert.pem"\ntls_key = "{folder}/key.pem"\n'
        settings = f"[http]\n{pair}[tcp]\n{pair}"
        super().__init__(folder, settings=settings, entry=entry)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        return "server.started" in self.log

    def take(self, issued: trustme.LeafCert) -> None:
        """Serve with this certificate from now on, without a restart."""
        reloaded = self.log.count("tls.reloaded")
        write_pair(issued, self.folder)
        self.signal(signal.SIGHUP)
        until(lambda: self.log.count("tls.reloaded") > reloaded, 10, "the certificate is read")


def write_pair(issued: trustme.LeafCert, folder: Path) -> None:
    (folder / "cert.pem").write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    (folder / "key.pem").write_bytes(issued.private_key_pem.bytes())


@contextmanager
def tls_server(
    folder: Path, issued: trustme.LeafCert, *, entry: Entry = REAL
) -> Iterator[TlsServer]:
    """Ready at the beginning, gone at the end."""
    write_pair(issued, folder)
    server = TlsServer(folder, entry)
    try:
        yield server.start()
    finally:
        server.end()


def bad_certificates(trusted: trustme.CA) -> Mapping[str, trustme.LeafCert]:
    """What a client that trusts `trusted` must refuse when it asks for HOST."""
    now = datetime.now(UTC)
    return {
        "expired": trusted.issue_cert(HOST, not_before=now - 30 * DAY, not_after=now - DAY),
        "not valid yet": trusted.issue_cert(HOST, not_before=now + DAY, not_after=now + 30 * DAY),
        "of another host": trusted.issue_cert("queue.example"),
        "of another address": trusted.issue_cert("127.0.0.2"),
        "of an authority that is not known": trustme.CA().issue_cert(HOST),
        "of an authority below one that is not known": trustme.CA()
        .create_child_ca()
        .issue_cert(HOST),
    }


@dataclass(frozen=True, slots=True)
class Heard:
    """How a connection ended: what came, and after how many seconds it was over."""

    data: bytes
    seconds: float


def speak(port: int, data: bytes, patience_s: float = 8.0) -> Heard:
    """Send plain bytes and listen until the server hangs up."""
    began = time.monotonic()
    heard = bytearray()
    with socket.create_connection((HOST, port), patience_s) as raw:
        raw.sendall(data)
        try:
            while chunk := raw.recv(65_536):
                heard += chunk
        except ConnectionError:
            return Heard(bytes(heard), time.monotonic() - began)
    return Heard(bytes(heard), time.monotonic() - began)


def handshake(port: int, version: ssl.TLSVersion) -> str | None:
    """The version that was agreed on by a client that has this one only; None when the server refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(
        "ALL:@SECLEVEL=0"
    )  # without this the client itself would have no old version
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with socket.create_connection((HOST, port), 10) as raw:
        try:
            with context.wrap_socket(raw, server_hostname=HOST) as secure:
                return secure.version()
        except (ssl.SSLError, ConnectionError):
            return None
