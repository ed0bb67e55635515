"""RxNorm as a CodeSystem with what its relations put above each concept, and the NDCs of its drugs as ConceptMaps.

https://hl7.org/fhir/R4/rxnorm.html, https://hl7.org/fhir/R5/codesystem.html and https://hl7.org/fhir/R5/conceptmap.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apothecary.fhir.json import JSON
from apothecary.importers.formats import Made
from apothecary.importers.ids import stable_id
from apothecary.importers.rxnorm.concepts import Concepts
from apothecary.importers.rxnorm.rows import CONSO, SAT, Release

_SYSTEM = "http://www.nlm.nih.gov/research/umls/rxnorm"
_NDC = "http://hl7.org/fhir/sid/ndc"
_PUBLISHER = "U.S. National Library of Medicine"
# What NLM asks for: https://www.nlm.nih.gov/research/umls/rxnorm/docs/termsofservice.html
_CREDIT = (
    "This product uses publicly available data courtesy of the U.S. National Library of Medicine (NLM), National "
    "Institutes of Health, Department of Health and Human Services; NLM is not responsible for the product and does "
    "not endorse or recommend this or any other product."
)
# What stands above a concept: what it is a kind, a form or a brand of, and what it is made of; not what a pack holds.
_ABOVE = (
    *(
        "isa",
        "tradename_of",
        "form_of",
        "quantified_form_of",
        "consists_of",
        "has_ingredient",
        "has_precise_ingredient",
    ),
    *("has_ingredients", "has_part"),
)
# Mappings in one map; where more NDCs begin alike, those that go on alike have one of their own.
MOST = 10_000
_CONCEPT_PROPERTIES = "http://hl7.org/fhir/concept-properties#"


def code_system(concepts: Concepts, release: Release) -> Made:
    """The code system: FHIR counts the concepts with SAB=RXNORM as its codes."""
    resource: JSON = {
        "resourceType": "CodeSystem",
        "id": "rxnorm",
        "url": _SYSTEM,
        **({"version": concepts.version} if concepts.version else {}),
        "name": "RxNorm",
        "title": "RxNorm",
        "status": "active",
        "experimental": False,
        "publisher": _PUBLISHER,
        "description": "RxNorm's own concepts (SAB=RXNORM), each below what it is a kind, a form or a brand of, "
        "and what it is made of. RxNorm itself defines no subsumption.",
        "copyright": _CREDIT,
        "caseSensitive": True,
        "hierarchyMeaning": "grouped-by",
        "content": "fragment",
        "count": len(concepts.kind),
        "property": [
            {"code": "TTY", "description": "The kind of concept, such as SCD or IN", "type": "code"},
            {
                "code": "parent",
                "uri": f"{_CONCEPT_PROPERTIES}parent",
                "description": "What the concept is a kind, a form or a brand of, or is made of",
                "type": "code",
            },
            {
                "code": "inactive",
                "uri": f"{_CONCEPT_PROPERTIES}inactive",
                "description": "RxNorm suppresses it",
                "type": "boolean",
            },
            {"code": "prescribable", "description": "In RxNorm's current prescribable content", "type": "boolean"},
        ],
        "concept": [_concept(concepts, one) for one in concepts.kind],
    }
    return Made(resource, release.place(CONSO))


def _concept(concepts: Concepts, one: int) -> JSON:
    properties: list[JSON] = [{"code": "TTY", "valueCode": concepts.kind[one]}]
    properties += ({"code": "parent", "valueCode": str(above)} for above in concepts.to(one, *_ABOVE) if above != one)
    for name, having in (("inactive", concepts.inactive), ("prescribable", concepts.prescribable)):
        if one in having:
            properties.append({"code": name, "valueBoolean": True})
    made: JSON = {"code": str(one), "display": concepts.name[one]}
    if further := concepts.synonyms.get(one):
        made["designation"] = [{"value": said} for said in dict.fromkeys(said for _, said in further)]
    return {**made, "property": properties}


def concept_maps(concepts: Concepts, release: Release) -> Iterator[Made]:
    """The maps from the NDCs of packages to the drugs that are in them, cut where the NDCs begin otherwise."""
    pairs = sorted((ndc, str(drug)) for drug, codes in concepts.ndc.items() for ndc in codes)
    for beginning, some in _parts(pairs, ""):
        elements: list[JSON] = []
        for ndc, drug in some:
            target = {"code": drug, "relationship": "source-is-narrower-than-target"}
            if elements and elements[-1]["code"] == ndc:
                elements[-1]["target"].append(target)
            else:
                elements.append({"code": ndc, "target": [target]})
        resource: JSON = {
            "resourceType": "ConceptMap",
            "id": stable_id("rxnorm", "ndc", *([beginning] if beginning else [])),
            **({"version": concepts.version} if concepts.version else {}),
            "name": f"RxNormNdc{beginning}",
            "title": f"NDC to RxNorm: packages whose NDC begins with {beginning}" if beginning else "NDC to RxNorm",
            "status": "active",
            "experimental": False,
            "publisher": _PUBLISHER,
            "description": "The drugs of RxNorm (SCD, SBD, GPCK, BPCK) under which it files the NDCs of packages.",
            "copyright": _CREDIT,
            "group": [{"source": _NDC, "target": _SYSTEM, "element": elements}],
        }
        yield Made(resource, release.place(SAT))


def _parts(pairs: Sequence[tuple[str, str]], beginning: str) -> Iterator[tuple[str, Sequence[tuple[str, str]]]]:
    """Those that begin alike, with as many characters as make them few enough; one map where all are few."""
    if len(pairs) <= MOST or len(beginning) == len(pairs[0][0]):
        if pairs:
            yield beginning, pairs
        return
    start, length = 0, len(beginning) + 1
    for place in range(1, len(pairs) + 1):
        if place == len(pairs) or pairs[place][0][:length] != pairs[start][0][:length]:
            yield from _parts(pairs[start:place], pairs[start][0][:length])
            start = place
