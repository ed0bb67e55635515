"""A product that FDA lists, as Medication and MedicationKnowledge: https://hl7.org/fhir/R5/medication.html and
https://hl7.org/fhir/R5/medicationknowledge.html

https://www.fda.gov/drugs/drug-approvals-and-databases/ndc-product-file-definitions says what is listed. The labeler
stands as marketing authorization holder, which R4 calls the manufacturer, and as author of what is listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from apothecary.fhir.json import JSON
from apothecary.importers.fda import (
    APPLICATIONS,
    DEA,
    DEA_SCHEDULES,
    NDC,
    RXNORM,
    UNII,
    classes,
    period,
    schedule,
)
from apothecary.importers.report import Place, Report
from apothecary.importers.units import fda_ratio

_ACTIVE: JSON = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleClass", "code": "ACTI"}]}
_AUTHORITY: JSON = {"display": DEA}


@dataclass(slots=True)
class Ingredient:
    """A substance by its name, and how much of it is in how much of the product, as FDA writes both."""

    name: str
    unii: str = ""
    strength: str = ""
    unit: str = ""


@dataclass(slots=True)
class Product:
    """What FDA lists of a product, in its words; `labeler` is the id of an Organization, `packages` are the NDCs of its
    packages by their ids, `rxcui` is what RxNorm calls it, where that is known.
    """

    id: str
    code: str
    labeler: str
    names: Sequence[str] = ()
    kind: str = ""
    form: str = ""
    routes: Sequence[str] = ()
    start: str = ""
    end: str = ""
    category: str = ""
    application: str = ""
    ingredients: Sequence[Ingredient] = ()
    classes: str = ""
    schedule: str = ""
    active: bool = True
    rxcui: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)


def medication_and_knowledge(product: Product, report: Report, place: Place) -> Iterator[JSON]:
    """Both resources of a product. A value that has no place in them as it stands is told."""
    identifier: JSON = {"system": NDC, "value": product.code}
    if dates := period(product.start, product.end, report, place):
        identifier["period"] = dates
    codings: list[JSON] = [{"system": NDC, "code": product.code}]
    if product.rxcui:
        codings.append({"system": RXNORM, "code": product.rxcui})
    # What is dispensed is a package: its code is asked for more often than that of the product in it.
    codings += [{"system": NDC, "code": one} for one in dict.fromkeys(product.packages.values())]
    code: JSON = {"coding": codings}
    if product.names:
        code["text"] = product.names[0]
    status = "active" if product.active else "inactive"
    labeler = {"reference": f"Organization/{product.labeler}"} if product.labeler else None
    ingredients = [_ingredient(one, report, place) for one in product.ingredients]

    medication: JSON = {"resourceType": "Medication", "id": product.id, "identifier": [identifier]}
    if product.application:
        medication["identifier"].append(_application(product.category, product.application))
    medication["code"] = code
    medication["status"] = status
    if labeler:
        medication["marketingAuthorizationHolder"] = labeler
    if product.form:
        medication["doseForm"] = _text(product.form)
    if ingredients:
        medication["ingredient"] = [{**one, "isActive": True} for one in ingredients]
    medication["definition"] = {"reference": f"MedicationKnowledge/{product.id}"}
    yield medication

    knowledge: JSON = {
        "resourceType": "MedicationKnowledge",
        "id": product.id,
        "identifier": [identifier],
        "code": code,
        "status": status,
    }
    if labeler:
        knowledge["author"] = labeler
    if product.names:
        knowledge["name"] = list(product.names)
    knowledge["associatedMedication"] = [{"reference": f"Medication/{product.id}"}]
    if types := [_text(one) for one in (product.kind, product.category) if one]:
        knowledge["productType"] = types
    if product.classes:
        knowledge["medicineClassification"] = _classification(product.classes)
    if product.packages:
        knowledge["packaging"] = [
            {"packagedProduct": {"reference": f"PackagedProductDefinition/{one}"}} for one in product.packages
        ]
    if product.schedule:
        if product.schedule not in DEA_SCHEDULES:
            report.approximated(
                place._replace(column="DEASCHEDULE"), f"{product.schedule} is no schedule: kept as text"
            )
        knowledge["regulatory"] = [_regulatory(product.schedule)]
    definitional: JSON = {}
    if product.form:
        definitional["doseForm"] = _text(product.form)
    if product.routes:
        definitional["intendedRoute"] = [_text(one) for one in product.routes]
    if ingredients:
        definitional["ingredient"] = [{**one, "type": _ACTIVE} for one in ingredients]
    if definitional:
        knowledge["definitional"] = definitional
    yield knowledge


# FDA has a few hundred forms, routes and classes. What is made of them is shared, and must not be changed.
@lru_cache(4096)
def _text(words: str) -> JSON:
    return {"text": words}


@lru_cache(4096)
def _regulatory(text: str) -> JSON:
    return {"regulatoryAuthority": _AUTHORITY, "schedule": [schedule(text)]}


@lru_cache(4096)
def _classification(text: str) -> list[JSON]:
    """The classes, one after the other under each kind; one without a kind is of the kind of its column."""
    kinds: dict[str, list[JSON]] = {}
    # A class of several substances stands once for each of them.
    for name, kind in dict.fromkeys(classes(text)):
        kinds.setdefault(kind or "PHARM_CLASSES", []).append({"text": name})
    return [{"type": {"text": kind}, "classification": found} for kind, found in kinds.items()]


def _application(category: str, number: str) -> JSON:
    found: JSON = {"type": _text(category)} if category else {}
    return {**found, "system": APPLICATIONS, "value": number}


def _ingredient(one: Ingredient, report: Report, place: Place) -> JSON:
    concept: JSON = {"text": one.name}
    if one.unii:
        concept = {"coding": [{"system": UNII, "code": one.unii, "display": one.name}], "text": one.name}
    found: JSON = {"item": {"concept": concept}}
    if ratio := fda_ratio(one.strength, one.unit):
        found["strengthRatio"] = ratio
    elif one.strength or one.unit.strip("/"):
        said = f"{one.strength} {one.unit}".strip()
        found["strengthCodeableConcept"] = {"text": said}
        report.approximated(
            place._replace(column="ACTIVE_NUMERATOR_STRENGTH"), f"{said!r} of {one.name} is no strength: kept as text"
        )
    return found
