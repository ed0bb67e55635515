"""The standard sections of drug knowledge, and how far a record covers them.

LOINC's codes stand without names, as its licence asks: https://hl7.org/fhir/R5/loinc.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apothecary.authoring.pen import EXTENSION, Pen
from apothecary.fhir.json import JSON

# Title -> LOINC code. The order is that of what is not supplied.
SECTIONS: Mapping[str, str | None] = {
    "Indications and usage": "34067-9",
    "Limitations of use": None,
    "Mechanism of action": None,
    "Clinical pharmacology": "34090-1",
    "Pediatric use": "34081-0",
    "Dosage and administration": "34068-7",
    "How supplied": "34069-5",
    "Boxed warning": "34066-1",
    "Contraindications": "34070-3",
    "Warnings": "34071-1",
    "Warnings and precautions": "43685-7",
    "Drug interactions": "34073-7",
    "Adverse reactions": "34084-4",
    "Overdosage": "34088-5",
    "Pregnancy": "42228-7",
    "Lactation": "77290-5",
    "Geriatric use": "34082-8",
    "Renal or hepatic impairment": None,
    "Drug abuse and dependence": None,
    "Excipients, colour, shape, size and imprint": None,
    "Packaging, storage and price": None,
    "Manufacturer and marketing authorisation": None,
    "Monitoring and risk management": None,
    "Citations and evidence grades": None,
}
_COVERAGE = EXTENSION + "content-coverage"


def section_code(title: str) -> JSON:
    """`{"code": CodeableConcept}` of a section that has a code of LOINC, else nothing."""
    if (code := SECTIONS.get(title)) is None:
        return {}
    return {"code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": title}}


class Covered:
    """How far each standard section is present: what the sheet says, then all others as not supplied."""

    key = "coverage"

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        said = sheet.get("coverage", ())
        seen: set[str] = set()
        for number, one in enumerate(said):
            with pen.at("coverage", number, "section"):
                if one["section"] in seen:
                    pen.fault(f"{one['section']} stands twice")
                seen.add(one["section"])
        rest = (_not_supplied(title) for title in SECTIONS if title not in seen)
        node.setdefault("extension", []).extend(self._extension(one) for one in (*said, *rest))

    @staticmethod
    def _extension(one: Mapping[str, Any]) -> JSON:
        concept = section_code(one["section"]).get("code", {"text": one["section"]})
        parts: list[JSON] = [{"url": "section", "valueCodeableConcept": concept}]
        parts.append({"url": "coverage", "valueCode": one["coverage"]})
        if "note" in one:
            parts.append({"url": "note", "valueString": one["note"]})
        return {"extension": parts, "url": _COVERAGE}

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        mine = [one for one in node.get("extension", ()) if one["url"] == _COVERAGE]
        said = []
        for one in mine:
            node["extension"].remove(one)
            parts = {part["url"]: part for part in one["extension"]}
            entry = {
                "section": parts["section"]["valueCodeableConcept"]["text"],
                "coverage": parts["coverage"]["valueCode"],
            }
            if "note" in parts:
                entry["note"] = parts["note"]["valueString"]
            said.append(entry)
        # What follows from the others need not be said.
        for length in range(len(said) + 1):
            head = said[:length]
            named = {one["section"] for one in head}
            if head + [_not_supplied(title) for title in SECTIONS if title not in named] == said:
                said = head
                break
        if said:
            sheet["coverage"] = said


def _not_supplied(title: str) -> dict[str, str]:
    return {"section": title, "coverage": "not-supplied"}
