"""The commands of `python -m conformance`, a module each; cli.py says what one has to have."""
