"""A synthetic catalogue of drugs, classes of drugs and statements against them. **Nothing in it is true of any drug.**

Every resource says so: its tag is HL7's code for data of tests
(https://terminology.hl7.org/CodeSystem-v3-ActReason.html), its codes are of systems that begin with
`urn:apothecary:synthetic:`, and every name begins with "Synthetic". The same numbers give the same catalogue.

Its shapes are those of published lists: a few ingredients are in most products and in most interactions, every tenth
interaction is of a class, and classes have four levels as ATC has them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from apothecary.fhir.statements import SEVERITY_EXTENSION as SEVERITY
from apothecary.fhir.statements import SOURCE_EXTENSION as SOURCE
from benchmarks.catalogue import name as syllables
from benchmarks.catalogue import zipf

OWN = "urn:apothecary:synthetic"
PRODUCT, INGREDIENT, CLASS, CONDITION = f"{OWN}:product", f"{OWN}:ingredient", f"{OWN}:class", f"{OWN}:condition"
TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST", "display": "test health data"}
_SEVERITIES = ("high", "moderate", "moderate", "low")
# How many classes stand below one, by level: 14 anatomical groups, as ATC has them.
_BELOW = (14, 6, 4, 3)
CONDITIONS = 2000


@dataclass(frozen=True, slots=True)
class Size:
    """How large a catalogue is."""

    products: int = 100_000
    statements: int = 50_000
    ingredients: int = 3000


def skewed(random_: random.Random, size: int) -> int:
    """A rank below `size`; the first of three thousand has every fiftieth."""
    return int(size * random_.random() ** 2)


def classes() -> list[str]:
    """The codes of the lowest classes: `A02BC`, whose parents are `A02B`, `A02` and `A`."""
    first, second, third, fourth = _BELOW
    return [
        f"{chr(65 + a)}{b + 1:02}{chr(65 + c)}{chr(65 + d)}"
        for a in range(first)
        for b in range(second)
        for c in range(third)
        for d in range(fourth)
    ]


def above(code: str) -> list[str]:
    """A class and all above it, the lowest first."""
    return [code[:length] for length in (5, 4, 3, 1)]


def name(number: int) -> str:
    """What an ingredient is called."""
    return f"Synthetic {syllables(number).lower()}"


def class_of(ingredient: int) -> str:
    """The lowest class of an ingredient."""
    every = classes()
    return every[ingredient * 37 % len(every)]


def resources(size: Size, seed: int = 1) -> Iterator[dict[str, Any]]:
    """The code systems, then the ingredients, the products, the statements."""
    random_ = random.Random(seed)
    yield _hierarchy("synthetic-class", CLASS, "Synthetic classes", _tree())
    chapters: list[dict[str, Any]] = [
        {"code": f"C{n}", "display": f"Synthetic conditions {n}"} for n in range(CONDITIONS // 20)
    ]
    for n, chapter in enumerate(chapters):
        chapter["concept"] = [{"code": f"C{n}.{m}", "display": f"Synthetic condition {n}.{m}"} for m in range(20)]
    yield _hierarchy("synthetic-condition", CONDITION, "Synthetic conditions", chapters)
    for number in range(size.ingredients):
        code = {"coding": [_coding(INGREDIENT, f"I{number}", name(number))], "text": name(number)}
        yield _marked("Medication", f"synthetic-i{number}", status="active", code=code)
    for number, (ingredient, strength) in enumerate(_products(size, random_)):
        yield from _product(number, ingredient, strength)
    for number in range(size.statements):
        yield _statement(number, size, random_)


def held(size: Size, seed: int = 1) -> list[int]:
    """The ingredient of each product."""
    return [ingredient for ingredient, _ in _products(size, random.Random(seed))]


def asked(ingredients: Sequence[int], drugs: int, random_: random.Random) -> list[str]:
    """The codes of products of different ingredients, as somebody takes them together: what many products hold is taken
    often.
    """
    chosen: dict[int, int] = {}
    while len(chosen) < drugs:
        product = random_.randrange(len(ingredients))
        chosen.setdefault(ingredients[product], product)
    return [f"P{product}" for product in chosen.values()]


def _products(size: Size, random_: random.Random) -> list[tuple[int, str]]:
    """The ingredient and the strength of each product."""
    strengths = ("1", "2", "5", "10", "20", "50", "100", "250", "500")
    return [(zipf(random_, size.ingredients), random_.choice(strengths)) for _ in range(size.products)]


def _marked(kind: str, id_: str, **content: Any) -> dict[str, Any]:
    return {"resourceType": kind, "id": id_, "meta": {"tag": [TAG]}, **content}


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}


def _tree() -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    roots: list[dict[str, Any]] = []
    for lowest in classes():
        below: dict[str, Any] | None = None
        for code in above(lowest):
            known = code in found
            node = found.setdefault(code, {"code": code, "display": f"Synthetic class {code}"})
            if below is not None and below not in node.setdefault("concept", []):
                node["concept"].append(below)
            below = node
            if known:
                break
        else:
            roots.append(node)
    return roots


def _hierarchy(id_: str, url: str, title: str, concepts: list[dict[str, Any]]) -> dict[str, Any]:
    return _marked(
        "CodeSystem", id_, url=url, version="1", name=title.title().replace(" ", ""), title=title, status="active",
        experimental=True, hierarchyMeaning="is-a", content="complete", concept=concepts,
    )  # fmt: skip


def _product(number: int, ingredient: int, strength: str) -> Iterator[dict[str, Any]]:
    text = f"{name(ingredient)} {strength} mg, product {number}"
    code = {"coding": [_coding(PRODUCT, f"P{number}", text)], "text": text}
    item = {"concept": {"coding": [_coding(INGREDIENT, f"I{ingredient}", name(ingredient))], "text": name(ingredient)}}
    lowest = class_of(ingredient)
    yield _marked(
        "Medication", f"synthetic-p{number}", status="active", code=code, ingredient=[{"item": item, "isActive": True}]
    )
    yield _marked(
        "MedicationKnowledge", f"synthetic-p{number}", status="active", code=code, name=[text],
        associatedMedication=[{"reference": f"Medication/synthetic-p{number}"}],
        medicineClassification=[
            {
                "type": {"text": "synthetic class"},
                "classification": [{"coding": [_coding(CLASS, lowest, f"Synthetic class {lowest}")]}],
            }
        ],
        definitional={"ingredient": [{"item": item, "type": {"text": "active"}}]},
    )  # fmt: skip


def _statement(number: int, size: Size, random_: random.Random) -> dict[str, Any]:
    subject = skewed(random_, size.ingredients)
    reference = {"reference": f"Medication/synthetic-i{subject}", "display": name(subject)}
    status = {"coding": [{"system": "http://hl7.org/fhir/publication-status", "code": "active"}]}
    citation = {"type": "citation", "citation": f"Synthetic list, entry {number}"}
    extension: list[dict[str, Any]] = [{"url": SOURCE, "valueRelatedArtifact": citation}]
    content: dict[str, Any] = {"subject": [reference], "status": status}
    if number % 10 == 9:
        chapter, condition = random_.randrange(CONDITIONS // 20), random_.randrange(20)
        code = f"C{chapter}" if condition == 0 else f"C{chapter}.{condition}"
        concept = {"coding": [_coding(CONDITION, code, f"Synthetic condition {code[1:]}")], "text": f"condition {code}"}
        content |= {
            "type": "contraindication",
            "contraindication": {"diseaseSymptomProcedure": {"concept": concept}},
        }
    else:
        severity = random_.choice(_SEVERITIES)
        coding = {"system": "http://hl7.org/fhir/detectedissue-severity", "code": severity}
        extension.append({"url": SEVERITY, "valueCodeableConcept": {"coding": [coding], "text": severity}})
        if number % 10 == 8:
            code = random_.choice(above(class_of(skewed(random_, size.ingredients)))[:3])
            other = {"coding": [_coding(CLASS, code, f"Synthetic class {code}")], "text": f"Synthetic class {code}"}
        else:
            partner = skewed(random_, size.ingredients)
            other = {"coding": [_coding(INGREDIENT, f"I{partner}", name(partner))], "text": name(partner)}
        content |= {
            "type": "interaction",
            "interaction": {
                "interactant": [{"itemCodeableConcept": other}],
                "effect": {"concept": {"text": f"synthetic effect {number % 500}"}},
                "management": [{"text": f"synthetic advice {number % 50}"}],
            },
        }
    first = {"resourceType": "ClinicalUseDefinition", "id": f"synthetic-s{number}", "meta": {"tag": [TAG]}}
    return {**first, "extension": extension, **content}
