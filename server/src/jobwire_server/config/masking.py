"""
Values as they may be shown: tokens and passwords masked.

Whatever prints a setting goes through here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

MASK: Final = "********"


def presentable(value: Any) -> Any:
    """A setting's value as JSON types, safe to show: tokens masked, passwords in URLs too."""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return [presentable(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return mask_url(value) if isinstance(value, str) else value


def mask_url(text: str) -> str:
    """The same URL with its password masked."""
    parts = urlsplit(text) if "://" in text else None
    if parts is None or "@" not in parts.netloc:
        return text
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    return parts._replace(netloc=f"{user}:{MASK}@{parts.netloc.rpartition('@')[2]}").geturl()
