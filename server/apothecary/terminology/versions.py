"""Which version of a code system or value set is meant: https://hl7.org/fhir/R5/references.html#canonical

A version may hold wildcards, as HL7's terminology servers take them: `1.x`, `1.0.X`, `*`; and it may have fewer parts,
as a date may: `1.0` is any 1.0.x. Of SNOMED CT the edition alone is any version of it
(https://hl7.org/fhir/R5/snomedct.html#version). Without a version the newest that is held is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from apothecary.fhir.references import split_canonical

_WILD = frozenset({"x", "X", "*"})


def matches(wanted: str | None, version: str | None) -> bool:
    """Whether a version is the one that is wanted; a wildcard stands for one part, at the end for all that follow."""
    if wanted is None or wanted == version:
        return True
    if version is None:
        return False
    if not _wild(wanted):
        return version.startswith((f"{wanted}.", f"{wanted}/version/"))
    return _fits(wanted.split("."), version.split("."))


def _wild(wanted: str) -> bool:
    return not _WILD.isdisjoint(wanted.split("."))


def _fits(wanted: list[str], parts: list[str]) -> bool:
    if len(parts) < len(wanted) or (len(parts) > len(wanted) and wanted[-1] not in _WILD):
        return False
    return all(want in _WILD or want == part for want, part in zip(wanted, parts, strict=False))


@lru_cache(maxsize=4096)
def order(version: str | None) -> tuple[tuple[bool, int, str], ...]:
    """A key that sorts versions: numbers as numbers, whatever else as text; a draft (`1.0.0-ballot`) before what
    it is a draft of.
    """
    parts = re.findall(r"[0-9]{1,18}|[^0-9.]+", version or "")
    keys = ((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)
    return (*keys, (True, -1, ""))


def by_url(canonicals: Iterable[str]) -> dict[str, str]:
    """`url|version` texts as a table; those without a version say nothing."""
    split = map(split_canonical, canonicals)
    return {url: version for url, version in split if version is not None}
