"""How far a code system or value set may be relied on, as it says itself.

https://hl7.org/fhir/R5/valueset-publication-status.html and
https://hl7.org/fhir/extensions/StructureDefinition-structuredefinition-standards-status.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from apothecary.terminology.model import STANDARDS_STATUS, objects


class Publication(NamedTuple):
    """What a resource says of itself."""

    status: str = ""
    standards_status: str = ""
    experimental: bool = False

    def warning(self, source: Publication | None) -> str | None:
        """The word that users of it should hear, None where there is none. What is itself experimental or a draft
        (`source`) may rest on what is so; without a source nothing rests on it.
        """
        if self.standards_status in ("deprecated", "withdrawn"):
            return self.standards_status
        if self.status == "retired":
            return "retired"
        if source is None:
            return None
        if self.experimental and not source.experimental:
            return "experimental"
        return "draft" if self.draft and not source.draft else None

    @property
    def draft(self) -> bool:
        """Whether it is not finished."""
        return "draft" in (self.status, self.standards_status)


# That of what says nothing.
UNTOLD = Publication()


def publication(resource: Mapping[str, Any]) -> Publication:
    """What a CodeSystem or ValueSet says of itself."""
    status = resource.get("status")
    said = next(
        (one.get("valueCode") for one in objects(resource.get("extension")) if one.get("url") == STANDARDS_STATUS), None
    )
    return Publication(
        status if isinstance(status, str) else "",
        said if isinstance(said, str) else "",
        resource.get("experimental") is True,
    )
