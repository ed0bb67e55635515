"""How two concepts of a map stand, in the words of R5 and of the releases before it.

https://hl7.org/fhir/R5/valueset-concept-map-relationship.html and
https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html

R4 says what the target is to the source, R5 what the source is to the target: wider becomes "source is narrower".
"""

from __future__ import annotations

from collections.abc import Mapping

RELATIONSHIPS: Mapping[str, str] = {
    "relatedto": "related-to",
    "equivalent": "equivalent",
    "equal": "equivalent",
    "wider": "source-is-narrower-than-target",
    "subsumes": "source-is-narrower-than-target",
    "narrower": "source-is-broader-than-target",
    "specializes": "source-is-broader-than-target",
    "inexact": "related-to",
    "unmatched": "not-related-to",
    "disjoint": "not-related-to",
}
EQUIVALENCES: Mapping[str, str] = {
    "related-to": "relatedto",
    "equivalent": "equivalent",
    "source-is-narrower-than-target": "wider",
    "source-is-broader-than-target": "narrower",
    "not-related-to": "disjoint",
}
# What the source is to the target, where the equivalence says what the target is to the source.
TURNED: Mapping[str, str] = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}
# https://hl7.org/fhir/R5/conceptmap-operation-translate.html: a match that is none.
NO_TRANSLATION = "not-related-to"
