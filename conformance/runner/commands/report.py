"""`python -m conformance report`: the report of a run; see runner/report.py."""

from __future__ import annotations

from conformance.runner.report import HELP, add_arguments, main

__all__ = ["HELP", "add_arguments", "main"]
