"""A synthetic national catalogue with realistic skew: a few ingredients, forms and makers are in most products.

The shapes follow a published drug directory: products 1 kB, a knowledge resource for each, an indication for every
fourth; sizes of
distributions in the constants below. Nothing in it is true of any drug.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
NDC = "http://hl7.org/fhir/sid/ndc"
ICD = "http://hl7.org/fhir/sid/icd-10-cm"
UCUM = "http://unitsofmeasure.org"

INGREDIENTS, FORMS, MAKERS, CONDITIONS = 3000, 136, 1500, 2000
SYLLABLES = (
    "ab",
    "cor",
    "dex",
    "fen",
    "gli",
    "lox",
    "mira",
    "nol",
    "ox",
    "pra",
    "quin",
    "ri",
    "sal",
    "tor",
    "vi",
    "zol",
)
# MedicationKnowledge, Medication and ClinicalUseDefinition stand in these parts of the whole.
PARTS = (("Medication", 4), ("MedicationKnowledge", 4), ("ClinicalUseDefinition", 2))


def zipf(random_: random.Random, size: int) -> int:
    """A rank below `size`, low ranks far more often: density 1/rank."""
    return min(size - 1, int(size ** random_.random()) - 1)


def name(number: int) -> str:
    """A pronounceable name, the same for the same number."""
    picked = random.Random(number)
    return "".join(picked.choice(SYLLABLES) for _ in range(3)).capitalize() + str(number % 97)


def resources(total: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """`total` resources, makers among them, in an order in which references point back."""
    random_ = random.Random(seed)
    makers = min(MAKERS, max(1, total // 100))
    for number in range(makers):
        yield {"resourceType": "Organization", "id": f"maker-{number}", "name": f"{name(number)} Pharma"}
    products = (total - makers) * 4 // 10
    for number in range(products):
        ingredient = zipf(random_, INGREDIENTS)
        yield from _product(number, ingredient, zipf(random_, makers), random_)


def _product(number: int, ingredient: int, maker: int, random_: random.Random) -> Iterator[dict[str, Any]]:
    form = zipf(random_, FORMS)
    status = "active" if random_.random() < 0.92 else "inactive"
    strength = random_.choice(("0.5", "1", "2", "2.5", "5", "10", "20", "25", "50", "100", "250", "500"))
    code = {
        "coding": [
            {"system": RXNORM, "code": str(1_000_000 + number), "display": f"{name(ingredient)} {strength} MG"},
            {"system": NDC, "code": f"{number // 10000:05}-{number % 10000:04}"},
        ],
        "text": f"{name(100_000 + number)} ({name(ingredient).lower()}) {strength} mg",
    }
    dose_form = {
        "coding": [{"system": "http://standardterms.edqm.eu", "code": str(10_000_000 + form)}],
        "text": f"form {form}",
    }
    quantity = {"value": float(strength), "unit": "mg", "system": UCUM, "code": "mg"}
    content: dict[str, Any] = {
        "item": {"concept": {"coding": [{"system": RXNORM, "code": str(ingredient), "display": name(ingredient)}]}}
    }
    content["strengthRatio"] = {"numerator": quantity, "denominator": {"value": 1, "system": UCUM, "code": "1"}}
    yield {
        "resourceType": "Medication",
        "id": f"m{number}",
        "status": status,
        "code": code,
        "doseForm": dose_form,
        "marketingAuthorizationHolder": {"reference": f"Organization/maker-{maker}"},
        "ingredient": [{**content, "isActive": True}],
        "batch": {"lotNumber": f"L{number % 5000}", "expirationDate": f"20{25 + number % 6}-{1 + number % 12:02}-15"},
    }
    yield {
        "resourceType": "MedicationKnowledge",
        "id": f"k{number}",
        "status": status,
        "code": code,
        "name": [name(100_000 + number), name(ingredient)],
        "associatedMedication": [{"reference": f"Medication/m{number}"}],
        "definitional": {"doseForm": dose_form, "ingredient": [content]},
    }
    if number % 2 == 0:
        condition = zipf(random_, CONDITIONS)
        yield {
            "resourceType": "ClinicalUseDefinition",
            "id": f"c{number}",
            "type": "indication",
            "subject": [{"reference": f"Medication/m{number}"}],
            "indication": {
                "diseaseSymptomProcedure": {
                    "concept": {"coding": [{"system": ICD, "code": f"X{condition}"}], "text": f"condition {condition}"}
                }
            },
        }
