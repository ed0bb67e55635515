"""Content of any size to measure with: FHIR R5 Medications of which each five share a code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SYSTEM = "https://example.org/benchmark-codes"
SHARING = 5


def medication(number: int) -> dict[str, Any]:
    """The Medication `m<number>`, about 1 kB of JSON: https://hl7.org/fhir/R5/medication.html"""
    return {
        "resourceType": "Medication",
        "id": f"m{number}",
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml">Medication {number}. {"Lorem ipsum. " * 30}</div>',
        },
        "identifier": [{"system": "https://example.org/products", "value": f"product-{number}"}],
        "code": {"coding": [{"system": SYSTEM, "code": code_of(number), "display": f"Substance {code_of(number)}"}]},
        "status": "active",
        "doseForm": {"text": "tablet"},
        "ingredient": [
            {
                "item": {"concept": {"text": f"Substance {code_of(number)}"}},
                "isActive": True,
                "strengthRatio": {
                    "numerator": {"value": 1 + number % 500, "system": "http://unitsofmeasure.org", "code": "mg"},
                    "denominator": {"value": 1, "system": "http://unitsofmeasure.org", "code": "{tablet}"},
                },
            }
        ],
    }


def code_of(number: int) -> str:
    """The code that Medication `number` shares with its four neighbours."""
    return f"c{number // SHARING}"


def write(folder: Path, count: int) -> None:
    """Write `count` Medications into `folder`, in the layout of a content folder: `Medication/<id>.json`."""
    target = folder / "Medication"
    target.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (target / f"m{number}.json").write_text(json.dumps(medication(number), indent=2) + "\n")
