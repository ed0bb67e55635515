"""The command `apothecary`: one module a subcommand, imported when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from server import __version__

COMMANDS = {"serve": "Serve a content folder over FHIR REST."}


class LazyGroup(click.Group):
    """Imports a subcommand's module when it runs: `validate` must not wait for the web server's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"server.cli.{cmd_name}"), cmd_name)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="apothecary")
def main() -> None:
    """Medication knowledge as FHIR: serve it, validate it, load it."""
