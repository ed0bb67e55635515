"""A sheet: all that is known of one drug, on one page of YAML, from which its FHIR resources are built.

These types read a sheet, and `apothecary schema sheet` prints their JSON Schema. What becomes of each part:
https://hl7.org/fhir/R5/medicationknowledge.html and https://hl7.org/fhir/R5/clinicalusedefinition.html
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

from apothecary.authoring.medicines import Drug, Product, Substance
from apothecary.authoring.types import (
    Basis,
    Characteristic,
    Citation,
    Claims,
    Concept,
    Concepts,
    Dosing,
    Duration,
    EffectStatement,
    Founded,
    Id,
    OtherTherapy,
    Part,
    Remark,
    Severity,
    Stated,
    Worded,
)
from apothecary.content.documents import Document
from apothecary.content.schemas import json_schema, read_as

SCHEMA_ID = "urn:apothecary:schema:sheet"


class Claim(Part, frozen=True, kw_only=True):
    """One statement of a source, in the editors' own words."""

    line: Annotated[int, Meta(ge=1, description="The line of the source.")]
    says: Annotated[str, Meta(min_length=1, description="What the source says, in the editors' own words.")]


class Source(Part, frozen=True, kw_only=True):
    """A text that the sheet restates. The text itself is not kept."""

    id: Annotated[Id, Meta(description="The id of its DocumentReference.")]
    key: Annotated[Id, Meta(description="What the ids of its claims begin with: clonazepam for clonazepam:S48.")]
    title: str
    type: Concept
    description: str
    date: Annotated[str | None, Meta(description="When the source was written, where that is known.")] = None
    licence: Annotated[str | None, Meta(description="The terms it may be used under, where they are known.")] = None
    doc_status: str | None = None
    content_type: str | None = None
    language: str | None = None
    size: Annotated[int, Meta(ge=0, description="Its length in bytes.")] | None = None
    sha1: Annotated[str | None, Meta(description="Its SHA-1 in base64.")] = None
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="Its SHA-256 in hexadecimal.")] | None = None
    claims: Annotated[dict[str, Claim], Meta(description="What it says, by ids such as S1.")]


class Enrichment(Part, frozen=True, kw_only=True):
    """A step on the way from the sources to the resources: https://hl7.org/fhir/R5/provenance.html"""

    id: Id
    of: Annotated[
        Literal["source-text", "terminology", "label"],
        Meta(
            description="What was taken over: all resources, or those with an element of this basis, are its targets."
        ),
    ]
    recorded: str
    activity: str
    from_: Annotated[
        tuple[str, ...], Meta(description="Where from; sources and terminologies are named without being listed.")
    ] = ()


class Statement(Founded, frozen=True, kw_only=True):
    """What every statement about the drug may have."""

    id: Id
    remarks: tuple[Remark, ...] = ()
    evidence: Annotated[tuple[Id, ...], Meta(description="Ids of evidence of this sheet.")] = ()
    see_also: Annotated[tuple[Id, ...], Meta(description="Ids of statements that a reader must see with this.")] = ()
    population: Annotated[tuple[Id, ...], Meta(description="Ids of groups of this sheet that this is limited to.")] = ()


class Use(Statement, frozen=True, kw_only=True):
    """Something that the drug is used for. What it does not work for is a limitation."""

    status: Annotated[
        Literal["in-approval-per-source", "off-label", "investigational", "unspecified"],
        Meta(description="What the source says of its regulatory status."),
    ]
    status_claims: Claims = ()
    effect_statement: EffectStatement | None = None
    use: Concept
    course: Annotated[Concept | None, Meta(description="The state of the disease, such as acute.")] = None
    comorbidity: Concepts = ()
    effect: Annotated[str | Stated | None, Meta(description="A code of product-intended-use: Treatment.")] = None
    duration: Duration | None = None
    undesirable_effects: tuple[Id, ...] = ()
    with_: Annotated[tuple[OtherTherapy, ...], Meta(description="Other treatments beside or before it.")] = ()
    dosing: tuple[Dosing, ...] = ()


class Limitation(Statement, frozen=True, kw_only=True):
    """Something that the drug does not work or does not suit for. It is no contraindication."""

    limitation: Annotated[str, Meta(description="A code of the code system limitation-type.")]
    label: Annotated[str, Meta(description="The limitation in a few words.")]
    description: str | Worded
    effect_statement: EffectStatement | None = None
    condition: Annotated[Concept, Meta(description="The condition or purpose that it is about.")]
    effect: Annotated[str | Stated | None, Meta(description="What it was meant to do: Treatment, Prevention.")] = None


class Judged(Statement, frozen=True, kw_only=True):
    """A statement against a drug: how severe the source calls it, and which source where no claim stands for it."""

    severity: Annotated[
        Literal["high", "moderate", "low"] | Severity | None,
        Meta(description="How severe the source calls it; left out where it does not say."),
    ] = None
    source: Annotated[str | Citation | None, Meta(description="Who says so, where that is no claim.")] = None


class Contraindication(Judged, frozen=True, kw_only=True):
    """A situation in which the drug must not be used."""

    condition: Concept
    course: Concept | None = None
    comorbidity: Concepts = ()
    indications: Annotated[tuple[Id, ...], Meta(description="Ids of the uses that this stands against.")] = ()
    with_: tuple[OtherTherapy, ...] = ()


class Interaction(Judged, frozen=True, kw_only=True):
    """What happens together with another drug, food or substance."""

    with_: Annotated[Concepts, Meta(min_length=1, description="What it interacts with.")]
    type: Concept | None = None
    effect: Concept | None = None
    incidence: Concept | None = None
    management: Annotated[Concepts, Meta(description="What the source says to do.")] = ()


class UndesirableEffect(Statement, frozen=True, kw_only=True):
    """An effect that nobody wants."""

    effect: Concept
    class_: Concept | None = None
    frequency: Concept | None = None


class Warning(Statement, frozen=True, kw_only=True):
    """A warning that is none of the others."""

    description: str | Worded
    code: Concept | None = None


class Evidence(Part, frozen=True, kw_only=True):
    """What a source says of studies. It is never graded here: https://hl7.org/fhir/R5/evidence.html"""

    id: Id
    claims: Claims
    title: str
    assertion: str
    notes: tuple[str | Worded, ...] = ()
    variables: Annotated[
        dict[Literal["population", "subpopulation", "exposure", "referenceExposure", "measuredVariable"], str],
        Meta(min_length=1),
    ]
    design: Concepts = ()
    certainty: Annotated[
        str | None, Meta(description="Only where the source grades; else it is said that it does not.")
    ] = None


class Population(Part, frozen=True, kw_only=True):
    """People that statements are limited to: https://hl7.org/fhir/R5/group.html"""

    id: Id
    claims: Claims
    name: str
    description: str
    characteristics: tuple[Characteristic, ...] = ()


class Discrepancy(Part, frozen=True, kw_only=True):
    """What the editors questioned, and what they did: https://hl7.org/fhir/R5/artifactassessment.html"""

    id: Annotated[str, Meta(pattern="^D[0-9]+$")]
    title: str
    date: str | None = None
    about: Annotated[str, Meta(description="What it concerns: a reference such as ClinicalUseDefinition/akathisia.")]
    also: Annotated[tuple[str, ...], Meta(description="What else it concerns.")] = ()
    claims: Claims = ()
    basis: Basis
    found: Annotated[str, Meta(description="What differs.")]
    shown: Annotated[str, Meta(description="How it is shown.")]
    paths: tuple[str, ...] = ()
    state: str
    disposition: str | None = None


class Section(Founded, frozen=True, kw_only=True):
    """A section of the monograph: from a text, from what the sheet holds, or empty with a reason."""

    title: str
    text: Annotated[str | None, Meta(description="The section in the editors' own words.")] = None
    entries: Annotated[
        Literal[
            "uses", "limitations", "contraindications", "interactions", "undesirable-effects", "warnings", "products",
            "evidence", "discrepancies",
        ]
        | tuple[str, ...]
        | None,
        Meta(description="What it lists: a part of this sheet, or references."),
    ] = None  # fmt: skip
    absent: Annotated[
        Literal["source", "label"] | None,
        Meta(description="source: the source has nothing; label: and product labels do have something here."),
    ] = None
    note: Annotated[str | None, Meta(description="What else is to be said of an empty section.")] = None


class Sheet(Part, frozen=True, kw_only=True):
    """One drug."""

    drug: Annotated[Id, Meta(description="The id of the drug, and of its MedicationKnowledge.")]
    title: Annotated[str, Meta(description="The title of the monograph.")]
    date: str
    status: Annotated[str, Meta(description="The status of the monograph.")] = "preliminary"
    ids: Annotated[
        Literal["by-drug", "as-written"],
        Meta(description="by-drug: ids of statements get that of the drug in front. as-written: they stay."),
    ] = "by-drug"
    editors: Annotated[Id, Meta(description="The id of the Organization whose editors write this.")]
    note: Annotated[str, Meta(description="What every reader must know first.")]
    sources: Annotated[tuple[Source, ...], Meta(min_length=1)]
    provenance: tuple[Enrichment, ...] = ()
    substances: tuple[Substance, ...]
    knowledge: Drug
    products: tuple[Product, ...] = ()
    populations: tuple[Population, ...] = ()
    uses: tuple[Use, ...] = ()
    limitations: tuple[Limitation, ...] = ()
    contraindications: tuple[Contraindication, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    undesirable_effects: tuple[UndesirableEffect, ...] = ()
    warnings: tuple[Warning, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    discrepancies: tuple[Discrepancy, ...] = ()
    sections: tuple[Section, ...] = ()


def sheet_schema() -> dict[str, Any]:
    """The JSON Schema of sheets, for editors."""
    return json_schema(Sheet, SCHEMA_ID, "A drug sheet of Apothecary")


def checked(document: Document) -> dict[str, Any]:
    """The value of a document that is a sheet. Raises InvalidFile with every fault at its place."""
    read_as(Sheet, document)
    value: dict[str, Any] = document.value
    return value
