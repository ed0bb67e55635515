"""The command line: one module a command, imported when it runs, so that `apothecary validate` starts at once."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from keyword import iskeyword
from typing import IO, Any

import click

from apothecary import __version__
from apothecary.errors import BrokenContent, InvalidFile, StartError
from apothecary.suggestions import or_rather

# Each command is the object of its name in the module `apothecary.cli.<command>`, with _ for -, and _ behind a word of
# Python's own. What it does is said here, too, so that the list of all commands loads none of them.
COMMANDS: Mapping[str, str] = {
    "audit": "Check that the record of requests is whole.",
    "backup": "Copy the database into a file while servers go on.",
    "build": "Write the resources of drugs from their sheets.",
    "check": "Check the database against its versions and its index.",
    "clients": "Make and check the clients of a server with authorization.",
    "content": "Compare the content folder with the database.",
    "diff": "Tell what changed in meaning between two revisions.",
    "explain": "Explain a validation rule by its id.",
    "export": "Write every resource as NDJSON.",
    "import": "Import a catalogue of drugs as it is published.",
    "import-sheet": "Write the sheet of a drug from its resources.",
    "load": "Load FHIR resources from files, folders or standard input.",
    "migrate": "Bring the database's tables up to date.",
    "new": "Write a sheet for a drug, to be filled in.",
    "publish": "Write the catalogue as static files for any web host.",
    "restore": "Make the database what a backup holds.",
    "rules": "List the validation rules.",
    "schema": "Print the JSON Schema of a resource type.",
    "serve": "Serve a content folder over FHIR REST.",
    "settings": "List the variables that set how a server runs.",
    "validate": "Check FHIR resources in files and folders.",
}


class CannotRun(click.ClickException):
    """A StartError as the command line shows it."""

    exit_code = 2

    def __init__(self, error: StartError) -> None:
        super().__init__(str(error))
        self.error = error

    def show(self, file: IO[str] | None = None) -> None:
        """Lines that begin with a place stay bare, so that editors and CI systems find it."""
        if isinstance(self.error, (InvalidFile, BrokenContent)):
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
        if cmd_name not in COMMANDS:
            return None
        name = cmd_name.replace("-", "_") + "_" * iskeyword(cmd_name)
        command = getattr(import_module(f"apothecary.cli.{name}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"apothecary.cli.{name}.{name} is not a command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

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
