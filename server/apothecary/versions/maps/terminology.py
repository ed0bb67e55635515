"""ConceptMap: https://hl7.org/fhir/R5/conceptmap.html and https://hl7.org/fhir/R4/conceptmap.html."""

from __future__ import annotations

from apothecary.versions.rules import Codes, Map

# R4 says what the target is to the source, R5 what the source is to the target: wider becomes "source is narrower".
_RELATIONSHIP = Codes(
    newer={
        "relatedto": "related-to",
        "equal": "equivalent",
        "wider": "source-is-narrower-than-target",
        "subsumes": "source-is-narrower-than-target",
        "narrower": "source-is-broader-than-target",
        "specializes": "source-is-broader-than-target",
        "inexact": "related-to",
        "unmatched": "not-related-to",
        "disjoint": "not-related-to",
    },
    older={
        "related-to": "relatedto",
        "source-is-narrower-than-target": "wider",
        "source-is-broader-than-target": "narrower",
        "not-related-to": "disjoint",
    },
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
