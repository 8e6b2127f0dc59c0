"""`python -m conformance coverage`: coverage as a number; see runner/coverage.py."""

from __future__ import annotations

from conformance.runner.coverage import HELP, add_arguments, main

__all__ = ["HELP", "add_arguments", "main"]
