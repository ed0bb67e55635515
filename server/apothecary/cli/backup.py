"""`apothecary backup`: copy the whole database into one file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from apothecary.settings import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://...")
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
def backup(file: Path, database: str | None, force: bool) -> None:
    """Copy the database into FILE, all versions and the index with it, while servers go on writing.

    What was acknowledged before it began is in the copy. FILE appears when it is whole and was read through. SQLite
    is copied into a SQLite database; PostgreSQL by pg_dump, in its custom format.
    """
    from apothecary.store.backup import backup as copy

    settings = Settings.from_environment(database=database)
    with progress("copying") as advance:
        done = copy(settings, file, force=force, progress=advance)
    size = file.stat().st_size
    click.echo(f"{file}: {done.resources} resources, revision {done.revision}, {size} bytes", err=True)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """What is told how much is done and how much there is; a terminal shows it."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as bar:

        def advance(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield advance
