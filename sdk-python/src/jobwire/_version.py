"""The version of this package; the same as in pyproject.toml, which a test checks."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
