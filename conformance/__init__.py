"""The conformance suite. Each process of it begins here, and so without what would only cost it time."""

from __future__ import annotations

from conformance.runner.shunned import shun

shun()
