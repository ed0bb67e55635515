"""`apothecary restore`: make the database what a backup holds."""

from __future__ import annotations

from pathlib import Path

import click

from apothecary.settings import Settings


@click.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
@click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://...")
@click.option("--force", is_flag=True, help="Replace a database that holds resources.")
def restore(file: Path, database: str | None, force: bool) -> None:
    """Make the database what FILE holds, all of it or nothing. Stop the servers before.

    FILE is read through first. A database that is in use, or of another kind, is left as it is.
    """
    from apothecary.cli.backup import progress
    from apothecary.store.backup import restore as put_back
    from apothecary.store.schema import is_older

    settings = Settings.from_environment(database=database)
    with progress("restoring") as advance:
        done = put_back(settings, file, force=force, progress=advance)
    click.echo(f"restored {done.resources} resources, revision {done.revision}", err=True)
    if is_older(done.revision):
        click.echo("an older version made it: run `apothecary migrate` before you start a server", err=True)
