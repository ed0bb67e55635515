"""`apothecary check`: whether a database agrees with itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import click

from apothecary.settings import Settings

PATIENCE = 7 * 24 * 3600.0


@click.command()
@click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://...")
def check(database: str | None) -> None:
    """Check every resource in the database against its versions and its search index.

    One line a defect. Servers may go on writing meanwhile. The status is 0 for a sound database, 1 when there is a
    defect, 2 when it could not be checked.
    """
    from apothecary.content.definitions import serving
    from apothecary.content.index_rules import DUE
    from apothecary.content.sync import index_is_due
    from apothecary.fhir.json import parse
    from apothecary.fhir.releases import FhirVersion
    from apothecary.search.rows import Indexed
    from apothecary.store.check import disagreements, how_many
    from apothecary.store.contract import Stored
    from apothecary.store.open import opened

    # One statement may take as long as the command runs; the bound is for the case that nobody watches it.
    settings = replace(Settings.from_environment(database=database), request_seconds=PATIENCE)
    defects = 0
    with opened(settings, make=False) as store:
        known = serving(settings, store)
        registry, due = known.registries[FhirVersion.R5], index_is_due(settings, store)
        # What definitions that were stored want, or what an index of earlier rules still has to become.
        unfinished = bool(known.incomplete) or store.state(DUE) is not None
        total = how_many(store)
        unserved = sorted(set(store.types()) - set(registry.types))

        def rows_of(stored: Stored) -> list[Indexed] | None:
            # What is incomplete is known to be so, and being made.
            if due or unfinished or not registry.serves(stored.type):
                return None
            return registry.rows(parse(stored.body or b""), FhirVersion(stored.fhir_version))

        with _progress(total) as advance:
            for sentence in _with_index(due, disagreements(store, rows_of, advance)):
                click.echo(sentence)
                defects += 1
    if unfinished and not due:
        said = "the search index is not finished: a server is at it, or goes on when it starts; so it was not checked"
        click.echo(said, err=True)
    if unserved and not due:
        click.echo(f"not served, so their index was not checked: {', '.join(unserved)}", err=True)
    click.echo(f"{total} resources, {defects or 'no'} defect{'' if defects == 1 else 's'}", err=True)
    sys.exit(1 if defects else 0)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """What is called after each resource; a terminal shows how far it is."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    with click.progressbar(length=total, label="checking", file=sys.stderr) as bar:
        yield lambda: bar.update(1)


def _with_index(due: bool, found: Iterator[str]) -> Iterator[str]:
    """An index that is of other rules than today's is one defect, not one for each of its rows."""
    if due:
        yield (
            "the search index was made by other code systems, types, another public address or another way of "
            "extraction than these: apothecary serve makes it anew when it starts"
        )
    yield from found
