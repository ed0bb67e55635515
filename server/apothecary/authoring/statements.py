"""How statements about a drug stand in FHIR: uses, limitations, contraindications, interactions, undesirable effects
and warnings as ClinicalUseDefinitions. https://hl7.org/fhir/R5/clinicalusedefinition.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apothecary.authoring.amounts import Range
from apothecary.authoring.lens import (
    CONCEPT,
    CONCEPT_REFERENCE,
    SAME,
    At,
    Extended,
    Field,
    Many,
    Mapped,
    Only,
    Primitive,
    Table,
    reference,
    standard,
)
from apothecary.authoring.parts import Inside
from apothecary.authoring.pen import BASIS, CODES, EXTENSION, Pen
from apothecary.fhir.json import JSON
from apothecary.fhir.statements import SEVERITY

_QUALIFICATION = EXTENSION + "qualification"
_EDITOR: JSON = {"url": BASIS, "valueCode": "editor"}
_STATUS = CODES + "claim-regulatory-status"
_LIMITATION: JSON = {"system": CODES + "claim-category", "code": "limitation-of-use", "display": "Limitation of use"}
_INTENDED = "http://hl7.org/fhir/product-intended-use"
_LIMITATION_TYPE = CODES + "limitation-type"
NEGATIVE = ("not-effective", "not-suitable")


@dataclass(frozen=True, slots=True)
class Qualified:
    """Remarks: each a text with the claims that it rests on. `single` where a sheet writes one text alone."""

    key: str
    single: bool = False

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        remarks = [{"text": sheet[self.key]}] if self.single and self.key in sheet else sheet.get(self.key, ())
        for number, remark in enumerate(remarks):
            with pen.at(self.key, *([] if self.single else [number])):
                parts = [*pen.founded(remark), {"url": "text", "valueMarkdown": remark["text"]}]
            node.setdefault("extension", []).append({"extension": parts, "url": _QUALIFICATION})

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        found: list[JSON] = []
        for one in [each for each in node.get("extension", ()) if each["url"] == _QUALIFICATION]:
            node["extension"].remove(one)
            parts = [*one["extension"]]
            founded = pen.foundation(parts)
            (text,) = parts
            found.append({**founded, "text": text["valueMarkdown"]})
        if found:
            sheet[self.key] = found[0]["text"] if self.single else found


def _shown(kind: str, *, by_editor: bool) -> Mapped:
    """A reference that an extension holds; one that the editors thought of says so."""
    head: JSON = {"extension": [_EDITOR]} if by_editor else {}

    def back(value: JSON, pen: Pen) -> str:
        id = str(value.get("reference", "")).removeprefix(f"{kind}/")
        if value != {**head, "reference": f"{kind}/{id}"}:
            pen.fault("is another reference than a sheet writes")
        return pen.written_id(id)

    return Mapped(lambda value, pen: {**head, "reference": f"{kind}/{pen.full_id(value)}"}, back)


class Status:
    """The regulatory status of a use: a category that rests on claims, or on the editors where no source states it."""

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        node["category"] = [status_concept(sheet, pen)]

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        (category,) = node.pop("category")
        founded = pen.foundation([*category.get("extension", ())])
        sheet["status"] = category["coding"][0]["code"]
        if "claims" in founded:
            sheet["status-claims"] = founded["claims"]


def status_concept(sheet: Mapping[str, Any], pen: Pen) -> JSON:
    """The CodeableConcept of the regulatory status of a use."""
    claims = sheet.get("status-claims", ())
    founded = []
    for number, claim in enumerate(claims):
        with pen.at("status-claims", number):
            founded += pen.founded({"claims": [claim]})
    return {"extension": founded or [_EDITOR], "coding": [pen.standard(_STATUS, sheet["status"])]}


@dataclass(frozen=True, slots=True)
class Spanning:
    """A duration that is a range, with the claims that it rests on."""

    key: str
    element: str

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        if "range" in sheet.get(self.key, ()):
            with pen.at(self.key):
                founded = pen.founded(sheet[self.key])
                with pen.at("range"):
                    built = Range().build(sheet[self.key]["range"], pen)
                node[self.element] = {**({"extension": founded} if founded else {}), **built}

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        if self.element in node:
            value = {**node.pop(self.element)}
            founded = pen.foundation([*value.pop("extension", ())])
            sheet[self.key] = {"range": Range().read(value, pen), **founded}


class Stating:
    """A code of one system that may name the claims that it rests on."""

    def __init__(self, system: str) -> None:
        self.lens = Table((At("code", "coding", Mapped(self._forth, self._back)),), short="code")
        self.system = system

    def _forth(self, value: str, pen: Pen) -> list[JSON]:
        return [pen.standard(self.system, value)]

    def _back(self, value: list[JSON], pen: Pen) -> str:
        if value != [pen.standard(self.system, str(value[0].get("code")))]:
            pen.fault(f"is no plain code of {self.system}")
        return str(value[0].get("code"))


_EFFECT = Extended(
    "effect-statement", "effect-statement", "valueCodeableConcept", Stating(CODES + "effect-statement").lens
)


def effect_of(sheet: Mapping[str, Any], pen: Pen) -> list[JSON]:
    """The extension that holds the statement of effect of a part of a sheet, once more beside a link to it."""
    node: JSON = {}
    _EFFECT.build(sheet, node, pen)
    found: list[JSON] = node.get("extension", [])
    return found


ID: Field = At("id", "id", Mapped(lambda value, pen: pen.full_id(value), lambda value, pen: pen.written_id(value)))
_COMMON: tuple[Field, ...] = (
    ID,
    Qualified("remarks"),
    Extended("evidence", "related-evidence", "valueReference", _shown("Evidence", by_editor=False), many=True),
    Extended("see-also", "see-also", "valueReference", _shown("ClinicalUseDefinition", by_editor=True), many=True),
    At("population", "population", Many(reference("Group", of_drug=True))),
)
_SEVERE: tuple[Field, ...] = (
    Extended(
        "severity",
        "severity",
        "valueCodeableConcept",
        Table((*Stating(SEVERITY).lens.fields, At("text", "text")), short="code"),
    ),
    Extended(
        "source",
        "statement-source",
        "valueRelatedArtifact",
        Table(
            (At("citation", "citation"), At("address", "document", Only(SAME, "url"))),
            founded=False,
            short="citation",
            fixed=(("type", "citation"),),
        ),
    ),
)
_OTHER_THERAPY = Table(
    (
        At("how", "relationshipType", standard(CODES + "therapy-relationship")),
        At("drug", "treatment", CONCEPT_REFERENCE),
        Qualified("remark", single=True),
    )
)
_DEFINITIONS = Many(reference("ClinicalUseDefinition", of_drug=True))
_USE: tuple[Field, ...] = (
    At("use", "diseaseSymptomProcedure", CONCEPT_REFERENCE),
    At("course", "diseaseStatus", CONCEPT_REFERENCE),
    At("comorbidity", "comorbidity", Many(CONCEPT_REFERENCE)),
    At("effect", "intendedEffect", Only(Stating(_INTENDED).lens, "concept")),
    Primitive("duration", "durationString"),
    Spanning("duration", "durationRange"),
    At("undesirable-effects", "undesirableEffect", _DEFINITIONS),
    At("with", "otherTherapy", Many(_OTHER_THERAPY)),
)


class LimitationCode:
    """What a limitation is: its code, and its label as the text of the concept."""

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        with pen.at("limitation"):
            coding = pen.standard(_LIMITATION_TYPE, sheet["limitation"])
        node["code"] = {"coding": [coding], "text": sheet["label"]}

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        concept = node.pop("code")
        sheet["limitation"], sheet["label"] = concept["coding"][0]["code"], concept["text"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A part of the sheet whose items are ClinicalUseDefinitions of one type."""

    key: str
    type: str
    element: str
    lens: Table

    def holds(self, resource: JSON) -> bool:
        """Whether a ClinicalUseDefinition belongs to this part."""
        limited = [_LIMITATION] in [one.get("coding") for one in resource.get("category", ())]
        return resource.get("type") == self.type and limited == (self.key == "limitations")


def _kind(key: str, type: str, inner: tuple[Field, ...], *outer: Field, limited: bool = False) -> Kind:
    element = {"undesirable-effect": "undesirableEffect"}.get(type, type)
    fixed: tuple[tuple[str, Any], ...] = (
        ("resourceType", "ClinicalUseDefinition"),
        ("language", "en"),
        ("type", type),
        (
            "status",
            {"coding": [{"system": "http://hl7.org/fhir/publication-status", "code": "active", "display": "Active"}]},
        ),
    )
    if limited:
        fixed += (("category", [{"extension": [_EDITOR], "coding": [_LIMITATION]}]),)
    return Kind(key, type, element, Table((*_COMMON, *outer, Inside(element, inner)), fixed=fixed))


KINDS: tuple[Kind, ...] = (
    _kind(
        "uses",
        "indication",
        _USE,
        Status(),
        _EFFECT,
    ),
    _kind(
        "limitations",
        "warning",
        (
            Primitive("description", "description", short=True),
            Extended("condition", "limitation-condition", "valueCodeableConcept", CONCEPT),
            Extended("effect", "limitation-intended-effect", "valueCodeableConcept", Stating(_INTENDED).lens),
            LimitationCode(),
        ),
        _EFFECT,
        limited=True,
    ),
    _kind(
        "contraindications",
        "contraindication",
        (
            At("condition", "diseaseSymptomProcedure", CONCEPT_REFERENCE),
            At("course", "diseaseStatus", CONCEPT_REFERENCE),
            At("comorbidity", "comorbidity", Many(CONCEPT_REFERENCE)),
            At("indications", "indication", _DEFINITIONS),
            At("with", "otherTherapy", Many(_OTHER_THERAPY)),
        ),
        *_SEVERE,
    ),
    _kind(
        "interactions",
        "interaction",
        (
            At("with", "interactant", Many(Only(CONCEPT, "itemCodeableConcept"))),
            At("type", "type", CONCEPT),
            At("effect", "effect", CONCEPT_REFERENCE),
            At("incidence", "incidence", CONCEPT),
            At("management", "management", Many(CONCEPT)),
        ),
        *_SEVERE,
    ),
    _kind(
        "undesirable-effects",
        "undesirable-effect",
        (
            At("effect", "symptomConditionEffect", CONCEPT_REFERENCE),
            At("class", "classification", CONCEPT),
            At("frequency", "frequencyOfOccurrence", CONCEPT),
        ),
    ),
    _kind("warnings", "warning", (Primitive("description", "description", short=True), At("code", "code", CONCEPT))),
)
