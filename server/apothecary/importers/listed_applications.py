"""The applications (NDA, ANDA, BLA) under which packages that FDA lists are marketed, as RegulatedAuthorization:
https://hl7.org/fhir/R5/regulatedauthorization.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from apothecary.importers.fda import APPLICATIONS, FDA
from apothecary.importers.formats import Made
from apothecary.importers.ids import Ids
from apothecary.importers.report import Place

# What is marketed under a monograph, or without an approval, has no authorization of its own.
_NO_AUTHORIZATION = ("OTC MONOGRAPH", "UNAPPROVED")
# The subjects of one resource: the largest application known has 9,752 packages.
_MOST_SUBJECTS = 10_000


@dataclass(slots=True)
class _Application:
    place: Place
    packages: list[str] = field(default_factory=list)


class Applications:
    """Those of a directory: what is kept of each are the ids of its packages."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], _Application] = {}

    def add(self, number: str, category: str, packages: Iterable[str], place: Place) -> None:
        """Packages of an application; `place` is where it comes first."""
        if number and not category.upper().startswith(_NO_AUTHORIZATION):
            self._found.setdefault((number, category), _Application(place)).packages.extend(packages)

    def resources(self, prefix: str) -> Iterator[Made]:
        """The RegulatedAuthorization of each, in parts where it has very many packages. Ids begin with `prefix`."""
        ids = Ids()
        for (number, category), application in self._found.items():
            for first in range(0, max(len(application.packages), 1), _MOST_SUBJECTS):
                found: dict[str, object] = {
                    "resourceType": "RegulatedAuthorization",
                    "id": ids.next(prefix, number, category),
                    "identifier": [{"system": APPLICATIONS, "value": number}],
                }
                if subjects := application.packages[first : first + _MOST_SUBJECTS]:
                    found["subject"] = [{"reference": f"PackagedProductDefinition/{one}"} for one in subjects]
                if category:
                    found["type"] = {"text": category}
                found["regulator"] = {"display": FDA}
                yield Made(found, application.place)
