"""An earlier edition that lies in files: what it held, so that of a new one only what changed need be written.

It is given as its publisher's files, or as the NDJSON or the folder that an import made of them.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from apothecary.content.sources import Source, sources
from apothecary.content.stream import documents_of
from apothecary.errors import StartError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.importers.catalogue import Catalogue
from apothecary.importers.editions import too_many, unread
from apothecary.importers.formats import Given
from apothecary.importers.inactive import inactive
from apothecary.importers.outputs import COMPRESSED, NDJSON, Output
from apothecary.importers.report import Place, Report
from apothecary.importers.run import Import
from apothecary.store.keyset import KeySet


class Previous:
    """An earlier edition of a catalogue."""

    def __init__(self, paths: Sequence[Path], catalogue: Catalogue, given: Given, known: KeySet) -> None:
        """Reads it. Raises StartError where it cannot be read whole: what is missing would pass for new."""
        self._paths, self._catalogue, self._known = paths, catalogue, known
        # Of an edition that was imported before, nothing is told again.
        self._given = replace(given, paths=paths, report=Report(lambda _: None))
        for resource in self._resources():
            if resource.get("meta", {}).get("source") == catalogue.uri:
                known.add(resource["resourceType"], resource["id"], _digest(resource))
        if self._given.report.files:
            raise StartError(f"{paths[0]}: the earlier edition cannot be read whole")

    def has(self, resource: JSON) -> bool:
        """Whether it holds just this resource."""
        return self._known.digest(resource["resourceType"], resource["id"]) == _digest(resource)

    def withdraw(self, run: Import, output: Output, asked: bool | None) -> str | None:
        """Write, as no longer active, what it holds and the new edition, which was read, does not. Returns why that was
        not done: see `apothecary.importers.editions`.
        """
        report = run.given.report
        if asked is False:
            return None
        if (reason := unread(run, asked)) is not None:
            return reason
        there = Counter(kind for kind, _ in self._known)
        going = Counter(key[0] for key in self._known if key not in run.keys)
        if not asked and (reason := too_many(there, going)) is not None:
            return reason
        for resource in self._resources():
            kind, identity = resource["resourceType"], resource["id"]
            if (kind, identity) in run.keys or resource.get("meta", {}).get("source") != run.catalogue.uri:
                continue
            changed, place = inactive(resource), Place(f"{kind}/{identity}")
            if changed is None:
                report.withdrawn(place, "is not in this edition; it has no status, and stays as it is")
            elif changed is not resource:
                output.write(changed, dumps(changed))
                report.withdrawn(place, "is not in this edition, and not active now")
        return None

    def _resources(self) -> Iterator[JSON]:
        if not _is_made(self._paths):
            with KeySet() as keys:
                run = Import(self._catalogue, self._given, keys)
                yield from (resource for resource, _, _ in run.members())
            return
        for source in sources(map(str, self._paths)):
            yield from _read(source)


def _read(source: Source) -> Iterator[JSON]:
    for document in documents_of(source, lambda *_: FhirVersion.R5):
        value = document.value
        if not (document.readable and isinstance(value, dict) and {"resourceType", "id"} <= value.keys()):
            raise StartError(f"{source.path}:{document.first_line}: is not what an import makes")
        yield value


def _is_made(paths: Sequence[Path]) -> bool:
    """Whether the paths are what an import makes, and not what it reads."""
    types = definitions(FhirVersion.R5).is_resource_type

    def made(path: Path) -> bool:
        if path.is_dir():
            return any(one.is_dir() and types(one.name) for one in path.iterdir())
        return path.name.endswith((NDJSON, COMPRESSED))

    return all(map(made, paths))


def _digest(resource: JSON) -> bytes:
    return hashlib.blake2b(dumps(resource), digest_size=16).digest()
