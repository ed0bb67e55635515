"""What a label says of all its products, as elements of MedicationKnowledge:
https://hl7.org/fhir/R5/medicationknowledge.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from apothecary.fhir.json import JSON
from apothecary.importers.labels.record import Label, Section
from apothecary.importers.labels.sections import DOSAGE, STORAGE
from apothecary.importers.labels.statements import Statement, section_concept, whole
from apothecary.importers.labels.xhtml import Content, markdown, plain

# A text of more characters stands in the Composition alone: a label may have hundreds of products.
_LONGEST = 4000


def of_label(label: Label, statements: list[Statement]) -> JSON:
    """The monograph, guidelines, issues and storage, in the order of the elements. A dosage is never cut short: it is
    there as a whole, or not.
    """
    found: JSON = {"monograph": [{"type": label.type, "source": {"reference": f"DocumentReference/{label.key}"}}]}
    indications = [_indication(one) for one in statements if one.kind == "indication"]
    dosages = [made for one in _sections(label.sections, DOSAGE) if (made := _dosage(one)) is not None]
    if indications or dosages:
        guideline: JSON = {"indication": indications} if indications else {}
        if dosages:
            guideline["dosingGuideline"] = [{"dosage": dosages}]
        found["indicationGuideline"] = [guideline]
    if others := [one for one in statements if one.kind != "indication"]:
        found["clinicalUseIssue"] = [_reference(one) for one in others]
    notes = [text for one in _sections(label.sections, STORAGE) if (text := _text(one, markdown))]
    if notes:
        found["storageGuideline"] = [{"note": [{"text": one} for one in notes]}]
    return found


def _reference(statement: Statement) -> JSON:
    return {"reference": f"ClinicalUseDefinition/{statement.resource['id']}"}


def _indication(statement: Statement) -> JSON:
    concept = {"concept": {"text": statement.phrase}} if statement.phrase else {}
    return {**concept, "reference": _reference(statement)}


def _sections(sections: list[Section], code: str) -> Iterator[Section]:
    for one in sections:
        if one.code == code:
            yield one
        else:
            yield from _sections(one.sections, code)


def _dosage(section: Section) -> JSON | None:
    text = _text(section, plain)
    return {"type": section_concept(section), "dosage": [{"text": text}]} if text else None


def _text(section: Section, said: Callable[[Content], str]) -> str:
    """All of its text; empty where there is none, or too much for an element."""
    text = said(whole(section))
    return text if len(text) <= _LONGEST else ""
