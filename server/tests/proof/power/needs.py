"""What a machine must have for these proofs. Where it has not, the tests say so and are skipped; CI has all of it."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

OWN_MOUNTS = [
    "unshare",
    "-m" if os.geteuid() == 0 else "-rm",
]  # a mount namespace that ends with its process


def _can_mount() -> bool:
    return shutil.which("unshare") is not None and (
        subprocess.run([*OWN_MOUNTS, "true"], capture_output=True, check=False).returncode == 0
    )


needs_gcc = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="NOT PROVEN HERE: the shim needs gcc, and there is none"
)
needs_mounts = pytest.mark.skipif(
    not _can_mount(), reason="NOT PROVEN HERE: this user may not mount, not even with unshare -rm"
)
