"""Where a store is kept, as a URL: sqlite:///relative.db, sqlite:////absolute.db or memory://."""

from __future__ import annotations

from typing import Literal
from urllib.parse import unquote, urlsplit

import msgspec

FORMS = "sqlite:///relative/path.db, sqlite:////absolute/path.db or memory://"


class StorageURL(msgspec.Struct, frozen=True):
    """The kind of store and, for a file, its path; `path` is "" for memory."""

    kind: Literal["sqlite", "memory"]
    path: str = ""


def parse(url: str) -> StorageURL:
    """
    Read a storage URL. Percent-escapes in the path are resolved.

    Raises ValueError that names the supported forms, without repeating what may be a password.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ValueError(f"not a storage URL; expected {FORMS}") from error
    if parts.query or parts.fragment:
        raise ValueError(f"a storage URL takes no options; expected {FORMS}")
    if parts.scheme == "memory":
        return _memory(parts.netloc + parts.path)
    if parts.scheme == "sqlite":
        return _sqlite(parts.netloc, parts.path)
    raise ValueError(
        f"unsupported storage {parts.scheme or 'without a scheme'!r}; expected {FORMS}"
    )


def _memory(rest: str) -> StorageURL:
    if rest.strip("/"):
        raise ValueError("memory:// takes no path; nothing is kept when the server stops")
    return StorageURL("memory")


def _sqlite(host: str, path: str) -> StorageURL:
    if host:
        raise ValueError(f"sqlite URLs have three slashes before the path; expected {FORMS}")
    name = unquote(path.removeprefix("/"))
    if not name or name.endswith("/") or "\0" in name:
        raise ValueError(f"a sqlite URL names a file; expected {FORMS}")
    return StorageURL("sqlite", name)
