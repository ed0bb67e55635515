"""How an audit of the content says what must be said of a claim, and where: FHIRPath on the R5 form of a resource."""

from __future__ import annotations

from typing import NamedTuple

CONDITION = "indication.diseaseSymptomProcedure.concept"
EXTENSION = "extension.where(url.endsWith('/{}'))"


class Said(NamedTuple):
    """What a claim asks for: `holds` is a FHIRPath expression on the R5 resource at `place` that is to be true;
    `words` stand in that resource's text in every release, and `read` in the R4 MedicationKnowledge.
    """

    claim: str
    place: str
    holds: str
    words: str
    read: str = ""


def effect(code: str, claim: str) -> str:
    """That the statement of effect is `code` and rests on `claim`."""
    value = EXTENSION.format("effect-statement") + ".value"
    return (
        f"{value}.coding.where(code = '{code}').exists() and "
        f"{value}.extension.where(url.endsWith('/source-claim') and value = 'clonazepam:{claim}').exists()"
    )


def relation(concept: str, code: str, name: str) -> str:
    """That the coding `code` of `concept` is related to the text by `name`."""
    found = f"{concept}.coding.where(code = '{code}')"
    return f"{found}.{EXTENSION.format('code-relationship')}.value = '{name}'"


def status(code: str) -> str:
    """That the regulatory status of a use is `code`."""
    return f"category.coding.code = '{code}'"


def intended(code: str) -> str:
    """That the intended effect of a use is `code`."""
    return f"indication.intendedEffect.concept.coding.code = '{code}'"


def lasting(text: str) -> str:
    """That the duration of a use says `text`; fhirpathpy counts what stands beside a primitive as a second value."""
    return f"indication.duration.first().contains('{text}')"


def coded(code: str) -> str:
    """That the condition of a use has the code `code`."""
    return f"{CONDITION}.coding.where(code = '{code}').exists()"


def therapy(name: str, relationship: str, remark: str = "") -> str:
    """That another therapy stands in this relationship, with this remark."""
    found = (
        f"indication.otherTherapy.where(treatment.concept.text.startsWith('{name}') and "
        f"relationshipType.coding.code = '{relationship}')"
    )
    inner = f".{EXTENSION.format('qualification')}.extension.value.where($this.contains('{remark}'))"
    return f"{found}{inner if remark else ''}.exists()"


def strength(amount: str) -> str:
    """That the one ingredient has this many milligrams a tablet."""
    numerator = "definitional.ingredient.strength.numerator"
    return f"{numerator}.value = {amount} and {numerator}.code = 'mg'"


def characteristic(code: str, text: str) -> str:
    """That a characteristic of the product says `text`."""
    return f"definitional.drugCharacteristic.where(type.coding.code = '{code}').value = '{text}'"


def remarks(text: str) -> str:
    """That a remark on the whole says `text`."""
    return f"{EXTENSION.format('qualification')}.extension.value.where($this.contains('{text}')).exists()"


def product(amount: str) -> str:
    """The record of the tablet of this many milligrams."""
    return f"MedicationKnowledge/klonopin-{amount.replace('.', '-')}-mg-tablet"


def use(name: str) -> str:
    """The definition of a use or of a limitation."""
    return f"ClinicalUseDefinition/{name}"
