"""One conversion under way: https://hl7.org/fhir/R5/versions.html."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apothecary.errors import Issue
from apothecary.fhir.json import JSON
from apothecary.versions.nested import convert_nested

if TYPE_CHECKING:
    from apothecary.versions.engine import Engine


@dataclass(slots=True)
class Run:
    """One conversion under way: what has been approximated so far."""

    engine: Engine
    issues: list[Issue] = field(default_factory=list)

    def note(self, path: str, says: str) -> None:
        """Record an approximation of the element at `path`."""
        issue = Issue("information", "incomplete", f"{path}: {says}; the original is in its extension", (path,))
        if issue not in self.issues:
            self.issues.append(issue)

    def nested(self, resource: JSON) -> JSON:
        """A resource inside another: contained, in a Bundle or in Parameters."""
        return convert_nested(self, resource)
