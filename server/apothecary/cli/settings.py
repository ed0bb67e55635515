"""`apothecary settings`: every setting, its variable and its default."""

from __future__ import annotations

import json

import click


@click.command()
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of the output.",
)
def settings(format_name: str) -> None:
    """List the variables that set how a server runs, with their defaults.

    Values are not shown: some of them are secrets.
    """
    from apothecary.setting_values import as_text
    from apothecary.settings import variables

    known = {variable: (as_text(one.default), one.metadata["doc"]) for variable, one in variables().items()}
    if format_name == "json":
        listed = [{"variable": name, "default": default, "meaning": doc} for name, (default, doc) in known.items()]
        click.echo(json.dumps(listed, indent=2))
        return
    for name, (default, doc) in known.items():
        click.echo(f"{name}={default}\n    {doc}")
