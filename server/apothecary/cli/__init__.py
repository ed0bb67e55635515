"""The command line: one module a command, imported when it runs, so that `apothecary validate` starts at once."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from apothecary import __version__
from apothecary.errors import StartError

# Command -> the module that holds it under its own name.
COMMANDS: Mapping[str, str] = {
    "backup": "apothecary.cli.backup",
    "check": "apothecary.cli.check",
    "content": "apothecary.cli.content",
    "export": "apothecary.cli.export",
    "load": "apothecary.cli.load",
    "migrate": "apothecary.cli.migrate",
    "restore": "apothecary.cli.restore",
    "schema": "apothecary.cli.schema",
    "serve": "apothecary.cli.serve",
    "validate": "apothecary.cli.validate",
}


class CannotRun(click.ClickException):
    """A StartError as the command line shows it."""

    exit_code = 2


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for.

    A StartError of theirs ends the process with status 2.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(import_module(module), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}.{cmd_name} is not a command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StartError as error:
            raise CannotRun(str(error)) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="apothecary")
def main() -> None:
    """Apothecary: a FHIR server and validator for medication knowledge."""
