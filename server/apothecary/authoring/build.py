"""A sheet -> the resources of its drug (FHIR R5): https://hl7.org/fhir/R5/overview-clinical.html"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apothecary.authoring.documents import discrepancy, evidence, population, source
from apothecary.authoring.knowledge import guideline, issue, knowledge, medication, package, substance
from apothecary.authoring.lens import CONCEPT, Many
from apothecary.authoring.monograph import composition, provenance
from apothecary.authoring.order import in_order
from apothecary.authoring.parts import COST
from apothecary.authoring.pen import Pen
from apothecary.authoring.statements import KINDS, NEGATIVE
from apothecary.authoring.terms import Vocabulary
from apothecary.authoring.types import any_of
from apothecary.content.documents import Document, Pointer
from apothecary.fhir.json import JSON

# What says that a drug does not work: never the words of a use.
_NEGATIVE = re.compile(
    r"\b(ineffective|unsuitable|not (effective|suitable|indicated)|does not (work|help))\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class ReadSheet:
    """A sheet as it was read, and where its values stand."""

    path: Path
    document: Document
    value: Mapping[str, Any]

    @property
    def drug(self) -> str:
        """The id of the drug."""
        return str(self.value["drug"])


@dataclass(frozen=True, slots=True)
class Built:
    """What a sheet says, as resources without narratives. `faults` and `unverified` are by place in the sheet."""

    sheet: ReadSheet
    resources: list[JSON]
    faults: list[tuple[Pointer, str]]
    unverified: list[tuple[Pointer, str]]
    used: Mapping[str, set[str]]


def pen_for(value: Mapping[str, Any], vocabulary: Vocabulary) -> Pen:
    """A pen for a sheet: what its ids begin with, and what its claims may be called."""
    claims: dict[str, tuple[str, ...]] = {}
    for one in value["sources"]:
        for claim in one["claims"]:
            full = f"{one['key']}:{claim}"
            claims[full] = (full,)
            claims[claim] = (*claims.get(claim, ()), full)
    prefix = f"{value['drug']}-" if value.get("ids", "by-drug") == "by-drug" else ""
    return Pen(vocabulary, value["drug"], prefix, claims)


def build(sheet: ReadSheet, vocabulary: Vocabulary, publisher: str) -> Built:
    """The resources of one sheet. `publisher` is the name of its editors."""
    value = sheet.value
    pen = pen_for(value, vocabulary)
    _check(value, pen)
    resources = [*_resources(value, publisher, pen)]
    _every_claim(value, pen)
    steps = value.get("provenance", ())
    terminologies = [
        {"what": {"identifier": {"system": "urn:ietf:rfc:3986", "value": one["system"]}, "display": one["credit"]}}
        for key, one in vocabulary.listed.items()
        if key in pen.used
    ]
    resources += [provenance(value, step, resources, terminologies) for step in steps]
    return Built(sheet, [in_order(one) for one in resources], pen.faults, pen.unverified, pen.used)


def _resources(sheet: Mapping[str, Any], publisher: str, pen: Pen) -> Iterator[JSON]:
    for number, one in enumerate(sheet["sources"]):
        with pen.at("sources", number):
            yield source({key: part for key, part in one.items() if key != "claims"}, pen)
    for number, one in enumerate(sheet["substances"]):
        with pen.at("substances", number):
            yield substance(one, pen)
    for number, one in enumerate(sheet.get("populations", ())):
        with pen.at("populations", number):
            yield population(one, pen)
    for number, one in enumerate(sheet.get("evidence", ())):
        with pen.at("evidence", number):
            yield evidence(one, sheet["date"], publisher, pen)
    yield from _drug(sheet, pen)
    for kind in KINDS:
        for number, one in enumerate(sheet.get(kind.key, ())):
            with pen.at(kind.key, number):
                yield {**kind.lens.build(one, pen), "subject": [{"reference": f"Medication/{sheet['drug']}"}]}
    for number, one in enumerate(sheet.get("products", ())):
        with pen.at("products", number):
            yield from _product(sheet, one, pen)
    # That the editors question a claim does not state it.
    stated = set(pen.used_claims)
    for number, one in enumerate(sheet.get("discrepancies", ())):
        with pen.at("discrepancies", number):
            yield discrepancy(one, sheet["date"], sheet["editors"], pen)
    pen.used_claims = stated
    yield composition(sheet, pen)


def _drug(sheet: Mapping[str, Any], pen: Pen) -> Iterator[JSON]:
    own = {key: part for key, part in sheet["knowledge"].items() if key not in ("medication-claims", "packaging")}
    sources = [one["id"] for one in sheet["sources"]]
    with pen.at("knowledge"):
        built = knowledge(own, sheet["drug"], sheet["editors"], sources, pen, f"{sheet['drug']}-monograph")
        code = any_of(own["code"])
        if "medication-claims" in sheet["knowledge"]:
            code = {**code, "claims": sheet["knowledge"]["medication-claims"]}
        with pen.at("code"):
            medication_code = CONCEPT.build(code, pen)
        yield from _packages(sheet["knowledge"], built, pen)
    guidelines = []
    for number, use in enumerate(sheet.get("uses", ())):
        with pen.at("uses", number):
            guidelines.append(guideline(use, pen))
    issues = []
    for kind in KINDS:
        for number, one in enumerate(sheet.get(kind.key, ()) if kind.key != "uses" else ()):
            with pen.at(kind.key, number):
                issues.append(issue(one, pen))
    if guidelines:
        built["indicationGuideline"] = guidelines
    if issues:
        built["clinicalUseIssue"] = issues
    yield built
    yield medication(built, medication_code, product=False)


def _product(sheet: Mapping[str, Any], product: Mapping[str, Any], pen: Pen) -> Iterator[JSON]:
    own = {key: part for key, part in product.items() if key not in ("id", "packaging")}
    sources = [one["id"] for one in sheet["sources"]]
    built = knowledge(own, product["id"], sheet["editors"], sources, pen)
    yield from _packages(product, built, pen)
    yield built
    yield medication(built, built["code"], product=True)


def _packages(sheet: Mapping[str, Any], of: JSON, pen: Pen) -> Iterator[JSON]:
    packaging = []
    for number, one in enumerate(sheet.get("packaging", ())):
        with pen.at("packaging", number):
            built = package(one, of["id"], pen)
            with pen.at("costs"):
                costs = Many(COST).build(one.get("costs", ()), pen)
        packaging.append(
            {
                **({"cost": costs} if costs else {}),
                "packagedProduct": {"reference": f"PackagedProductDefinition/{built['id']}"},
            }
        )
        yield built
    if packaging:
        of["packaging"] = packaging


def _check(sheet: Mapping[str, Any], pen: Pen) -> None:
    """What no type can say of a sheet: ids stand once and lead somewhere, and no use is a limitation."""
    statements: dict[str, Pointer] = {}
    for kind in KINDS:
        for number, one in enumerate(sheet.get(kind.key, ())):
            _once(one["id"], statements, (kind.key, number, "id"), pen)
    groups: dict[str, Pointer] = {}
    studies: dict[str, Pointer] = {}
    for part, seen in (("populations", groups), ("evidence", studies), ("discrepancies", {}), ("substances", {})):
        for number, one in enumerate(sheet.get(part, ())):
            _once(one["id"], seen, (part, number, "id"), pen)
    drugs: dict[str, Pointer] = {sheet["drug"]: ("drug",)}
    for number, one in enumerate(sheet.get("products", ())):
        _once(one["id"], drugs, ("products", number, "id"), pen)
    known: tuple[tuple[str, Mapping[str, Pointer], str], ...] = (
        ("see-also", statements, "statement"),
        ("undesirable-effects", statements, "statement"),
        ("indications", statements, "statement"),
        ("evidence", studies, "evidence"),
        ("population", groups, "population"),
    )
    for kind in KINDS:
        for number, one in enumerate(sheet.get(kind.key, ())):
            for key, names, what in known:
                for place, name in enumerate(one.get(key, ())):
                    if name not in names:
                        with pen.at(kind.key, number, key, place):
                            pen.fault(f"this sheet has no {what} {name!r}")
    _check_negatives(sheet, pen)


def _once(id: str, seen: dict[str, Pointer], place: Pointer, pen: Pen) -> None:
    if id in seen:
        with pen.at(*place):
            pen.fault(f"the id {id!r} stands twice")
    seen[id] = place


def _check_negatives(sheet: Mapping[str, Any], pen: Pen) -> None:
    """A use never says that the drug does not work, and no claim is both a use and a limitation."""
    limiting = {claim: one["id"] for one in sheet.get("limitations", ()) for claim in one.get("claims", ())}
    for number, use in enumerate(sheet.get("uses", ())):
        effect = use.get("effect-statement", "")
        with pen.at("uses", number, "effect-statement"):
            if (effect if isinstance(effect, str) else effect["code"]) in NEGATIVE:
                pen.fault("what does not work, or does not suit, is no use: write it among the limitations")
        with pen.at("uses", number, "use"):
            if _NEGATIVE.search(any_of(use["use"])["text"]):
                pen.fault("the words say that the drug does not work: write it among the limitations")
        for place, claim in enumerate(use.get("claims", ())):
            if claim in limiting:
                with pen.at("uses", number, "claims", place):
                    pen.fault(f"{claim} is a limitation already ({limiting[claim]}): a negative statement is no use")


def _every_claim(sheet: Mapping[str, Any], pen: Pen) -> None:
    """A claim that nothing rests on is a statement that would be lost."""
    for number, one in enumerate(sheet["sources"]):
        for claim in one["claims"]:
            if f"{one['key']}:{claim}" not in pen.used_claims:
                with pen.at("sources", number, "claims", claim):
                    pen.fault(f"nothing in this sheet rests on {claim}")


def reference_of(resource: JSON) -> str:
    """`Type/id`"""
    return f"{resource['resourceType']}/{resource['id']}"
