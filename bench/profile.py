"""Where the server's time goes: `.venv/bin/python bench/profile.py`. profiling.py is the program."""

from __future__ import annotations

import sys
from pathlib import Path

# In place of this folder, where this very file would hide the module of the standard library.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from bench.profiling import main  # noqa: E402

if __name__ == "__main__":
    main()
