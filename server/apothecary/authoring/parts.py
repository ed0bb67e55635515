"""How the smaller parts of a sheet stand in FHIR: characteristics, doses, ingredients, prices, storage.

https://hl7.org/fhir/R5/dosage.html, https://hl7.org/fhir/R5/medicationknowledge.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apothecary.authoring.amounts import Money, Quantity, Range, Ratio, number
from apothecary.authoring.lens import (
    CONCEPT,
    SAME,
    At,
    Choice,
    Field,
    Many,
    Mapped,
    Only,
    Table,
    Typed,
    reference,
)
from apothecary.authoring.pen import CODES, Pen
from apothecary.fhir.json import JSON

QUANTITY = Quantity()
CHARACTERISTICS = (
    "http://terminology.hl7.org/CodeSystem/medicationknowledge-characteristic",
    CODES + "drug-characteristic",
)


@dataclass(frozen=True, slots=True)
class Inside:
    """Keys of a sheet that stand together in one object of the resource, or in the only one of a list."""

    element: str
    fields: tuple[Field, ...]
    listed: bool = False

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        inner: JSON = {}
        for field in self.fields:
            field.build(sheet, inner, pen)
        if inner:
            node[self.element] = [inner] if self.listed else inner

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        if self.element not in node:
            return
        found = node[self.element]
        if self.listed and len(found) > 1:
            return  # What a sheet has no room for is left over, and told.
        inner = {**(found[0] if self.listed else found)}
        if "extension" in inner:
            inner["extension"] = [*inner["extension"]]
        for field in self.fields:
            field.read(inner, sheet, pen)
        if not inner.get("extension", True):
            del inner["extension"]
        del node[self.element]
        if inner:
            node[f"{self.element} {', '.join(inner)}"] = inner


def characteristic(*systems: str, type_element: str = "type", fixed: tuple[tuple[str, Any], ...] = ()) -> Table:
    """A type with its value, as FHIR has it in several places."""
    return Table(
        (
            At("type", type_element, Typed(systems)),
            At("text", "valueString"),
            At("concept", "valueCodeableConcept", CONCEPT),
            At("amount", "valueQuantity", QUANTITY),
            At("range", "valueRange", Range()),
            Choice("unknown", "valueString"),
        ),
        fixed=fixed,
    )


@dataclass(frozen=True, slots=True)
class Lasting:
    """An amount of time that FHIR writes as a number and a unit in elements of their own."""

    key: str
    value: str
    unit: str

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        if self.key in sheet:
            amount, _, unit = sheet[self.key].partition(" ")
            if unit not in ("s", "min", "h", "d", "wk", "mo", "a"):
                with pen.at(self.key):
                    pen.fault(f"{unit!r} is no unit of time: write s, min, h, d, wk, mo or a")
            node[self.value], node[self.unit] = number(amount), unit

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        if self.value in node and self.unit in node:
            sheet[self.key] = f"{node.pop(self.value)} {node.pop(self.unit)}"


_TIMES = Table(
    (
        At("code", "code", CONCEPT),
        Inside(
            "repeat",
            (
                At("duration", "boundsDuration", QUANTITY),
                At("frequency", "frequency"),
                At("frequency-max", "frequencyMax"),
                Lasting("period", "period", "periodUnit"),
                At("when", "when"),
            ),
        ),
    ),
    founded=False,
)
DOSAGE = Table(
    (
        At("text", "text"),
        At("additional", "additionalInstruction", Many(CONCEPT)),
        At("instruction", "patientInstruction"),
        At("timing", "timing", _TIMES),
        At("as-needed", "asNeeded"),
        At("as-needed-for", "asNeededFor", Many(CONCEPT)),
        At("site", "site", CONCEPT),
        At("route", "route", CONCEPT),
        At("method", "method", CONCEPT),
        Inside(
            "doseAndRate",
            (
                At("dose", "doseQuantity", QUANTITY),
                At("dose-range", "doseRange", Range()),
                At("rate", "rateRatio", Ratio()),
            ),
            listed=True,
        ),
        At("max", "maxDosePerPeriod", Many(Ratio())),
        At("max-single", "maxDosePerAdministration", QUANTITY),
        At("max-ever", "maxDosePerLifetime", QUANTITY),
    )
)
DOSING = Table(
    (
        At("intent", "treatmentIntent", CONCEPT),
        At("doses", "dosage", Many(Table((At("type", "type", CONCEPT), At("dosage", "dosage", Many(DOSAGE)))))),
        At("line", "administrationTreatment", CONCEPT),
        At("for", "patientCharacteristic", Many(characteristic())),
    ),
    founded=False,
)


class Strength:
    """The strength of an ingredient: an amount in an amount, an amount, or words."""

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        if "strength" in sheet:
            with pen.at("strength"):
                amount = QUANTITY.build(sheet["strength"], pen)
            if "per" not in sheet:
                node["strengthQuantity"] = amount
                return
            per = sheet["per"]
            with pen.at("per"):
                if isinstance(per, str):
                    per = {"amount": per}
                founded = pen.founded(per)
                denominator = QUANTITY.build(per["amount"], pen)
            node["strengthRatio"] = {
                "numerator": amount,
                "denominator": {**({"extension": founded} if founded else {}), **denominator},
            }
        elif "per" in sheet:
            with pen.at("per"):
                pen.fault("per needs a strength")

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        if "strengthQuantity" in node:
            sheet["strength"] = QUANTITY.read(node.pop("strengthQuantity"), pen)
        elif "strengthRatio" in node:
            ratio = node.pop("strengthRatio")
            denominator = {**ratio["denominator"]}
            founded = pen.foundation([*denominator.pop("extension", ())])
            sheet["strength"] = QUANTITY.read(ratio["numerator"], pen)
            per = QUANTITY.read(denominator, pen)
            sheet["per"] = {"amount": per, **founded} if founded else per


class Item:
    """The substance of an ingredient: its concept, and the reference to it."""

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        if sheet["substance"] in pen.substances:
            node["item"] = pen.substances[sheet["substance"]]
        else:
            with pen.at("substance"):
                pen.fault(f"this sheet has no substance {sheet['substance']!r}")

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        id = str(node["item"].get("reference", {}).get("reference", "")).removeprefix("Substance/")
        if pen.substances.get(id) == node["item"]:
            del node["item"]
            sheet["substance"] = id


INGREDIENT = Table(
    (Item(), At("type", "type", CONCEPT), Strength(), At("strength-text", "strengthCodeableConcept", CONCEPT))
)
COST = Table(
    (
        At("type", "type", CONCEPT),
        At("source", "source"),
        At("cost", "costMoney", Money()),
        At("category", "costCodeableConcept", CONCEPT),
    )
)
MONITORING = Table((At("type", "type", CONCEPT), At("name", "name")))
STORAGE = Table(
    (
        At("reference", "reference"),
        At("notes", "note", Many(Table((At("text", "text"),), founded=False, short="text"))),
        At("duration", "stabilityDuration", QUANTITY),
        At("environment", "environmentalSetting", Many(characteristic())),
    )
)
REGULATORY = Table(
    (
        At("authority", "regulatoryAuthority", Only(SAME, "display")),
        At(
            "substitution",
            "substitution",
            Many(Table((At("type", "type", CONCEPT), At("allowed", "allowed")), founded=False)),
        ),
        At("schedules", "schedule", Many(CONCEPT)),
        At(
            "max-dispense",
            "maxDispense",
            Table((At("quantity", "quantity", QUANTITY), At("period", "period", QUANTITY)), founded=False),
        ),
    )
)
CLASSIFICATION = Table(
    (
        At("type", "type", CONCEPT),
        At("source", "sourceString"),
        At("source-uri", "sourceUri"),
        At("classes", "classification", Many(CONCEPT)),
    )
)


def _drug(value: str, pen: Pen) -> JSON:
    """A drug by its id, or by its code where the content does not hold it."""
    if "|" not in value:
        return {"reference": f"MedicationKnowledge/{value}"}
    coding = pen.coding(value) or {}
    identifier = {"system": coding.get("system"), "value": coding.get("code")}
    return {"type": "MedicationKnowledge", "identifier": identifier, "display": coding.get("display")}


def _read_drug(value: JSON, pen: Pen) -> str:
    if "identifier" in value:
        key = pen.vocabulary.key(str(value["identifier"].get("system")))
        return f"{key}|{value['identifier'].get('value')}"
    return str(reference("MedicationKnowledge").read(value, pen))


RELATED = Table((At("type", "type", CONCEPT), At("drugs", "reference", Many(Mapped(_drug, _read_drug)))))
