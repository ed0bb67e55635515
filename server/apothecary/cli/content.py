"""`apothecary content`: what the served database holds, and what the reviewed files say."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import click

from apothecary.settings import Settings


@click.group()
def content() -> None:
    """Compare the content folder with the database, and bring changes back into it."""


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that both commands have."""
    command = click.option("--content", "folder", metavar="FOLDER", help="The content folder.")(command)
    return click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://...")(command)


@content.command()
@_options
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="Format of the output.")
def status(folder: str | None, database: str | None, form: str) -> None:
    """Name the resources in which the database and the files differ.

    The status is 0 when nothing differs, 1 when something does, 2 when it could not be told.
    """
    from apothecary.content.drift import drift, folder_of
    from apothecary.fhir.definitions import definitions
    from apothecary.fhir.releases import FhirVersion
    from apothecary.store.open import opened

    settings = Settings.from_environment(content=folder, database=database)
    path = folder_of(settings)
    types = settings.served_types(definitions(FhirVersion.R5).resource_types())
    kinds: Counter[str] = Counter()
    found = []
    with opened(settings, make=False) as store:
        for one in drift(store, path, types):
            kinds[one.kind] += 1
            if form == "text":
                click.echo(str(one))
            else:
                found.append(one.as_json())
    if form == "json":
        import json

        click.echo(json.dumps({"drift": found}, indent=2))
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    click.echo(told or "no differences", err=True)
    sys.exit(1 if kinds else 0)


@content.command()
@click.argument("resources", nargs=-1, metavar="[TYPE/ID]...")
@_options
@click.option("--theirs", is_flag=True, help="Where both changed, take the server's version.")
@click.option("--ours", is_flag=True, help="Where both changed, keep the file.")
@click.option("--dry-run", is_flag=True, help="Only show what would be written and removed.")
def pull(
    resources: tuple[str, ...], folder: str | None, database: str | None, theirs: bool, ours: bool, dry_run: bool
) -> None:
    """Write what was changed over REST back as files, all of it or the resources named.

    A file keeps its format. The file of a resource that was deleted is removed. A resource that was changed in both is
    refused, and then nothing is written, unless --theirs or --ours says which to take. The status is 0 when all was
    done, 1 when something was refused, 2 when it could not run.
    """
    from apothecary.content.drift import folder_of
    from apothecary.content.pull import Side
    from apothecary.content.pull import pull as pull_into
    from apothecary.errors import StartError
    from apothecary.fhir.definitions import definitions
    from apothecary.fhir.releases import FhirVersion
    from apothecary.store.open import opened

    if theirs and ours:
        raise StartError("--theirs and --ours are two answers to one question: name one")
    for one in resources:
        if one.count("/") != 1 or not all(one.split("/")):
            raise StartError(f"{one!r}: name a resource as TYPE/ID")
    side: Side | None = "theirs" if theirs else "ours" if ours else None
    settings = Settings.from_environment(content=folder, database=database)
    path = folder_of(settings)
    types = settings.served_types(definitions(FhirVersion.R5).resource_types())
    with opened(settings, make=False) as store:
        done = pull_into(store, path, types, resources, side, click.echo, _complain, dry_run=dry_run)
    click.echo(str(done), err=True)
    sys.exit(1 if done.refused else 0)


def _complain(sentence: str) -> None:
    click.echo(sentence, err=True)
