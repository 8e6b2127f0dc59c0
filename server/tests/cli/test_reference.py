from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from jobwire_server.cli import reference
from jobwire_server.cli.exits import MEANINGS, Exit
from jobwire_server.cli.root import root
from jobwire_server.config import FLAGS, SHORT_NAMES, catalogue

DOCS = Path(__file__).parents[3] / "docs"
SNAPSHOT = Path(__file__).with_name("help.txt")


def _commands() -> dict[str, Any]:
    return dict(reference._walk(typer.main.get_command(root), "jobwire"))


@pytest.mark.parametrize("name", sorted(reference.PARTS))
def test_the_documents_are_current(name: str) -> None:
    text = (DOCS / name).read_text(encoding="utf-8")

    assert text == reference.rendered(text, name), (
        "run: python -m jobwire_server.cli.reference docs"
    )


def test_every_setting_is_documented() -> None:
    text = (DOCS / "configuration.md").read_text(encoding="utf-8")

    for info in catalogue().values():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{info.key}` |"))
        assert f"`{info.env}`" in row
        assert info.description in row
        assert info.flag is None or f"`{info.flag}`" in row
    assert all(f"`{name}`" in text for name in SHORT_NAMES)


def test_every_command_and_option_is_documented_and_explained() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    sections = {part.split("`")[0]: part for part in text.split("### `")[1:]}

    assert set(_commands()) == set(sections)
    for path, command in _commands().items():
        for parameter in command.params:
            if parameter.name == "help":
                continue
            assert parameter.help, f"{path}: {parameter.name} has no help"
            spelt = (
                [parameter.metavar] if parameter.param_type_name == "argument" else parameter.opts
            )
            assert all(f"`{word}" in sections[path] for word in spelt)


def test_every_command_that_reads_has_output_json() -> None:
    without = {
        path
        for path, command in _commands().items()
        if not any("-o" in p.opts for p in command.params)
    }

    assert without == {"jobwire serve"}


def test_every_flag_of_the_configuration_is_a_flag_of_serve() -> None:
    options = {name for parameter in _commands()["jobwire serve"].params for name in parameter.opts}

    assert set(FLAGS) == options - {"--config", "-c", "--help", "-h"}


def test_every_exit_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Exit)
    assert [int(code) for code in Exit] == list(range(7))


def test_stale_documents_are_found_and_rewritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in reference.PARTS:
        current = (DOCS / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(current.replace("| `", "| stale `"), encoding="utf-8")

    assert reference.main(["--check", str(tmp_path)]) == 1
    assert "configuration.md is stale" in capsys.readouterr().err
    assert reference.main([str(tmp_path)]) == 0
    assert reference.main(["--check", str(tmp_path)]) == 0


def test_a_document_without_its_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="markers of 'settings'"):
        reference.rendered("nothing", "configuration.md")


def test_help_is_as_it_was() -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "TERMINAL_WIDTH": "100",
        "LANG": "C.UTF-8",
        "PYTHONUTF8": "1",
    }
    help_text = subprocess.run(
        [sys.executable, "-c", "from jobwire_server.cli import main; main(['--help'])"],
        env=environ,
        check=True,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
    ).stdout

    lines = "\n".join(line.rstrip() for line in help_text.splitlines()) + "\n"
    assert lines.replace("Usage: -c", "Usage: jobwire") == SNAPSHOT.read_text(encoding="utf-8")
