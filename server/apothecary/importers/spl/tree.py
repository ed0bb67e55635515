"""What a Structured Product Label writes, element by element: codes, dates, amounts, names.

https://hl7.org/fhir/R5/datatypes.html has the types that they become. "Implementation Guide for FDA Use of HL7
Structured Product Labeling":
https://www.fda.gov/industry/fda-data-standards-advisory-board/structured-product-labeling-resources
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from apothecary.content.xml_tree import Node
from apothecary.fhir.json import JSON, FhirDecimal
from apothecary.importers.amounts import number
from apothecary.importers.fda import NCIT, NDC, RXNORM, UNII
from apothecary.importers.labels.sections import LOINC
from apothecary.importers.labels.xhtml import lowered, raised
from apothecary.importers.report import Place, Report
from apothecary.importers.units import fda, quantity

V3 = "urn:hl7-org:v3"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

# The URIs of https://terminology.hl7.org/external_code_systems.html for the OIDs that labels use; ISO 3166 has that of
# https://hl7.org/fhir/R5/terminologies-systems.html.
SYSTEMS = {
    "2.16.840.1.113883.6.1": LOINC,
    "2.16.840.1.113883.6.69": NDC,
    "2.16.840.1.113883.4.9": UNII,
    "2.16.840.1.113883.3.26.1.1": NCIT,
    "2.16.840.1.113883.6.88": RXNORM,
    "2.16.840.1.113883.6.96": "http://snomed.info/sct",
    "2.16.840.1.113883.5.28": "urn:iso:std:iso:3166",
    "2.16.840.1.113883.6.90": "http://hl7.org/fhir/sid/icd-10-cm",
}
OID = re.compile(r"[0-2](\.(0|[1-9]\d*))+")


def children(node: Node | None, *names: str) -> list[Node]:
    """Its child elements of HL7's namespace, those of these names if there are any."""
    return [
        part
        for part in (node.content if node is not None else ())
        if isinstance(part, Node) and part.namespace == V3 and (not names or part.name in names)
    ]


def child(node: Node | None, *path: str) -> Node | None:
    """The first child of the first name of `path`, of that the first of the second name, and so on."""
    for name in path:
        node = next(iter(children(node, name)), None)
    return node


def value_of(node: Node | None, name: str, namespace: str = "") -> str:
    """The value of an attribute, without space around it; empty where it is not there."""
    if node is None:
        return ""
    return next((value.strip() for space, key, value in node.attributes if key == name and space == namespace), "")


def words(node: Node | None, *, without: str = "") -> str:
    """All its text on one line, without that of child elements of that name."""
    return " ".join("".join(_texts(node, without)).split()) if node is not None else ""


def _texts(node: Node, without: str) -> Iterator[str]:
    for part in node.content:
        if isinstance(part, str):
            yield part
        elif part.name == "br":
            yield " "
        elif part.name == "sup":
            yield raised("".join(_texts(part, without)))
        elif part.name == "sub":
            yield lowered("".join(_texts(part, without)))
        elif not without or part.name != without:
            yield from _texts(part, without)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the elements of one file, and tells of what it cannot take over."""

    file: str
    report: Report

    def place(self, node: Node) -> Place:
        """Where an element stands."""
        return Place(self.file, node.place[0], node.name)

    def skipped(self, node: Node, reason: str) -> None:
        """See Report."""
        self.report.skipped(self.place(node), reason)

    def approximated(self, node: Node, reason: str) -> None:
        """See Report."""
        self.report.approximated(self.place(node), reason)

    def leftover(self, node: Node, known: frozenset[str]) -> None:
        """Tells of the child elements that nothing reads."""
        for part in node.content:
            if isinstance(part, Node) and (part.namespace != V3 or part.name not in known):
                self.skipped(part, f"the element {part.name} in {node.name} is not taken over")

    def coding(self, node: Node | None) -> JSON | None:
        """The Coding of a code; None where there is none, as where the label says why there is none."""
        code = " ".join(value_of(node, "code").split())
        if node is None or not code:
            return None
        found: JSON = {}
        oid = value_of(node, "codeSystem")
        if oid in SYSTEMS:
            found["system"] = SYSTEMS[oid]
        elif OID.fullmatch(oid):
            found["system"] = f"urn:oid:{oid}"
        else:
            self.approximated(node, f"the code {code!r} is of no code system: {oid!r} is no OID")
        found["code"] = code
        if display := " ".join(value_of(node, "displayName").split()):
            found["display"] = display
        return found

    def concept(self, node: Node | None) -> JSON | None:
        """The CodeableConcept of a code with its translations and original text; None where there is nothing."""
        if node is None:
            return None
        codings = [one for each in (node, *children(node, "translation")) if (one := self.coding(each)) is not None]
        text = words(child(node, "originalText"))
        if not text and not codings:
            text = " ".join(value_of(node, "displayName").split())
        found: JSON = {"coding": codings} if codings else {}
        return {**found, "text": text} if text else found or None

    def date(self, node: Node | None, what: str) -> str:
        """`20120229` as `2012-02-29`; a time of the day is left out. Empty where there is none."""
        written = value_of(node, "value")
        if node is None or not written:
            return ""
        day = day_of(written)
        if not day:
            self.skipped(node, f"{what} {written!r} is no date")
        return day

    def number(self, node: Node | None, what: str) -> int | FhirDecimal | None:
        """The `value` of an amount, digit for digit. None where there is none or it is no number, which is told."""
        written = value_of(node, "value")
        if node is None or not written:
            return None
        found = number(written.removeprefix("+"))
        if found is None:
            self.skipped(node, f"{what} {written[:60]!r} is no number")
        return found

    def quantity(self, node: Node | None, what: str) -> JSON | None:
        """A Quantity of UCUM, or in a unit as the label calls it."""
        value = self.number(node, what)
        if node is None or value is None:
            return None
        unit = value_of(node, "unit")
        counted = self.coding(child(node, "translation"))
        if unit in ("", "1") and counted is not None:
            return {"value": value, **counted_in(counted)}
        code = fda(unit) if unit else None
        if unit and code is None:
            self.approximated(node, f"the unit {unit[:60]!r} is no code of UCUM that is sure, and stands as text")
        return quantity(value, unit, code)


def counted_in(coding: JSON) -> JSON:
    """The unit of a Quantity that counts things: tablets."""
    named = {"unit": coding["display"]} if "display" in coding else {}
    return {**named, "system": coding["system"], "code": coding["code"]} if "system" in coding else named


def day_of(written: str) -> str:
    """The date at the beginning of an HL7 timestamp, as precise as it is; empty where it is none."""
    digits = re.match(r"\d+", written)
    parts = digits[0] if digits else ""
    if len(parts) not in (4, 6, 8, 10, 12, 14):
        return ""
    year, month, day = parts[:4], parts[4:6], parts[6:8]
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return ""
    return "-".join(part for part in (year, month, day) if part)
