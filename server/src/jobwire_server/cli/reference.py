"""
The reference tables of docs/configuration.md and docs/cli.md, from the code that they describe.

`python -m jobwire_server.cli.reference docs` rewrites what stands between the markers; with `--check` it only says
(exit 1) whether a file is stale. A test does the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from jobwire_server.cli.exits import MEANINGS
from jobwire_server.cli.root import root
from jobwire_server.config import SHORT_NAMES, SettingInfo, catalogue, presentable

# --- settings --------------------------------------------------------------------------------------------------


def settings() -> str:
    """A heading for each section of the TOML file, and a table of its settings."""
    by_section: dict[str, list[SettingInfo]] = {}
    for info in catalogue().values():
        by_section.setdefault(info.key.rpartition(".")[0], []).append(info)
    return "\n\n".join(_section(name, infos) for name, infos in by_section.items())


def _section(name: str, infos: list[SettingInfo]) -> str:
    title = f"### `[{name}]`" if name else "### At the top of the file"
    about = (infos[0].section.__doc__ or "").strip() if name else ""
    rows = [
        (f"`{info.key}`", _default(info), f"`{info.env}`", _flag(info), info.description)
        for info in infos
    ]
    table = _table(("Setting", "Default", "Environment", "Flag", "Meaning"), rows)
    return "\n\n".join(part for part in (title, about, table) if part)


def _default(info: SettingInfo) -> str:
    shown = presentable(info.default)
    if shown is None or shown == []:
        return "none"
    return f"`{str(shown).lower() if isinstance(shown, bool) else shown}`"


def _flag(info: SettingInfo) -> str:
    return f"`{info.flag}`" if info.flag else ""


def environment() -> str:
    """The other names in the environment, strongest first."""
    rows = [
        (f"`{name}`", ", ".join(f"`{key}`" for key in keys)) for name, keys in SHORT_NAMES.items()
    ]
    return _table(("Name", "Sets"), reversed(rows))


# --- commands --------------------------------------------------------------------------------------------------


def commands() -> str:
    """A heading for each command, with what it does and a table of its arguments and options."""
    found = _walk(typer.main.get_command(root), "jobwire")
    return "\n\n".join(_command(path, command) for path, command in found)


def _walk(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, below a group or not."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, nested in command.commands.items():
        yield from _walk(nested, f"{path} {name}")


def _command(path: str, command: Any) -> str:
    parts = [f"### `{path}`", _prose(command.help)]
    rows = [
        (_spelling(each), (each.help or "").strip())
        for each in command.params
        if each.name != "help"
    ]
    return "\n\n".join([*parts, _table(("Argument or option", "Meaning"), rows)])


def _prose(text: str | None) -> str:
    paragraphs = re.split(r"\n\s*\n", (text or "").strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _spelling(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`"
    takes_value = not parameter.is_flag
    value = f" {parameter.metavar or 'N'}" if takes_value else ""
    return ", ".join(f"`{name}{value}`" for name in parameter.opts)


def exit_codes() -> str:
    """What each exit code means."""
    rows = [(str(int(code)), meaning) for code, meaning in MEANINGS.items()]
    return _table(("Code", "Meaning"), rows)


# --- files -----------------------------------------------------------------------------------------------------


def _table(columns: tuple[str, ...], rows: Any) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "\n".join("| " + " | ".join(_escape(cell) for cell in line) + " |" for line in lines)


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")


PARTS: Final = {
    "configuration.md": {"settings": settings, "environment": environment},
    "cli.md": {"commands": commands, "exit-codes": exit_codes},
}


def rendered(text: str, name: str) -> str:
    """The text of the document `name` with everything between its markers made anew."""
    for part, render in PARTS[name].items():
        markers = re.compile(rf"(<!-- begin {part} -->\n).*?(<!-- end {part} -->)", re.DOTALL)
        table = render().replace("\\", "\\\\")
        text, found = markers.subn(rf"\1\n{table}\n\n\2", text)
        if found != 1:
            raise ValueError(
                f"{name} needs the markers of '{part}' exactly once, it has them {found} times"
            )
    return text


def main(arguments: list[str]) -> int:
    """Write the documents of a folder, or with --check only compare them; 1 when one is stale."""
    folder = Path(next(argument for argument in arguments if not argument.startswith("-")))
    stale = 0
    for name in PARTS:
        path = folder / name
        before = path.read_text(encoding="utf-8")
        after = rendered(before, name)
        if before == after:
            continue
        stale = 1
        if "--check" in arguments:
            print(f"{path} is stale", file=sys.stderr)
        else:
            path.write_text(after, encoding="utf-8")
    return stale if "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
