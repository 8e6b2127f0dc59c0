"""T47: what is published and what it is built of: nothing that runs at installation, nothing without a hash, the same bytes from the same source."""

from __future__ import annotations

import json
import re
import subprocess
import time
import tomllib
from pathlib import Path

import pytest
from tests.proof.hostile.distributions import build_twice, files_of, lone_python, metadata_of
from tests.proof.knobs import SEED
from tests.proof.report import Figure, publish

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]
PROJECTS = ("server", "sdk-python")
LOCKS = (
    "server/requirements.lock",
    "requirements.lock",
    "tools/installer.lock",
    "tools/node.lock",
)
RUNS_AT_INSTALLATION = re.compile(
    r"(^|/)(setup\.py|setup\.cfg|conftest\.pth|[^/]+\.pth)$|\.data/scripts/|\.data/data/"
)
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")
_PINNED = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,_-]+\])?==[^\s;]+")


def unlocked(lock: str) -> list[str]:
    """The requirements of a lock file that are not one version with its SHA-256s, and the options that name another source."""
    entries = re.sub(r"\\\n\s*", " ", lock).splitlines()
    entries = [
        entry.partition(" #")[0].strip() for entry in entries if not entry.lstrip().startswith("#")
    ]
    return [
        entry[:80]
        for entry in entries
        if entry and not (_PINNED.match(entry) and _HASH.search(entry))
    ]


def _locks() -> tuple[int, list[str]]:
    texts = {name: (ROOT / name).read_text() for name in LOCKS}
    pins = sum(len(re.findall(r"^[A-Za-z0-9].*==", text, re.MULTILINE)) for text in texts.values())
    return pins, [f"{name}: {entry}" for name, text in texts.items() for entry in unlocked(text)]


def _node_packages() -> list[str]:
    """What npm installs for the spec's tools: each with its hash; scripts of packages are never run (`npm ci --ignore-scripts`)."""
    packages = json.loads((ROOT / "spec" / "package-lock.json").read_text())["packages"]
    without = [name for name, package in packages.items() if name and "integrity" not in package]
    runs = "--ignore-scripts" in (ROOT / "Makefile").read_text()
    return without if runs else [*without, "the Makefile lets npm run scripts"]


def _build_settings(project: str) -> list[str]:
    """A build has hatchling and nothing of its own that runs."""
    settings = tomllib.loads((ROOT / project / "pyproject.toml").read_text())
    hatch = json.dumps(settings.get("tool", {}).get("hatch", {}))
    wrong = [f"{project}: hooks"] if '"hooks"' in hatch or "metadata.hooks" in hatch else []
    backend = settings["build-system"]
    right = backend["build-backend"] == "hatchling.build" and len(backend["requires"]) == 1
    return wrong if right else [*wrong, f"{project}: {backend}"]


def _differences(builds: list[dict[str, bytes]]) -> list[str]:
    first, second = builds
    return [name for name in first.keys() | second.keys() if first.get(name) != second.get(name)]


def _bill_of_materials(file: Path) -> list[str]:
    """The components that the lock has and the bill has not, or that have no hash in it."""
    subprocess.run(
        [ROOT / "tools" / "sbom.sh", str(file), "--no-validate"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    components = json.loads(file.read_text())["components"]
    hashed = {(part["name"], part.get("version")) for part in components if _has_hash(part)}
    locked = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / LOCKS[0]).read_text(), re.MULTILINE)
    assert len(locked) > 20
    return [f"{name} {version}" for name, version in locked if (name, version) not in hashed]


def _has_hash(component: dict[str, object]) -> bool:
    return "SHA-256" in json.dumps(component)


def _alone(wheel: Path, folder: Path) -> str:
    """What the SDK says in an environment that has nothing else."""
    ended = subprocess.run(
        [lone_python(wheel, folder), "-I", "-c", "import jobwire, jobwire.testing; print(jobwire.__version__)"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return ended.stdout.strip() + ended.stderr


def test_what_is_published_is_known_to_the_byte(tmp_path: Path) -> None:
    began = time.monotonic()
    pins, wrong = _locks()
    wrong += _node_packages() + _bill_of_materials(tmp_path / "sbom.json")
    first = (tmp_path / "sbom.json").read_bytes()
    wrong += _bill_of_materials(tmp_path / "sbom.json")
    wrong += (
        [] if first == (tmp_path / "sbom.json").read_bytes() else ["the bill of materials differs"]
    )
    archives = []
    for project in PROJECTS:
        wrong += _build_settings(project)
        wrong += _differences(build_twice(ROOT / project, tmp_path / project))
        archives += sorted((tmp_path / project / "here" / "out").iterdir())
    wrong += [
        f"{path.name}: {name}"
        for path in archives
        for name in files_of(path)
        if RUNS_AT_INSTALLATION.search(name)
    ]
    [sdk] = [
        path for path in archives if path.name.startswith("jobwire-0") and path.suffix == ".whl"
    ]
    wrong += metadata_of(sdk).get("Requires-Dist", [])
    alone = _alone(sdk, tmp_path / "alone")
    publish(
        Figure(
            test="T47",
            title="locks, builds and the bill of materials",
            promises=(),
            seed=SEED,
            what="pinned packages and built files",
            tries=pins + len(archives),
            bad=len(wrong),
            bar="every pin has hashes, two builds are equal to the byte, the SDK needs nothing, nothing runs at installation",
            seconds=time.monotonic() - began,
            control="a pin without a hash, and a build with the times of its files in it, were found",
            numbers={
                "pins": pins,
                "archives": len(archives),
                "sdk_requires_dist": len(metadata_of(sdk).get("Requires-Dist", [])),
            },
        )
    )
    assert wrong == []
    assert len(archives) == 2 * len(PROJECTS)
    assert pins > 100
    assert alone == metadata_of(sdk)["Version"][0]


def test_a_build_that_depends_on_its_files_times_is_caught(tmp_path: Path) -> None:
    """The control: hatchling told to keep them."""
    change = (
        "[tool.hatch.build.targets.sdist]",
        "[tool.hatch.build]\nreproducible = false\n[tool.hatch.build.targets.sdist]",
    )

    assert len(_differences(build_twice(ROOT / "sdk-python", tmp_path, change=change))) == 2


@pytest.mark.parametrize(
    "planted",
    [
        "left-pad==1.0.0\n",
        "left-pad>=1.0.0 \\\n    --hash=sha256:" + "0" * 64 + "\n",
        "--index-url https://evil.example/simple\n",
        "left-pad @ git+https://evil.example/left-pad\n",
        "left-pad==1.0.0 \\\n    --hash=md5:" + "0" * 32 + "\n",
    ],
)
def test_a_requirement_that_is_not_locked_is_caught(planted: str) -> None:
    """The control of the reading of the locks."""
    assert unlocked(planted)
