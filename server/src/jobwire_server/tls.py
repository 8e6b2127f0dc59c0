"""TLS for both doors: one server context, read from files that can be read again while it serves."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

HANDSHAKE_S: Final = (
    10.0  # a client that opens a connection and says nothing costs this long at most
)


class TlsError(Exception):
    """The certificate or the key cannot be used; the message names the file and what to do."""


class TlsFiles:
    """
    A certificate chain and its key, both PEM, and the context made of them.

    TLS 1.2 or later, with the ciphers of Python's defaults (forward secrecy, AEAD). Raises TlsError.
    """

    def __init__(self, cert: Path, key: Path, *, alpn: Sequence[str] = ()) -> None:
        self._cert = cert
        self._key = key
        self.context = _server_context(alpn)
        self.reload()

    def reload(self) -> None:
        """
        Read both files again; connections made from now on get the new certificate, the old ones keep theirs.

        The new pair is tried on a context of its own first, so that after a TlsError the old one still serves.
        """
        _load(_server_context(()), self._cert, self._key)
        _load(self.context, self._cert, self._key)


def tls_files(
    cert: Path | str | None, key: Path | str | None, *, alpn: Sequence[str] = ()
) -> TlsFiles | None:
    """What the settings `tls_cert` and `tls_key` ask for: None without both; one alone is a TlsError."""
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing = "tls_cert" if cert is None else "tls_key"
        raise TlsError(f"TLS needs a certificate and its key; {missing} is not set")
    return TlsFiles(Path(cert), Path(key), alpn=alpn)


def _server_context(alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _load(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    _readable(cert, "certificate")
    _readable(key, "key")
    try:
        context.load_cert_chain(cert, key, password=lambda: _no_password(key))
    except ssl.SSLError as exc:
        reason = exc.reason or str(exc)
        raise TlsError(
            f"TLS certificate '{cert}' and key '{key}' cannot be used ({reason}); "
            "both must be PEM, and the key must belong to the certificate"
        ) from exc


def _readable(path: Path, what: str) -> None:
    """load_cert_chain does not say which of the two files is missing."""
    try:
        path.read_bytes()
    except OSError as exc:
        raise TlsError(f"TLS {what} '{path}' cannot be read: {exc.strerror}") from exc


def _no_password(key: Path) -> NoReturn:
    # Without this callback OpenSSL would ask on the terminal, and a service would hang at its start.
    raise TlsError(f"TLS key '{key}' is encrypted; give one without a passphrase")
