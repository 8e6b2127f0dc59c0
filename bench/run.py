"""`make bench`: measure a server of this tree on this machine. command.py is the program, README.md says what it measures."""

from __future__ import annotations

import sys
from pathlib import Path

# In place of this folder, whose profile.py would hide the one of the standard library.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
