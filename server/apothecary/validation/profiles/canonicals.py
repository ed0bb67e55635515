"""Resources by canonical url and version (https://hl7.org/fhir/R5/references.html#canonical)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apothecary.fhir.references import split_canonical
from apothecary.terminology.versions import matches, order

Resource = Mapping[str, Any]


class Canonicals:
    """Resources of one type by url, each in one or more versions."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[str | None, Resource]]] = {}

    def add(self, resource: Resource) -> None:
        """Take a resource with a url; of two with the same version the first stays."""
        url, version = resource.get("url"), resource.get("version")
        if not isinstance(url, str):
            return
        known = self._found.setdefault(url, [])
        named = version if isinstance(version, str) else None
        if all(each != named for each, _ in known):
            known.append((named, resource))

    def find(self, canonical: str) -> Resource | None:
        """The resource of that url, and of that version where one is named; the newest where several fit."""
        url, asked = split_canonical(canonical)
        fitting = [item for item in self._found.get(url, ()) if matches(asked, item[0])]
        if len(fitting) < 2:
            return fitting[0][1] if fitting else None
        return max(fitting, key=lambda item: order(item[0]))[1]

    def all(self, url: str) -> list[tuple[str | None, Resource]]:
        """Every version of that url, in the order given."""
        return self._found.get(url, [])

    def versions(self, url: str) -> list[str]:
        """The versions of that url that are at hand."""
        return [version for version, _ in self._found.get(split_canonical(url)[0], ()) if version is not None]

    def __iter__(self) -> Iterator[Resource]:
        for found in self._found.values():
            yield from (resource for _, resource in found)
