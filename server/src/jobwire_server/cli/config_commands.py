"""The `config …` commands: what the settings are, where they come from, and whether they can be used."""

from __future__ import annotations

from typing import Annotated

import typer

from jobwire_server import config as settings_module
from jobwire_server.cli.exits import CliError, Exit
from jobwire_server.cli.options import ConfigFile, Output
from jobwire_server.cli.output import Format, say, show_json, show_table
from jobwire_server.config import ConfigError, Loaded

config = typer.Typer(help="Show and check the server's configuration.", no_args_is_help=True)


def config_error(error: ConfigError) -> CliError:
    """Every problem on a line of its own; each says its fix itself."""
    lines = "\n".join(str(problem) for problem in error.problems)
    return CliError(
        "CONFIG", lines, "`jobwire config show --origin` lists every setting", exit_code=Exit.USAGE
    )


def loaded(file: ConfigFile) -> Loaded:
    """The configuration that `jobwire serve --config FILE` would use."""
    try:
        return settings_module.load(file)
    except ConfigError as error:
        raise config_error(error) from error


@config.command("show")
def show(
    file: ConfigFile = None,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say also where each value comes from.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """
    List every setting and its value; tokens are masked.

    With -o json: {"ok", "settings": [{"key", "value", "origin"}]}.
    """
    found = loaded(file)
    rows = [(key, found.value(key), found.origins[key]) for key in settings_module.catalogue()]
    if output is Format.JSON:
        listed = [dict(zip(("key", "value", "origin"), row, strict=True)) for row in rows]
        show_json({"ok": True, "settings": listed})
    elif origin:
        show_table(("setting", "value", "origin"), rows, empty="")
    else:
        show_table(("setting", "value"), [row[:2] for row in rows], empty="")


@config.command("check")
def check(file: ConfigFile = None, output: Output = Format.TABLE) -> None:
    """Say whether `jobwire serve` could use the configuration; exits 2 with every problem when it could not."""
    found = loaded(file)
    if output is Format.JSON:
        show_json({"ok": True, "file": None if found.file is None else str(found.file)})
    else:
        say(f"The configuration is valid ({found.file or 'no file, defaults and environment'}).")
