"""`apothecary migrate`: bring the tables of a database to the revision that this version uses."""

from __future__ import annotations

import sys

import click

from apothecary.settings import Settings


@click.command()
@click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://...")
@click.option("--check", is_flag=True, help="Only check whether there is something to do: then the status is 1.")
def migrate(database: str | None, check: bool) -> None:
    """Bring the database's tables up to date. Make a backup before.

    All migrations run in one transaction. A server makes the tables of an empty database by itself.
    """
    from apothecary.store import migrate as migrations
    from apothecary.store import schema

    settings = Settings.from_environment(database=database)
    if not check:
        before, after = migrations.migrate(settings)
        click.echo(
            f"at revision {after} already" if before == after else f"from {before or 'nothing'} to {after}", err=True
        )
        return
    found = migrations.stamp(settings)
    if schema.is_older(found):
        click.echo(f"at {f'revision {found}' if found else 'nothing'}; {schema.REVISION} is wanted", err=True)
        sys.exit(1)
    # Tables that no migration leads on from are an error, also here.
    schema.is_current(found)
    click.echo(f"at revision {schema.REVISION}", err=True)
