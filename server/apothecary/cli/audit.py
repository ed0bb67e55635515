"""`apothecary audit`: what the record of requests is worth."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from apothecary.settings import Settings


@click.group()
def audit() -> None:
    """Look at the record of who did what."""


@audit.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--noted", metavar="HASH", default="", help="A hash that this command told before: it must be in it.")
def verify(path: Path | None, noted: str) -> None:
    """Check that the record in the folder PATH is whole; without PATH, in that of the settings.

    Names the first line that does not follow from the one before it, the first file that is missing, or where the end
    was cut off. The status is 0 for a record that is whole, 1 for one that is not, 2 when it cannot be read.
    """
    from apothecary.access.records import NONE
    from apothecary.access.trail_check import verify as look

    folder = path or Path(Settings.from_environment().audit_folder)
    found = look(folder, noted.strip().lower() or NONE)
    fault = found.fault or (None if found.noted else f"{folder}: no line has the hash {noted}")
    if fault is not None:
        click.echo(fault)
    said = "not whole" if fault else "whole"
    click.echo(f"{found.lines} lines in {found.files} files, {said}; the last has the hash {found.digest}", err=True)
    sys.exit(1 if fault else 0)
