"""When extraction writes other rows, its number goes up, or databases would keep the rows of the version before.

`python -m tests.search.test_extraction_number` notes what the raised number stands for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from apothecary.fhir.releases import FhirVersion
from apothecary.search.defined import Defining
from apothecary.search.normalisation import Systems
from apothecary.search.parameters import EXTRACTION
from apothecary.search.registries import make_registries
from apothecary.search.rows import Indexed
from apothecary.settings import Settings
from scripts.search_keys.generate import resources

NOTED = Path(__file__).with_name("extraction.json")

NUMBER = EXTRACTION.partition(" ")[0]

XMLNS = 'xmlns="http://www.w3.org/1999/xhtml"'

# What no generated value is: texts, codes and units that are folded, cut or counted.
WRITTEN: tuple[dict[str, Any], ...] = (
    {
        "resourceType": "Medication",
        "id": "m",
        "meta": {"tag": [{"system": "http://ex.org/tags", "code": "A"}], "profile": ["http://ex.org/p|1"]},
        "text": {"status": "generated", "div": f"<div {XMLNS}><p>Ácid<b>um</b> 5 mg</p></div>"},
        "contained": [{"resourceType": "Organization", "id": "o", "name": "O’Neill & Søn, Jean-Paul"}],
        "identifier": [{"type": {"coding": [{"system": "t", "code": "MR"}]}, "system": "s", "value": "V" * 300}],
        "code": {
            "coding": [
                {"system": "http://hl7.org/fhir/sid/ndc", "code": "0777-3105-02", "display": "Ｆull Width"},
                {"system": "http://ex.org/sensitive", "code": "aB"},
            ]
        },
        "marketingAuthorizationHolder": {"reference": "#o", "display": "ราคายา 薬"},
        "totalVolume": {"value": 0.5, "unit": "litre", "system": "http://unitsofmeasure.org", "code": "L"},
        "batch": {"expirationDate": "2030-02"},
        "ingredient": [
            {
                "item": {"reference": {"reference": "http://elsewhere.org/fhir/Substance/1/_history/2"}},
                "strengthQuantity": {"value": 500, "system": "http://unitsofmeasure.org", "code": "ug"},
            }
        ],
    },
    {
        "resourceType": "Organization",
        "id": "r4",
        "address": [{"city": "Zürich", "line": ["1 Main St"]}],
    },
)
BY_WORD = {
    "resourceType": "SearchParameter", "id": "w", "url": "http://ex.org/w", "name": "w", "status": "active",
    "description": "w", "code": "w", "base": ["Organization"], "type": "string", "processingMode": "normal",
    "expression": "Organization.name",
    "extension": [{"url": "https://example.org/fhir/StructureDefinition/search-by-word", "valueBoolean": True}],
}  # fmt: skip


def rows() -> Iterator[Indexed]:
    """What extraction makes of resources of every type that use every element, in their order."""
    systems = Systems({"http://ex.org/sensitive": True})
    registry = make_registries(Settings(resource_types="*"), [Defining(BY_WORD)], systems=systems)[FhirVersion.R5]
    for one in WRITTEN:
        yield from registry.rows(one, FhirVersion.R4 if one["id"] == "r4" else FhirVersion.R5)
    for kind in registry.types:
        for one in islice(resources(FhirVersion.R5, kind), 2):
            yield from registry.rows(one)


def digest() -> str:
    """The same for the same rows, in whatever order."""
    found = sorted(repr(row) for row in rows())
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def test_the_number_of_the_extraction_is_that_of_the_rows_it_makes() -> None:
    noted = json.loads(NOTED.read_text())
    assert noted.get(NUMBER) == digest(), (
        f"extraction makes other rows than those of number {NUMBER}: raise the number in EXTRACTION, then run "
        "python -m tests.search.test_extraction_number"
    )
    assert int(NUMBER) == max(map(int, noted)), "the number only ever goes up"


if __name__ == "__main__":
    known = json.loads(NOTED.read_text()) if NOTED.exists() else {}
    if NUMBER in known:
        raise SystemExit(f"{NUMBER} is noted already: raise the number in EXTRACTION first")
    NOTED.write_text(json.dumps(known | {NUMBER: digest()}, indent=2) + "\n")
