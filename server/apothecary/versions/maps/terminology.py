"""ConceptMap: https://hl7.org/fhir/R5/conceptmap.html and https://hl7.org/fhir/R4/conceptmap.html."""

from __future__ import annotations

from apothecary.terminology.relationships import EQUIVALENCES, RELATIONSHIPS
from apothecary.versions.rules import Codes, Map

_RELATIONSHIP = Codes(
    newer={old: new for old, new in RELATIONSHIPS.items() if old != new},
    older={new: old for new, old in EQUIVALENCES.items() if old != new},
)

MAPS = (
    Map("ConceptMap", "ConceptMap", renames={"source": "sourceScope", "target": "targetScope"}),
    Map(
        "ConceptMap.group.element.target",
        "ConceptMap.group.element.target",
        renames={"equivalence": "relationship"},
        codes={"equivalence": _RELATIONSHIP},
    ),
    Map(
        "ConceptMap.group.unmapped",
        "ConceptMap.group.unmapped",
        renames={"url": "otherMap"},
        codes={"mode": Codes(newer={"provided": "use-source-code"}, older={"use-source-code": "provided"})},
    ),
)
