"""The resources that references may point to in the files of one run: which exist, and what they hold
(https://hl7.org/fhir/R5/references.html).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from apothecary.content.sources import Source
from apothecary.content.stream import documents_of
from apothecary.fhir.releases import FhirVersion
from apothecary.reports.report import resource_name

# A larger file is not read again for each resource that is looked for in it.
_LARGEST = 8_000_000
_MOST_FILES = 16

ReadIn = Callable[[bytes, FhirVersion | None], FhirVersion]


def known_references(listed: Iterable[Source], version_of: ReadIn) -> Mapping[str, Source]:
    """`Type/id` of every resource in the sources, those inside bundles included, with the first source of each."""
    found: dict[str, Source] = {}
    for source in listed:
        for document in documents_of(source, version_of):
            for name, _ in _named(document.value):
                found.setdefault(name, source)
    return found


class Held:
    """The resource that `Type/id` names, read when it is asked for; the files that were read last are kept."""

    def __init__(self, known: Mapping[str, Source], version_of: ReadIn) -> None:
        self._known = known
        self._version_of = version_of
        self._read: OrderedDict[str, Mapping[str, Any]] = OrderedDict()

    def __call__(self, reference: str) -> Any:
        """The resource; None when it is none of the run, or stands in a file that is too large to look into."""
        name, _, version = reference.partition("/_history/")
        source = self._known.get(name)
        if source is None:
            return None
        found = self._resources(source).get(name)
        if version and isinstance(found, dict) and _version(found) not in (None, version):
            return None
        return found

    def _resources(self, source: Source) -> Mapping[str, Any]:
        found = self._read.pop(source.path, None)
        if found is None:
            found = self._names(source)
        self._read[source.path] = found
        while len(self._read) > _MOST_FILES:
            self._read.popitem(last=False)
        return found

    def _names(self, source: Source) -> Mapping[str, Any]:
        if not os.path.isfile(source.path) or os.path.getsize(source.path) > _LARGEST:
            return {}
        found: dict[str, Any] = {}
        for document in documents_of(source, self._version_of):
            for name, resource in _named(document.value):
                found.setdefault(name, resource)
        return found


def _version(resource: Mapping[str, Any]) -> Any:
    meta = resource.get("meta")
    return meta.get("versionId") if isinstance(meta, dict) else None


def _named(value: Any) -> Iterator[tuple[str, Any]]:
    name = resource_name(value)
    if "/" in name:
        yield name, value
    if name.startswith("Bundle") and isinstance(value.get("entry"), list):
        for entry in value["entry"]:
            if isinstance(entry, dict):
                yield from _named(entry.get("resource"))
