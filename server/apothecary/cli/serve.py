"""`apothecary serve`: bring the content into the store, then answer requests."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import click

from apothecary.settings import Settings


@click.command()
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--workers", type=int, help="Number of server processes.")
@click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://...")
@click.option("--read-database", help="URL of a streaming standby of a PostgreSQL database, for reads and searches.")
@click.option("--content", help="Folder of FHIR files to serve; empty for none.")
def serve(**options: Any) -> None:
    """Serve a content folder over FHIR REST.

    Every option and every other setting can be given as a variable APOTHECARY_<NAME>; docs/settings.md lists them.
    """
    from apothecary.content.sync import sync
    from apothecary.store.open import open_replica, open_store

    settings = Settings.from_environment(**options)
    store = open_store(settings)
    try:
        report = sync(settings, store)
        if (replica := open_replica(settings, store)) is not None:
            # Opened to be checked: each process opens its own.
            replica.close()
    finally:
        # No connection may cross a fork.
        store.close()
    click.echo(f"content: {report}", err=True)
    for sentence in report.dangling:
        click.echo(f"warning: {sentence}", err=True)
    if not settings.writable:
        opening = "" if settings.read_only else " (open writes with APOTHECARY_OPEN_WRITES=true)"
        click.echo(f"read-only: {settings.why_read_only}{opening}", err=True)
    click.echo(f"serving http://{settings.host}:{settings.port}/fhir", err=True)
    _run(settings)


def _run(settings: Settings) -> None:
    """Answer requests until the process is asked to stop. Workers read the settings from the environment."""
    from granian.constants import Interfaces
    from granian.log import LogLevels
    from granian.server import Server

    import apothecary.app  # noqa: F401 (loaded before the workers fork, so that each does not load it again)

    with ExitStack() as stack:
        if settings.workers > 1 and not settings.metrics_folder:
            folder = stack.enter_context(TemporaryDirectory(prefix="apothecary-metrics-", ignore_cleanup_errors=True))
            settings = replace(settings, metrics_folder=folder)
        settings.to_environment()
        Server(
            "apothecary.app:create_app",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.WSGI,
            workers=settings.workers,
            blocking_threads=settings.threads,
            websockets=False,
            log_level=LogLevels(settings.log_level if settings.log_level != "info" else "warning"),
            factory=True,
            process_name=None,
        ).serve()
