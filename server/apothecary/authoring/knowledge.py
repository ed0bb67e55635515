"""How a drug and its products stand in FHIR: MedicationKnowledge, Medication, Substance, PackagedProductDefinition.

https://hl7.org/fhir/R5/medicationknowledge.html and https://hl7.org/fhir/R5/medication.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apothecary.authoring.amounts import Range
from apothecary.authoring.lens import BARE_CONCEPT, CONCEPT, At, Field, Many, Table
from apothecary.authoring.parts import (
    CHARACTERISTICS,
    CLASSIFICATION,
    COST,
    DOSING,
    INGREDIENT,
    MONITORING,
    QUANTITY,
    REGULATORY,
    RELATED,
    STORAGE,
    Inside,
    characteristic,
)
from apothecary.authoring.pen import ABSENT, EXTENSION, Pen
from apothecary.authoring.sections import Covered
from apothecary.authoring.statements import effect_of, status_concept
from apothecary.authoring.types import any_of
from apothecary.fhir.json import JSON

_TIMING = EXTENSION + "effect-timing"
_NOWHERE: JSON = {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}


class Names:
    """Every name, with what it rests on in the companion element."""

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        names = [any_of(one) for one in sheet.get("names", ())]
        founded: list[JSON | None] = []
        for number, one in enumerate(names):
            with pen.at("names", number):
                if one.get("codes"):
                    pen.fault("a name has no codes")
                extensions = pen.founded(one)
            founded.append({"extension": extensions} if extensions else None)
        if names:
            node["name"] = [one["text"] for one in names]
        if any(founded):
            node["_name"] = founded

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        if "name" not in node:
            return
        names = node.pop("name")
        companions = node.pop("_name", [None] * len(names))
        found = [
            {"text": name, **pen.foundation([*(companion or {}).get("extension", ())])}
            for name, companion in zip(names, companions, strict=True)
        ]
        sheet["names"] = [one["text"] if one.keys() == {"text"} else one for one in found]


class Jurisdictions:
    """Where the content holds; that it is unknown is said."""

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        with pen.at("jurisdictions"):
            built = Many(CONCEPT).build(sheet.get("jurisdictions", ()), pen)
        node["intendedJurisdiction"] = built or [_NOWHERE]

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        found = node.pop("intendedJurisdiction", [])
        if found != [_NOWHERE]:
            sheet["jurisdictions"] = Many(CONCEPT).read(found, pen)


class Timed:
    """When the effect begins and how long it lasts."""

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        parts: list[JSON] = []
        for part in ("onset", "duration"):
            if part in sheet.get("timing", ()):
                with pen.at("timing", part):
                    founded = pen.founded(sheet["timing"][part])
                    with pen.at("range"):
                        built = Range().build(sheet["timing"][part]["range"], pen)
                parts.append({"url": part, "valueRange": {**({"extension": founded} if founded else {}), **built}})
        if parts:
            node.setdefault("extension", []).append({"extension": parts, "url": _TIMING})

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        for one in [each for each in node.get("extension", ()) if each["url"] == _TIMING]:
            node["extension"].remove(one)
            for part in one["extension"]:
                value = {**part["valueRange"]}
                founded = pen.foundation([*value.pop("extension", ())])
                sheet.setdefault("timing", {})[part["url"]] = {"range": Range().read(value, pen), **founded}


KNOWLEDGE_FIELDS: tuple[Field, ...] = (
    At("code", "code", CONCEPT),
    Names(),
    At("kind", "productType", Many(CONCEPT)),
    Jurisdictions(),
    At("related", "relatedMedicationKnowledge", Many(RELATED)),
    Timed(),
    Covered(),
    At("classes", "medicineClassification", Many(CLASSIFICATION)),
    At("preparation", "preparationInstruction"),
    At("costs", "cost", Many(COST)),
    At("monitoring", "monitoringProgram", Many(MONITORING)),
    At("storage", "storageGuideline", Many(STORAGE)),
    At("regulatory", "regulatory", Many(REGULATORY)),
    Inside(
        "definitional",
        (
            At("form", "doseForm", CONCEPT),
            At("routes", "intendedRoute", Many(CONCEPT)),
            At("ingredients", "ingredient", Many(INGREDIENT)),
            At("characteristics", "drugCharacteristic", Many(characteristic(*CHARACTERISTICS))),
        ),
    ),
)
KNOWLEDGE = Table(KNOWLEDGE_FIELDS, founded=False)
# What the rest of the sheet says already.
DERIVED = (
    *("resourceType", "id", "language", "text", "status", "author", "associatedMedication", "monograph"),
    *("indicationGuideline", "clinicalUseIssue", "packaging"),
)


def knowledge(
    sheet: Mapping[str, Any], id: str, editors: str, sources: list[str], pen: Pen, composition: str | None = None
) -> JSON:
    """The MedicationKnowledge of a drug or product, without what uses and packages add. `composition` is the id of the
    monograph: MedicationKnowledge.monograph refers to documents only, so an extension leads there.
    """
    monograph: list[JSON] = [
        {"type": {"text": "source text"}, "source": {"reference": f"DocumentReference/{source}"}} for source in sources
    ]
    if composition is not None:
        link = {"extension": pen.founded({"basis": "editor"}), "reference": f"Composition/{composition}"}
        shown = {"url": EXTENSION + "see-also", "valueReference": link}
        monograph.append({"extension": [shown], "type": {"text": "monograph"}})
    return {
        "resourceType": "MedicationKnowledge",
        "id": id,
        "language": "en",
        **KNOWLEDGE.build(sheet, pen),
        "status": "active",
        "author": {"reference": f"Organization/{editors}"},
        "associatedMedication": [{"reference": f"Medication/{id}"}],
        "monograph": monograph,
    }


def medication(of: JSON, code: JSON, *, product: bool) -> JSON:
    """The Medication that a MedicationKnowledge describes; that of a product has its form and its ingredients."""
    definitional = of.get("definitional", {}) if product else {}
    built: JSON = {"resourceType": "Medication", "id": of["id"], "language": "en", "code": code, "status": "active"}
    if "doseForm" in definitional:
        built["doseForm"] = definitional["doseForm"]
    if "ingredient" in definitional:
        built["ingredient"] = [
            {**{key: value for key, value in one.items() if key != "type"}, "isActive": True}
            for one in definitional["ingredient"]
        ]
    return {**built, "definition": {"reference": f"MedicationKnowledge/{of['id']}"}}


def substance(sheet: Mapping[str, Any], pen: Pen) -> JSON:
    """The Substance of an active ingredient, and its concept where it is an ingredient, for `pen`."""
    concept = CONCEPT.build({key: sheet[key] for key in ("text", "codes", "claims", "basis") if key in sheet}, pen)
    chosen = sheet.get("ingredient-codes", sheet.get("codes", ()))
    for number, code in enumerate(sheet.get("ingredient-codes", ())):
        if code not in sheet.get("codes", ()):
            with pen.at("ingredient-codes", number):
                pen.fault(f"{code} is none of the codes of the substance")
    item = CONCEPT.build({"text": sheet["text"], "codes": chosen}, pen)
    pen.substances[sheet["id"]] = {"concept": item, "reference": {"reference": f"Substance/{sheet['id']}"}}
    return {
        "resourceType": "Substance",
        "id": sheet["id"],
        "language": "en",
        "instance": False,
        "status": "active",
        "code": {"concept": concept},
    }


_PACKAGE = Table(
    (
        At("name", "name"),
        At("description", "description"),
        At("type", "type", CONCEPT),
        At("contains", "containedItemQuantity", Many(QUANTITY)),
    ),
    founded=False,
)


def package(sheet: Mapping[str, Any], product: str, pen: Pen) -> JSON:
    """The PackagedProductDefinition of a package of a product."""
    founded = pen.founded(sheet)
    built = _PACKAGE.build({key: sheet[key] for key in sheet if key not in ("id", "claims", "basis", "costs")}, pen)
    return {
        "resourceType": "PackagedProductDefinition",
        "id": f"{product}-{sheet['id']}",
        "language": "en",
        **({"extension": founded} if founded else {}),
        **built,
    }


def read_package(resource: JSON, guideline: JSON, product: str, pen: Pen) -> JSON:
    """The part of a sheet that a package was built from."""
    node = {key: value for key, value in resource.items() if key not in ("resourceType", "language", "text", "id")}
    extensions = [*node.pop("extension", ())]
    founded = pen.foundation(extensions)
    costs = Many(COST).read(guideline.get("cost", []), pen)
    id = str(resource["id"]).removeprefix(f"{product}-")
    return {"id": id, **_PACKAGE.read(node, pen), **({"costs": costs} if costs else {}), **founded}


def issue(sheet: Mapping[str, Any], pen: Pen) -> JSON:
    """The link of a MedicationKnowledge to a statement that is no use; to a limitation with its words, so that it can
    be found by a plain path, and read in releases that have no ClinicalUseDefinition.
    """
    link: JSON = {"reference": f"ClinicalUseDefinition/{pen.full_id(sheet['id'])}"}
    if "limitation" not in sheet:
        return link
    with pen.at("condition"):
        bare = BARE_CONCEPT.build(any_of(sheet["condition"]), pen)
    condition = {"url": EXTENSION + "limitation-condition", "valueCodeableConcept": bare}
    return {"extension": [*pen.founded(sheet), *effect_of(sheet, pen), condition], **link, "display": sheet["label"]}


def guideline(sheet: Mapping[str, Any], pen: Pen) -> JSON:
    """What a MedicationKnowledge says of a use: its concept once more, so that a plain path finds it, and its doses."""
    status = {"url": EXTENSION + "claim-regulatory-status", "valueCodeableConcept": status_concept(sheet, pen)}
    with pen.at("use"):
        bare = BARE_CONCEPT.build(any_of(sheet["use"]), pen)
    indication = {
        "extension": [*pen.founded(sheet), status, *effect_of(sheet, pen)],
        "concept": bare,
        "reference": {"reference": f"ClinicalUseDefinition/{pen.full_id(sheet['id'])}"},
    }
    built: JSON = {"indication": [indication]}
    if "dosing" in sheet:
        with pen.at("dosing"):
            built["dosingGuideline"] = Many(DOSING).build(sheet["dosing"], pen)
    return built
