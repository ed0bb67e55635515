"""The command line: one module a command, imported when it runs, so that `apothecary validate` starts at once."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import IO, Any

import click

from apothecary import __version__
from apothecary.errors import InvalidFile, StartError
from apothecary.suggestions import or_rather

# Command -> the module that holds it under its own name.
COMMANDS: Mapping[str, str] = {
    "backup": "apothecary.cli.backup",
    "check": "apothecary.cli.check",
    "content": "apothecary.cli.content",
    "explain": "apothecary.cli.explain",
    "export": "apothecary.cli.export",
    "load": "apothecary.cli.load",
    "migrate": "apothecary.cli.migrate",
    "restore": "apothecary.cli.restore",
    "rules": "apothecary.cli.rules",
    "schema": "apothecary.cli.schema",
    "serve": "apothecary.cli.serve",
    "settings": "apothecary.cli.settings",
    "validate": "apothecary.cli.validate",
}


class CannotRun(click.ClickException):
    """A StartError as the command line shows it."""

    exit_code = 2

    def __init__(self, error: StartError) -> None:
        super().__init__(str(error))
        self.error = error

    def show(self, file: IO[str] | None = None) -> None:
        """Lines that begin with a place stay bare, so that editors and CI systems find it."""
        if isinstance(self.error, InvalidFile):
            click.echo(self.message, file=file, err=True)
        else:
            super().show(file)


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        # Options in place of a command are click's to complain about.
        if args and args[0][:1].isalnum() and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"there is no command {args[0]!r}{or_rather(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StartError as error:
            raise CannotRun(error) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="apothecary")
def main() -> None:
    """Apothecary: a FHIR server and validator for medication knowledge."""
