"""Building what is published, twice over and far apart, and reading what is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from email.parser import HeaderParser
from pathlib import Path

EPOCH = "1767225600"
LEFT_BEHIND = shutil.ignore_patterns(
    "__pycache__", ".*_cache", ".hypothesis", "dist", "*.egg-info", "*.db*"
)


def copy_of(project: Path, place: Path, *, mtime: float | None = None) -> Path:
    """The project's files at another place, all of them last changed at `mtime`."""
    shutil.copytree(project, place, ignore=LEFT_BEHIND)
    if mtime is not None:
        for path in place.rglob("*"):
            os.utime(path, (mtime, mtime))
    return place


def build(project: Path) -> dict[str, bytes]:
    """The sdist and the wheel, by their names."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", "out"],
        cwd=project,
        env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH},
        check=True,
        capture_output=True,
        timeout=120,
    )
    return {path.name: path.read_bytes() for path in sorted((project / "out").iterdir())}


def build_twice(
    project: Path, folder: Path, *, change: tuple[str, str] = ("", "")
) -> list[dict[str, bytes]]:
    """Two builds of one copy in two places and with files of two ages; `change` replaces a text of pyproject.toml before."""
    base = copy_of(project, folder / "base")
    settings = base / "pyproject.toml"
    settings.write_text(settings.read_text().replace(*change))
    now = time.time()
    ages = {"here": now, "there/deeper": now - 100_000_000}
    return [build(copy_of(base, folder / place, mtime=mtime)) for place, mtime in ages.items()]


def metadata_of(wheel: Path) -> dict[str, list[str]]:
    """The fields of METADATA; a field may stand there many times."""
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        message = HeaderParser().parsestr(archive.read(name).decode())
    return {key: message.get_all(key, []) for key in message}


def files_of(archive: Path) -> Iterator[str]:
    """The names in a wheel or an sdist."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from wheel.namelist()
    else:
        with tarfile.open(archive) as sdist:
            yield from sdist.getnames()


def lone_python(wheel: Path, folder: Path) -> Path:
    """An interpreter of a new environment in which this wheel is all that is installed."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60
    )
    [packages] = (folder / "lib").glob("python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    return folder / "bin" / "python"
