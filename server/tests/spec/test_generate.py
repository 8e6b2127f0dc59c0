"""`make generate` and its --check: what is stale is named, and nothing is written unasked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobwire_server.engine.transitions import OPERATIONS, STATES, TRANSITIONS
from jobwire_server.error_codes import ERROR_CODES
from jobwire_server.wire.commands import COMMANDS
from jobwire_server.wire.limits import DEFAULTS, LIMITS

pytestmark = pytest.mark.slow  # `make verify` runs what it tests

ERROR_TABLE = "server/src/jobwire_server/error_codes.py"
CLIENT_TABLE = "sdk-python/src/jobwire/_error_codes.py"
# Written by hand, with generated tables between markers.
PAGES = ("spec/wire.md", "spec/lifecycle.md", "README.md")


def check(generate: Any, root: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = generate.main(["--check", "--root", str(root)])
    return code, capsys.readouterr().err


def test_the_command_finds_this_checkout_current() -> None:
    script = Path(__file__).resolve().parents[3] / "spec" / "codegen" / "generate.py"

    done = subprocess.run(
        [sys.executable, str(script), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_every_edited_file_is_named_and_left_alone(
    checkout: Path, generated: list[str], generate: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = [path for path in generated if path not in PAGES]
    edited = {path: (checkout / path).read_text(encoding="utf-8") + "edited\n" for path in whole}
    for path, text in edited.items():
        (checkout / path).write_text(text, encoding="utf-8")

    code, said = check(generate, checkout, capsys)

    assert code == 1
    assert said == "".join(f"stale: {path} (run `make generate`)\n" for path in whole)
    assert edited == {path: (checkout / path).read_text(encoding="utf-8") for path in whole}


def test_a_missing_file_is_named_and_not_made(
    checkout: Path, generate: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / ERROR_TABLE).unlink()

    code, said = check(generate, checkout, capsys)

    assert code == 1
    assert f"stale: {ERROR_TABLE} (run `make generate`)\n" == said
    assert not (checkout / ERROR_TABLE).exists()


def test_a_table_between_markers_is_compared_too(
    checkout: Path, generate: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    page = checkout / "spec" / "wire.md"
    page.write_text(
        page.read_text(encoding="utf-8").replace("| `rid_max` |", "| `rid_most` |"),
        encoding="utf-8",
    )

    code, said = check(generate, checkout, capsys)

    assert code == 1
    assert said == "stale: spec/wire.md (run `make generate`)\n"


def test_a_changed_source_makes_stale_what_is_made_of_it(
    checkout: Path, generate: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    errors = checkout / "spec" / "errors.yaml"
    text = errors.read_text(encoding="utf-8")
    errors.write_text(text.replace("status: 507", "status: 503"), encoding="utf-8")

    code, said = check(generate, checkout, capsys)

    assert code == 1
    stale = {line.split()[1] for line in said.splitlines()}
    assert {ERROR_TABLE, CLIENT_TABLE, "spec/errors.md", "spec/vectors/errors.json"} <= stale
    assert "server/src/jobwire_server/engine/transitions.py" not in stale


def test_generating_makes_a_stale_checkout_current(
    checkout: Path, generate: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / ERROR_TABLE).write_text("", encoding="utf-8")
    (checkout / CLIENT_TABLE).unlink()

    assert generate.main(["--root", str(checkout)]) == 0

    assert capsys.readouterr().out == f"wrote {ERROR_TABLE}\nwrote {CLIENT_TABLE}\n"
    assert check(generate, checkout, capsys) == (0, "")


def test_a_page_without_its_markers_is_an_error(
    checkout: Path, generate: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    page = checkout / "spec" / "wire.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text.replace("<!-- /generated: limits -->", ""), encoding="utf-8")

    code, said = check(generate, checkout, capsys)

    assert code == 1
    assert said.startswith("error: wire.md: it has the markers ")


def test_the_tables_of_the_server_hold_what_the_specification_lists(spec: Any) -> None:
    assert set(spec.errors["codes"]) == set(ERROR_CODES)
    assert set(spec.wire["operations"]) == set(COMMANDS)
    assert spec.wire["limits"] == LIMITS
    assert spec.wire["defaults"] == DEFAULTS
    assert {(operation, state) for operation in OPERATIONS for state in STATES} == set(TRANSITIONS)
    for (operation, state), rule in TRANSITIONS.items():
        cell = spec.lifecycle["operations"][operation]["on"][state]
        assert (cell["effect"], set(cell.get("to", [])), cell.get("error")) == (
            rule.effect,
            rule.to,
            rule.error,
        )


def test_what_an_sdk_lacks_is_an_error(
    checkout: Path, generate: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    surface = checkout / "spec" / "sdk-surface.yaml"
    text = surface.read_text(encoding="utf-8")
    without = text.replace("    go: 'Ping(ctx context.Context) error'\n", "")
    assert without != text
    surface.write_text(without, encoding="utf-8")

    code, said = check(generate, checkout, capsys)

    assert (code, "not in every SDK: ping" in said) == (1, True)
