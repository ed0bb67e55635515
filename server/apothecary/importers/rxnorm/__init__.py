"""RxNorm's Rich Release Format: RXNCONSO, RXNREL and RXNSAT, or the zip file of a release.

https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html; what becomes of which row stands in `docs/import.md`.
"""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.importers.formats import Given, Made
from apothecary.importers.rxnorm.concepts import read
from apothecary.importers.rxnorm.drugs import Drugs
from apothecary.importers.rxnorm.terminology import code_system, concept_maps


def resources(given: Given) -> Iterator[Made]:
    """The code system, the maps from NDCs, then each ingredient and drug. Raises StartError where a file is missing."""
    concepts, release = read(given)
    yield code_system(concepts, release)
    yield from concept_maps(concepts, release)
    yield from Drugs(concepts, release, given.report).resources()


__all__ = ["resources"]
