"""HTTPS: certificates that work, certificates that do not, and a new one while the server runs."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from tests.http_api.conftest import Serve, Served
from tests.http_api.raw_http import Answer, RawClient, request

from jobwire_server.tls import TlsError, TlsFiles, tls_files

HEALTH = request("GET", "/api/v1/health")


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(ca: trustme.CA, tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for localhost, and its key."""
    return _write(ca.issue_cert("localhost"), tmp_path)


def _write(issued: trustme.LeafCert, folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return cert, key


def _trusting(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return context


async def _get(served: Served, context: ssl.SSLContext) -> Answer:
    async with await RawClient.open(served.door.port, context) as client:
        return await client.ask(HEALTH)


@pytest.fixture
async def secure(serve: Serve, files: tuple[Path, Path]) -> Served:
    return await serve(tls_cert=files[0], tls_key=files[1])


async def test_https_is_served_to_who_trusts_the_certificate(
    secure: Served, ca: trustme.CA
) -> None:
    answer = await _get(secure, _trusting(ca))

    assert answer.status == 200
    assert secure.door.url.startswith("https://127.0.0.1:")


async def test_a_client_that_does_not_trust_the_certificate_refuses(secure: Served) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await _get(secure, ssl.create_default_context())


async def test_older_tls_is_refused(secure: Served, ca: trustme.CA) -> None:
    context = _trusting(ca)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await _get(secure, context)


async def test_plain_http_to_the_tls_port_is_closed_without_an_answer(secure: Served) -> None:
    async with await RawClient.open(secure.door.port) as client:
        client.write(HEALTH)
        answer = await client.rest()

    assert not answer.startswith(b"HTTP/")
    assert secure.operations.calls == []


async def test_a_handshake_that_stalls_holds_up_nobody(secure: Served, ca: trustme.CA) -> None:
    with socket.create_connection(("127.0.0.1", secure.door.port)):
        answer = await _get(secure, _trusting(ca))

    assert answer.status == 200


async def test_reload_takes_a_new_certificate_for_new_connections(
    secure: Served, files: tuple[Path, Path], ca: trustme.CA
) -> None:
    other = trustme.CA()
    async with await RawClient.open(secure.door.port, _trusting(ca)) as old:
        _write(other.issue_cert("localhost"), files[0].parent)
        secure.door.reload()

        assert (await old.ask(HEALTH)).status == 200
        assert (await _get(secure, _trusting(other))).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            await _get(secure, _trusting(ca))


async def test_a_reload_that_fails_keeps_the_old_certificate(
    secure: Served, files: tuple[Path, Path], ca: trustme.CA
) -> None:
    files[1].write_bytes(trustme.CA().issue_cert("localhost").private_key_pem.bytes())

    with pytest.raises(TlsError, match="the key must belong to the certificate"):
        secure.door.reload()

    assert (await _get(secure, _trusting(ca))).status == 200


async def test_reload_without_tls_does_nothing(served: Served) -> None:
    served.door.reload()

    assert (await served.ask("GET", "/health")).status == 200


def test_a_file_that_cannot_be_read_is_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"

    with pytest.raises(
        TlsError, match=r"certificate '.*missing\.pem' cannot be read: No such file"
    ):
        TlsFiles(missing, files[1])
    with pytest.raises(TlsError, match=r"key '.*missing\.pem' cannot be read: No such file"):
        TlsFiles(files[0], missing)


def test_a_file_that_is_no_certificate_is_an_error(files: tuple[Path, Path]) -> None:
    files[0].write_text("hello")

    with pytest.raises(TlsError, match="both must be PEM"):
        TlsFiles(*files)


def test_an_encrypted_key_is_an_error_and_no_question(
    files: tuple[Path, Path], encrypted_key: bytes
) -> None:
    files[1].write_bytes(encrypted_key)

    with pytest.raises(TlsError, match="is encrypted"):
        TlsFiles(*files)


@pytest.fixture
def encrypted_key(files: tuple[Path, Path]) -> bytes:
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(files[1].read_bytes(), None)
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )


@pytest.mark.parametrize(
    ("cert", "key", "missing"), [("c", None, "tls_key"), (None, "k", "tls_cert")]
)
def test_a_certificate_and_its_key_come_together(
    cert: str | None, key: str | None, missing: str
) -> None:
    with pytest.raises(TlsError, match=f"{missing} is not set"):
        tls_files(cert, key)
    assert tls_files(None, None) is None


async def test_a_door_with_a_bad_certificate_does_not_open(
    serve: Serve, files: tuple[Path, Path]
) -> None:
    files[1].write_text("hello")

    with pytest.raises(TlsError):
        await serve(tls_cert=files[0], tls_key=files[1])

    assert len(asyncio.all_tasks()) == 1
