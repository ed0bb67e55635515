"""`apothecary load`: put files, folders, bundles and NDJSON into the database."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from apothecary.content.documents import Document
from apothecary.content.items import Failure
from apothecary.content.load import Loader
from apothecary.content.load import load as load_documents
from apothecary.content.sources import Source, sources
from apothecary.content.stream import Text, size, texts_of
from apothecary.content.version_hints import hinted_in_text
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings

# Where nobody watches, a line is written after so many documents.
EVERY = 20_000


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--database", help="SQLAlchemy URL: sqlite:///file.db or postgresql+psycopg://...")
@click.option("--fhir-version", metavar="R4|R4B|R5", help="The version of resources that do not claim one.")
@click.option("--validate/--no-validate", "validation", default=True, help="Whether invalid resources are refused.")
def load(paths: tuple[str, ...], database: str | None, fhir_version: str | None, validation: bool) -> None:
    """Load FHIR resources from files, folders and globs, or from standard input (-).

    JSON, NDJSON, YAML and XML are read, compressed with gzip too (.gz), and FHIR packages and other archives of such
    files (.tgz, .tar.gz, .zip). Of a batch, collection, searchset or
    transaction Bundle the resources are loaded. What the database holds already is left as it is, so a load that was
    interrupted is run again. The status is 0 when all was loaded, 1 when something was not, 2 when it could not run.
    """
    from apothecary.store.open import opened

    settings = Settings.from_environment(database=database, fhir_version=fhir_version)
    listed = sources(paths)
    with opened(settings) as store, _progress(listed, settings.fhir_version) as progress:
        loader = Loader(store, settings, _say, version=settings.fhir_version, validation=validation)
        done = load_documents(loader, progress)
        known = loader.definitions
    for reason in known.refused.values():
        click.echo(f"warning: not served: {reason}", err=True)
    if known.incomplete and (done.created or done.updated):
        click.echo(
            "a server indexes what was stored before for the new search parameters, now or when it starts", err=True
        )
    click.echo(str(done), err=True)
    sys.exit(1 if done.failed else 0)


def _say(failure: Failure) -> None:
    click.echo(str(failure), err=True)


@contextmanager
def _progress(listed: list[Source], version: FhirVersion) -> Iterator[Iterator[Text | Document]]:
    """The texts of the sources; while they are taken, a terminal shows how much of them has been read, and a log gets a
    line now and then.
    """
    sizes = [0 if source.is_standard_input else os.path.getsize(source.path) for source in listed]
    if not sys.stderr.isatty():
        yield _texts(listed, sizes, version, _Lines(sum(sizes)).advance)
        return
    with click.progressbar(length=sum(sizes), label="loading", file=sys.stderr) as bar:
        yield _texts(listed, sizes, version, bar.update)


class _Lines:
    """What a load says of itself where nobody watches: a line after so many documents."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._begun = time.monotonic()
        self._bytes = self._documents = 0

    def advance(self, count: int) -> None:
        """A document of `count` bytes was taken."""
        self._bytes += count
        self._documents += 1
        if self._documents % EVERY == 0:
            seconds = max(time.monotonic() - self._begun, 0.001)
            said = f"loading: {self._documents} documents, {self._documents / seconds:.0f} a second"
            if self._length and self._bytes:
                left = seconds * (self._length - self._bytes) / self._bytes
                said += f", {self._bytes * 100 // self._length} %, {left / 60:.0f} minutes left"
            click.echo(said, err=True)


def _texts(
    listed: list[Source], sizes: list[int], version: FhirVersion, advance: Callable[[int], None]
) -> Iterator[Text | Document]:
    """All texts, one after the other; `advance` is told the bytes of each, and in the end exactly the file's."""
    for source, length in zip(listed, sizes, strict=True):
        told = 0
        for text in texts_of(source, lambda text, release: hinted_in_text(text) or release or version):
            yield text
            # Of a compressed file the text is larger than the file.
            step = min(size(text), length - told)
            told += step
            advance(step)
        if told < length:
            advance(length - told)
