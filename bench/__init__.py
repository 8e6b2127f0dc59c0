"""The benchmark of the server: `python bench/run.py`, from the root of the repository. README.md says what is measured, and why so."""
