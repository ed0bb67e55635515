"""`apothecary migrate`: bring the tables of a database to the revision that this version uses."""

from __future__ import annotations

import sys

import click

from apothecary.settings import Settings


@click.command()
@click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://...")
@click.option("--check", is_flag=True, help="Only check whether there is something to do: then the status is 1.")
@click.option("--reindex", is_flag=True, help="Let the next start make the search index anew, by its own rules.")
def migrate(database: str | None, check: bool, reindex: bool) -> None:
    """Bring the database's tables up to date, while servers use them. Make a backup before.

    Each migration is done or not at all. A server makes the tables of an empty database by itself.
    """
    from apothecary.store import migrate as migrations
    from apothecary.store import schema

    settings = Settings.from_environment(database=database)
    if reindex:
        if check:
            raise click.UsageError("--check only checks: not together with --reindex")
        from apothecary.content import index_rules
        from apothecary.store.open import opened

        with opened(settings, make=False) as store:
            store.write(index_rules.forget)
        click.echo("the next server that starts makes the search index anew", err=True)
        return
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
    schema.is_current(found, usable_from=lambda: migrations.usable_from(settings))
    click.echo(f"at revision {found}", err=True)
