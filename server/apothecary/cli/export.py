"""`apothecary export`: write what the database holds as NDJSON, or as the files of a content folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import click

from apothecary.errors import StartError
from apothecary.settings import Settings


@click.command()
@click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://...")
@click.option("--output", default="-", show_default=True, metavar="DIR|-", help="A folder, or - for standard output.")
@click.option("--type", "types", multiple=True, metavar="TYPE", help="Only resources of this type. May be repeated.")
@click.option("--files", is_flag=True, help="One file a resource, <Type>/<id>.json, as a content folder has them.")
def export(database: str | None, output: str, types: tuple[str, ...], files: bool) -> None:
    """Export the current version of every resource, as NDJSON: one file a type, or all of it on standard output.

    With --files the result is a content folder: indented, and without the version and date that servers assign. Each
    resource is as it was when it was read; writes that go on meanwhile are in the export or are not.
    """
    from apothecary.content.export import content_folder, ndjson
    from apothecary.store.open import opened

    if files and output == "-":
        raise StartError("--files needs --output DIR")
    try:
        with opened(Settings.from_environment(database=database), make=False) as store:
            held = store.types()
            unknown = sorted(set(types) - set(held))
            if unknown:
                click.echo(f"the database holds no {', '.join(unknown)}", err=True)
            wanted = sorted(set(held) & set(types) if types else held)
            count = 0
            for kind in wanted:
                resources = store.all_of_type(kind)
                if output == "-":
                    count += ndjson(resources, sys.stdout.buffer)
                elif files:
                    count += content_folder(resources, Path(output, kind))
                else:
                    with _file(Path(output, f"{kind}.ndjson")) as stream:
                        count += ndjson(resources, stream)
    except OSError as error:
        raise StartError(f"{output}: cannot be written: {error.strerror}") from error
    click.echo(f"{count} resources of {len(wanted)} types", err=True)


def _file(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")
