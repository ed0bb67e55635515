"""An import, wherever it goes: each resource once, as a member of its catalogue, with what can be said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.references import is_id
from apothecary.fhir.releases import FhirVersion
from apothecary.importers.catalogue import Catalogue
from apothecary.importers.formats import Given
from apothecary.importers.outputs import Output
from apothecary.importers.report import Place
from apothecary.store.keyset import KeySet
from apothecary.validation import ERRORS, validate


@dataclass(slots=True)
class Import:
    """One import. `keys` are those of all resources that it made so far; `since` is a day: what the source dates before
    it is left out; `made` is told after each resource.
    """

    catalogue: Catalogue
    given: Given
    keys: KeySet
    since: str = ""
    made: Callable[[], None] = lambda: None
    types: Counter[str] = field(default_factory=Counter)
    """How many resources of each type were made."""
    written: int = 0
    """How many were written into files."""
    older: int = 0
    """How many were left out because of their date."""
    own: int = 0
    """How many resources were left out because of what they are, and not because their file could not be read."""

    def members(self) -> Iterator[tuple[JSON, bytes, Place]]:
        """The resources, their texts as JSON, and where they come from. What has the key of one before is left out."""
        for resource, place, dated in self.catalogue.format.resources(self.given):
            kind, identity = str(resource.get("resourceType")), str(resource.get("id"))
            if not is_id(identity):
                # Also where nothing is checked: files are named by it.
                self.leave(place, f"{kind}/{identity}: what should be an id is none")
                continue
            if not self.keys.add(kind, identity):
                self.leave(place, f"{kind}/{identity} stands in the files twice; the first one counts")
                continue
            self.types[kind] += 1
            self.made()
            if self.since and dated and dated < self.since:
                self.older += 1
                continue
            member = self.catalogue.member(resource)
            try:
                text = dumps(member)
            except ValueError as error:
                self.leave(place, f"{kind}/{identity}: {error}")
                continue
            yield member, text, place

    def valid(self) -> Iterator[tuple[JSON, bytes]]:
        """Those of them that are valid R5."""
        for resource, text, place in self.members():
            faults = validate(resource, FhirVersion.R5, options=ERRORS)
            if faults:
                more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
                key = f"{resource.get('resourceType')}/{resource.get('id')}"
                self.leave(place, f"{key}: {faults[0].diagnostics}{more}")
            else:
                yield resource, text

    def write(self, output: Output, known: Callable[[JSON], bool], *, validation: bool) -> None:
        """Write those into files that are not `known` as they are."""
        made = self.valid() if validation else ((resource, text) for resource, text, _ in self.members())
        for resource, text in made:
            if not known(resource):
                output.write(resource, text)
                self.written += 1

    def leave(self, place: Place, reason: str) -> None:
        """A resource that was made and is left out."""
        self.own += 1
        self.given.report.skipped(place, reason)

    @property
    def unread(self) -> int:
        """How many rows or files could not be read."""
        return self.given.report.counts["skipped"] - self.own
