"""Resources by canonical url and version (https://hl7.org/fhir/R5/references.html#canonical)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Resource = Mapping[str, Any]


def split(canonical: str) -> tuple[str, str | None]:
    """The url and the version of a canonical; a fragment is left out."""
    url, _, version = canonical.partition("#")[0].partition("|")
    return url, version or None


def is_version(version: str | None, asked: str | None) -> bool:
    """Whether a resource of `version` is what was asked for. None asks for any; fewer parts, as `4.0`, ask for all that
    begin with them, as a date of fewer parts is every day in it.
    """
    return asked is None or version == asked or (version is not None and version.startswith(f"{asked}."))


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
        url, asked = split(canonical)
        fitting = [item for item in self._found.get(url, ()) if is_version(item[0], asked)]
        if len(fitting) < 2:
            return fitting[0][1] if fitting else None
        return max(fitting, key=lambda item: _order(item[0]))[1]

    def versions(self, url: str) -> list[str]:
        """The versions of that url that are at hand."""
        return [version for version, _ in self._found.get(split(url)[0], ()) if version is not None]

    def __iter__(self) -> Iterator[Resource]:
        for found in self._found.values():
            yield from (resource for _, resource in found)


def _order(version: str | None) -> tuple[tuple[int, int, str], ...]:
    """Versions in order: numbers by their size, a release after its drafts (`1.0.0-ballot` before `1.0.0`)."""
    parts: Iterable[str] = re.findall(r"\d+|[A-Za-z]+", version or "")
    numbered = ((1, int(part[:18]), "") if part.isdigit() else (-1, 0, part) for part in parts)
    return (*numbered, (0, 0, ""))
