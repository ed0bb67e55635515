"""The small parts of a sheet, as types: concepts, amounts, doses, and what a statement rests on.

They read a sheet and make its JSON Schema. FHIR's counterparts: https://hl7.org/fhir/R5/datatypes.html
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct

ID = r"^[A-Za-z0-9][A-Za-z0-9.-]{0,63}$"
CLAIM = r"^([A-Za-z0-9.-]+:)?[A-Z]+[0-9]+$"
CODE = r"^\??[<>~]?[a-z0-9-]+\|\S(.*\S)?$"
QUANTITY = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)? [^|]+(\|[!-~]+)?$"
RANGE = (
    r"^((up to|from) )?-?(0|[1-9][0-9]*)(\.[0-9]+)? [^|]+(\|[!-~]+)?$"
    r"|^-?(0|[1-9][0-9]*)(\.[0-9]+)? to -?(0|[1-9][0-9]*)(\.[0-9]+)? [^|]+(\|[!-~]+)?$"
)

Id: TypeAlias = Annotated[
    str,
    Meta(
        pattern=ID,
        description="An id: letters, digits, hyphens and dots.",
        extra_json_schema={"errorMessage": "an id: up to 64 letters, digits, hyphens and dots"},
    ),
]
Claims: TypeAlias = Annotated[
    tuple[
        Annotated[
            str,
            Meta(
                pattern=CLAIM,
                extra_json_schema={"errorMessage": "a claim, such as S48, or clonazepam:S48 in full"},
            ),
        ],
        ...,
    ],
    Meta(description="The claims that this rests on: S48, or clonazepam:S48 where two sources have an S48."),
]
Basis: TypeAlias = Annotated[
    Literal["terminology", "label", "editor"],
    Meta(description="What this rests on where it is not, or not only, a claim of a source."),
]
Codes: TypeAlias = Annotated[
    tuple[
        Annotated[
            str,
            Meta(
                pattern=CODE,
                extra_json_schema={"errorMessage": "a code, such as icd|G40, after <, > or ~ where it is not the same"},
            ),
        ],
        ...,
    ],
    Meta(
        description=(
            "Codes, as key|code with a key of terminologies.yaml. A sign in front says how the text relates to the "
            "code: < narrower than it, > broader, ~ related. ? in front of all marks a code that nobody verified; it "
            "is not built."
        ),
        examples=[["icd|G40", "~icd|R56.9", "<mesh|D004832"]],
    ),
]
Amount: TypeAlias = Annotated[
    str,
    Meta(
        pattern=QUANTITY,
        description="A number and a unit; where the unit is not its UCUM code, the code follows a bar.",
        examples=["0.5 mg", "1 tablet|{tbl}"],
        extra_json_schema={"errorMessage": "an amount, such as 0.5 mg or 1 tablet|{tbl}"},
    ),
]
Span: TypeAlias = Annotated[
    str,
    Meta(
        pattern=RANGE,
        description="A range, with both ends or one.",
        examples=["6 to 12 h", "up to 1 h", "from 65 a"],
        extra_json_schema={"errorMessage": "a range, such as 6 to 12 h, up to 1 h or from 65 a"},
    ),
]
Effect: TypeAlias = Annotated[
    Literal["effective", "responds", "not-effective", "not-suitable", "unknown"],
    Meta(description="How far the source says that the drug works. A use is never not-effective or not-suitable."),
]


def kebab(name: str) -> str:
    """The key of a field: `other_therapy` is other-therapy, and `with_` is with."""
    return name.rstrip("_").replace("_", "-")


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True, rename=kebab, forbid_unknown_fields=True):
    """A table of a sheet: its keys are words with hyphens, and no others may stand in it."""


class Founded(Part, frozen=True, kw_only=True):
    """What may name the claims that it rests on, or another basis."""

    claims: Claims = ()
    basis: Basis | None = None


class CodedText(Founded, frozen=True, kw_only=True):
    """A concept with its codes. Where there is only a text, the text may stand for the whole."""

    text: Annotated[str, Meta(min_length=1, description="The concept in the editors' own words.")]
    codes: Codes = ()


Concept: TypeAlias = str | CodedText
Concepts: TypeAlias = tuple[Concept, ...]


class Stated(Founded, frozen=True, kw_only=True):
    """One of a fixed list of codes, and the claims that it rests on."""

    code: str


class EffectStatement(Founded, frozen=True, kw_only=True):
    """How far the source says that the drug works, and where it says so."""

    code: Effect


class Worded(Founded, frozen=True, kw_only=True):
    """A text with what it rests on. One that rests on what holds it may be written as itself."""

    text: Annotated[str, Meta(min_length=1)]


class Remark(Part, frozen=True, kw_only=True):
    """A remark of the source that qualifies the statement. Without claims it shares those of what it stands on."""

    claims: Claims = ()
    text: Annotated[str, Meta(min_length=1)]


class OtherTherapy(Founded, frozen=True, kw_only=True):
    """Another treatment, and how it relates to the use."""

    how: Annotated[str, Meta(description="A code of the code system therapy-relationship.")]
    drug: Concept
    remark: str | None = None


class Duration(Founded, frozen=True, kw_only=True):
    """How long: in words or as a range, never both."""

    text: str | None = None
    range: Span | None = None


class Characteristic(Founded, frozen=True, kw_only=True):
    """A property with its value: of a product, of a patient or of the surroundings of a store."""

    type: Concept
    text: str | None = None
    concept: Concept | None = None
    amount: Amount | None = None
    range: Span | None = None
    unknown: Annotated[bool, Meta(description="Whether a value is to be expected that the source does not give.")] = (
        False
    )


class Times(Part, frozen=True, kw_only=True):
    """When a dose is given: https://hl7.org/fhir/R5/datatypes.html#timing"""

    code: Concept | None = None
    frequency: Annotated[int, Meta(ge=1)] | None = None
    frequency_max: Annotated[int, Meta(ge=1)] | None = None
    period: Annotated[Amount | None, Meta(description="How long one round of doses takes: 1 d, 8 h.")] = None
    duration: Annotated[Amount | None, Meta(description="For how long doses are given: 7 d.")] = None
    when: Annotated[tuple[str, ...], Meta(description="Codes of event-timing: HS, AC, PC.")] = ()


class AmountPer(Part, frozen=True, kw_only=True):
    """An amount in an amount: 40 mg in 1 d."""

    amount: Amount
    per: Amount


class Dosage(Founded, frozen=True, kw_only=True):
    """One dose as it is taken: https://hl7.org/fhir/R5/dosage.html"""

    text: str | None = None
    additional: Concepts = ()
    instruction: Annotated[str | None, Meta(description="What the patient is told.")] = None
    timing: Times | None = None
    as_needed: Annotated[bool, Meta(description="Whether it is taken when needed.")] = False
    as_needed_for: Concepts = ()
    site: Concept | None = None
    route: Concept | None = None
    method: Concept | None = None
    dose: Annotated[Amount | None, Meta(description="How much at a time.")] = None
    dose_range: Span | None = None
    rate: AmountPer | None = None
    max: Annotated[tuple[AmountPer, ...], Meta(description="The most in a time.")] = ()
    max_single: Annotated[Amount | None, Meta(description="The most at a time.")] = None
    max_ever: Annotated[Amount | None, Meta(description="The most in a lifetime.")] = None


class Doses(Founded, frozen=True, kw_only=True):
    """Doses of one kind."""

    type: Concept
    dosage: tuple[Dosage, ...]


class Dosing(Part, frozen=True, kw_only=True):
    """How a use is treated: the line of therapy, the doses, and for whom these are."""

    intent: Concept | None = None
    line: Annotated[Concept | None, Meta(description="The line of therapy, such as first-line.")] = None
    doses: tuple[Doses, ...] = ()
    for_: Annotated[tuple[Characteristic, ...], Meta(description="Whom these doses are for.")] = ()


def any_of(value: Any) -> Any:
    """A concept as a table, whether it is written as one or as its text alone."""
    return {"text": value} if isinstance(value, str) else value


class Severity(Founded, frozen=True, kw_only=True):
    """How severe the source calls it: its word, and the code that this stands for."""

    code: Literal["high", "moderate", "low"] | None = None
    text: Annotated[str, Meta(min_length=1, description="The word of the source.")] | None = None


class Citation(Part, frozen=True, kw_only=True):
    """Where a statement comes from that no claim stands for."""

    citation: Annotated[str, Meta(min_length=1)] | None = None
    address: Annotated[str, Meta(min_length=1, description="A URL where it can be read.")] | None = None
