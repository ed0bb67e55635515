"""A drug of a table: what its rows say, and the resources that this becomes.

https://hl7.org/fhir/R5/medicationknowledge.html, https://hl7.org/fhir/R5/medication.html and
https://hl7.org/fhir/R5/packagedproductdefinition.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.importers.ids import stable_id
from apothecary.importers.report import Place, Report

# What a drug has once: a second row that says otherwise is told.
_SINGLE = {
    "name": "name",
    "status": "status",
    "form": "form",
    "manufacturer": "manufacturer",
    "preparation": "preparation",
}


@dataclass(slots=True)
class Part:
    """An ingredient or a pack, as one row has it: its elements, each with what became of it."""

    said: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Drug:
    """A drug: the texts that tell it from others, where it begins, and what its rows say."""

    key: tuple[str, ...]
    place: Place
    single: dict[str, Any] = field(default_factory=dict)
    several: dict[str, list[Any]] = field(default_factory=dict)
    ingredients: list[dict[str, Any]] = field(default_factory=list)
    packs: list[dict[str, Any]] = field(default_factory=list)

    def say(self, element: str, value: Any, place: Place, report: Report) -> None:
        """One more statement."""
        if element not in _SINGLE:
            known = self.several.setdefault(element, [])
            if value not in known:
                known.append(value)
        elif self.single.setdefault(element, value) != value:
            report.skipped(place, f"this row says another {element} of the same drug; that of the first is taken")

    def add(self, ingredients: dict[int, dict[str, Any]], packs: dict[int, dict[str, Any]]) -> None:
        """The ingredients and packs of one more row."""
        for found, known in ((ingredients, self.ingredients), (packs, self.packs)):
            for _, part in sorted(found.items()):
                if part not in known:
                    known.append(part)


def resources(drug: Drug, identity: str) -> Iterator[JSON]:
    """What it becomes; `identity` is the id."""
    name = drug.single.get("name")
    several = drug.several
    codes = several.get("code", [])
    code = _filled({"coding": codes, "text": name})
    identifiers = [*several.get("identifier", [])]
    identifiers += [{"system": one["system"], "value": one["code"]} for one in codes]
    identifiers = [one for place, one in enumerate(identifiers) if one not in identifiers[:place]]
    ingredients = [_ingredient(one) for one in drug.ingredients]
    packs = [_pack(one, drug, stable_id(identity, str(number)), code) for number, one in enumerate(drug.packs, 1)]
    regulatory: dict[str, list[JSON]] = {}
    for authority, schedule in several.get("schedule", ()):
        regulatory.setdefault(authority, []).append(schedule)
    routes = several.get("route", [])
    definitional = {
        "doseForm": drug.single.get("form"),
        "intendedRoute": routes,
        "ingredient": ingredients,
        "drugCharacteristic": several.get("characteristic", []),
    }
    yield _filled(
        {
            "resourceType": "MedicationKnowledge",
            "id": identity,
            "identifier": identifiers,
            "code": code,
            "status": drug.single.get("status"),
            "name": list(dict.fromkeys([*([name] if name else []), *several.get("synonym", [])])),
            "associatedMedication": [{"reference": f"Medication/{identity}"}],
            "productType": several.get("product type", []),
            "preparationInstruction": drug.single.get("preparation"),
            "cost": several.get("price", []),
            "indicationGuideline": [{"indication": [{"concept": one}]} for one in several.get("indication", ())],
            "medicineClassification": several.get("classification", []),
            "packaging": [{"packagedProduct": {"reference": f"{one['resourceType']}/{one['id']}"}} for one in packs],
            "regulatory": [
                {"regulatoryAuthority": {"display": authority}, "schedule": schedules}
                for authority, schedules in regulatory.items()
            ],
            "definitional": _filled(definitional),
        }
    )
    holder = drug.single.get("manufacturer")
    yield _filled(
        {
            "resourceType": "Medication",
            "id": identity,
            "identifier": identifiers,
            "code": code,
            "status": drug.single.get("status"),
            "marketingAuthorizationHolder": {"display": holder} if holder else None,
            "doseForm": drug.single.get("form"),
            "ingredient": ingredients,
            "definition": {"reference": f"MedicationKnowledge/{identity}"},
        }
    )
    yield from packs


def _ingredient(said: dict[str, Any]) -> JSON:
    concept = _filled({"coding": said.get("ingredient code", []), **said.get("ingredient", {})})
    return {"item": {"concept": concept}, **said.get("strength", {})}


def _pack(said: dict[str, Any], drug: Drug, identity: str, code: JSON) -> JSON:
    size = said.get("pack size")
    contained = _filled({"item": {"concept": code} if code else {"concept": {"text": identity}}, "amount": size})
    return _filled(
        {
            "resourceType": "PackagedProductDefinition",
            "id": identity,
            "identifier": said.get("pack code", []),
            "name": drug.single.get("name"),
            "description": said.get("pack description"),
            "containedItemQuantity": [size] if size else [],
            "packaging": {"containedItem": [contained]},
        }
    )


def _filled(value: JSON) -> JSON:
    return {name: one for name, one in value.items() if one not in (None, [], {}, "")}
