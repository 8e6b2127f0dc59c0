"""Jobwire: a background-job queue defined by its wire."""

__version__ = "0.1.0"
