"""
Writes the case files that follow mechanically from the spec: every cell of operation × status × media type, of command ×
error code, and both sides of every bound of every field. `python -m conformance.generator` writes them, `--check` compares.

What a code needs before a server can answer with it stands in `setups.py`; nothing here looks at a server.
"""
