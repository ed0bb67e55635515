"""What a sheet says of a drug and its products, apart from what they do: names, strengths, form, packages, prices.

https://hl7.org/fhir/R5/medicationknowledge.html
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from apothecary.authoring.types import Amount, Characteristic, Claims, Codes, Concept, Concepts, Founded, Id, Part, Span


class Substance(Founded, frozen=True, kw_only=True):
    """An active ingredient: https://hl7.org/fhir/R5/substance.html"""

    id: Id
    text: str
    codes: Codes = ()
    ingredient_codes: Annotated[
        Codes, Meta(description="Those codes that stand where it is an ingredient; all where none are named.")
    ] = ()


class Denominator(Founded, frozen=True, kw_only=True):
    """What a strength is in."""

    amount: Amount


class Ingredient(Founded, frozen=True, kw_only=True):
    """A substance in the drug or product, with its strength: an amount in an amount, an amount, or words."""

    substance: Id
    type: Concept | None = None
    strength: Amount | None = None
    per: Amount | Denominator | None = None
    strength_text: Concept | None = None


class Classification(Founded, frozen=True, kw_only=True):
    """A group that the drug belongs to."""

    type: Concept
    source: str | None = None
    source_uri: str | None = None
    classes: Concepts


class Timing(Founded, frozen=True, kw_only=True):
    """A span of time with the claims that it rests on."""

    range: Span


class EffectTiming(Part, frozen=True, kw_only=True):
    """When the effect begins and how long it lasts."""

    onset: Timing | None = None
    duration: Timing | None = None


class MaxDispense(Part, frozen=True, kw_only=True):
    """The most that may be dispensed in a time."""

    quantity: Amount
    period: Amount | None = None


class Substitution(Part, frozen=True, kw_only=True):
    """Whether a product of this kind may be exchanged."""

    type: Concept
    allowed: bool


class Regulatory(Founded, frozen=True, kw_only=True):
    """What an authority says of the drug."""

    authority: str
    schedules: Concepts = ()
    substitution: tuple[Substitution, ...] = ()
    max_dispense: MaxDispense | None = None


class Cost(Founded, frozen=True, kw_only=True):
    """A price, or a class of prices."""

    type: Concept
    cost: Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)? [A-Z]{3}$", examples=["12.50 USD"])] | None = None
    category: Concept | None = None
    source: str | None = None


class Monitoring(Founded, frozen=True, kw_only=True):
    """A programme under which the drug is watched."""

    type: Concept | None = None
    name: str | None = None


class Storage(Founded, frozen=True, kw_only=True):
    """How the drug is kept."""

    reference: str | None = None
    notes: tuple[str, ...] = ()
    duration: Amount | None = None
    environment: tuple[Characteristic, ...] = ()


class Packaging(Founded, frozen=True, kw_only=True):
    """A package of a product: https://hl7.org/fhir/R5/packagedproductdefinition.html"""

    id: Id
    name: str
    description: str | None = None
    type: Concept | None = None
    contains: tuple[Amount, ...] = ()
    costs: tuple[Cost, ...] = ()


class Coverage(Part, frozen=True, kw_only=True):
    """How far a standard section is present. Those that are not named are not supplied."""

    section: Annotated[str, Meta(description="The title of the section, such as Drug interactions.")]
    coverage: Literal["supplied", "partial", "not-supplied", "recorded-elsewhere"]
    note: str | None = None


class Related(Founded, frozen=True, kw_only=True):
    """Drugs that this one is related to."""

    type: Concept
    drugs: Annotated[
        tuple[str, ...], Meta(description="Ids of drugs; one that the content does not hold by its code: rx|197527.")
    ]


class Knowledge(Part, frozen=True, kw_only=True):
    """What drugs and products have in common."""

    names: Annotated[Concepts, Meta(description="Every name it goes by.")] = ()
    kind: Concepts = ()
    jurisdictions: Annotated[Concepts, Meta(description="Where this holds; unknown where none is named.")] = ()
    related: tuple[Related, ...] = ()
    timing: EffectTiming | None = None
    coverage: tuple[Coverage, ...] = ()
    classes: tuple[Classification, ...] = ()
    form: Concept | None = None
    routes: Concepts = ()
    ingredients: tuple[Ingredient, ...] = ()
    characteristics: tuple[Characteristic, ...] = ()
    preparation: Annotated[str | None, Meta(description="How it is made ready for use.")] = None
    costs: tuple[Cost, ...] = ()
    monitoring: tuple[Monitoring, ...] = ()
    packaging: tuple[Packaging, ...] = ()
    storage: tuple[Storage, ...] = ()
    regulatory: tuple[Regulatory, ...] = ()


class Drug(Knowledge, frozen=True, kw_only=True):
    """The drug itself, at the level of its ingredients."""

    code: Concept
    medication_claims: Annotated[Claims, Meta(description="Claims on the Medication where they are others.")] = ()


class Product(Knowledge, frozen=True, kw_only=True):
    """A product of the drug. It carries no uses: these belong to the drug."""

    id: Id
    code: Concept
