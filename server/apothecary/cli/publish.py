"""`apothecary publish`: write what the database holds as static files, for a web host or an object store."""

from __future__ import annotations

from pathlib import Path

import click

from apothecary.errors import StartError
from apothecary.settings import PREFIX, Settings


@click.command()
@click.argument("folder", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@click.option("--base-url", metavar="URL", help="The public address that the files will have.")
@click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://...")
@click.option("--fhir-version", metavar="R4|R4B|R5", help="The release of the files.")
@click.option("--pages", is_flag=True, help="Write a page for people of each resource, too.")
def publish(folder: Path, base_url: str | None, database: str | None, fhir_version: str | None, *, pages: bool) -> None:
    """Write the manifest and the files of $bulk-publish, each resource, pages of each type, and a CapabilityStatement.

    What did not change is left alone, so a second run costs a web host or an object store only what changed. Files that
    the manifest before named are removed by the run after the next change.
    """
    from apothecary.app import make_service
    from apothecary.bulk.site import Site
    from apothecary.store.bulk import Bulk
    from apothecary.store.open import opened

    settings = Settings.from_environment(database=database, fhir_version=fhir_version, base_url=base_url)
    if not settings.base_url:
        raise StartError(f"links need the public address of the files: name it with --base-url or in {PREFIX}BASE_URL")
    try:
        with opened(settings, make=False) as store:
            service = make_service(settings, store)
            site = Site(service, Bulk(store), settings.fhir_version, folder, settings.base_url)
            done = site.write()
            if pages:
                from apothecary.pages.publishing import write_pages

                write_pages(service, settings.fhir_version, settings.base_url, site.tree)
    except OSError as error:
        raise StartError(f"{folder}: cannot be written: {error.strerror}") from error
    for note in done.notes:
        click.echo(f"{note.severity}: {note.text}", err=True)
    tree = site.tree
    click.echo(
        f"{done.resources} resources: {tree.written} files written, {tree.unchanged} unchanged, {tree.removed} removed",
        err=True,
    )
