"""
Libraries that other libraries look for at a price, and that nothing here needs: whoever asks is told at once that there is none.

httpcore looks for sniffio several times in every request, along the whole path of imports, which was a third of the runner's time.
jsonschema compiles the 39 grammars of rfc3987_syntax when it is imported, seconds of it, for formats that no schema here has.
"""

from __future__ import annotations

import sys
from typing import Final

SHUNNED: Final = ("sniffio", "rfc3987_syntax")


def shun() -> None:
    """Make an import of any of them fail, which their users expect; one that is loaded already stays."""
    for name in SHUNNED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
