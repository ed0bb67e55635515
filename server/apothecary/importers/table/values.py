"""What the texts of cells mean: numbers, dates, units, strengths, codes. Nothing is put right in silence."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date

from apothecary.fhir.code_forms import WRITTEN
from apothecary.fhir.json import JSON, FhirDecimal
from apothecary.fhir.ucum import is_valid
from apothecary.importers.amounts import number
from apothecary.importers.report import Place, Report
from apothecary.importers.table.cells import Cell, folded
from apothecary.importers.table.mapping import Column, Mapping, Value
from apothecary.importers.units import quantity

# What pharmacists write for units, in the languages of those who keep such tables -> UCUM. `Mg` is no megagram here.
# What counts things (tablet, vial) has no unit in UCUM: it stays text.
_UNITS = {
    "kg": "kg", "g": "g", "gram": "g", "grams": "g", "gramm": "g", "gramme": "g", "mg": "mg",
    "milligram": "mg", "milligrams": "mg", "mcg": "ug", "µg": "ug", "μg": "ug", "ug": "ug", "microgram": "ug",
    "micrograms": "ug", "mikrogramm": "ug", "ng": "ng", "nanogram": "ng", "l": "L", "litre": "L", "liter": "L",
    "dl": "dL", "ml": "mL", "millilitre": "mL", "milliliter": "mL", "cc": "mL", "µl": "uL", "μl": "uL", "mmol": "mmol",
    "mol": "mol", "µmol": "umol", "μmol": "umol", "meq": "meq", "mval": "meq", "iu": "[iU]", "i.u.": "[iU]",
    "ie": "[iU]", "i.e.": "[iU]", "ui": "[iU]", "u.i.": "[iU]", "%": "%", "h": "h", "hr": "h", "hour": "h",
    "hours": "h", "std": "h", "cm": "cm", "mm": "mm", "cm2": "cm2", "cm²": "cm2", "mbq": "MBq",
    "gbq": "GBq", "kbq": "kBq",
}  # fmt: skip

# One word is a unit: of `5 mg tablet` or `5 mg + 10 mg` nobody can say what the number is of.
_UNIT = r"[^\d\s/+,;:&()]+2?"
_STRENGTH = re.compile(
    rf"(?P<value>[0-9.,]+)\s*(?P<unit>{_UNIT})?(?:\s*/\s*(?:(?P<per>[0-9][0-9.,]*)\s*)?(?P<of>{_UNIT}))?"
)
_SCIENTIFIC = re.compile(r"\d(?:[.,]\d+)?E\+?\d+", re.IGNORECASE)
_PARTS = re.compile(r"(\d{1,4})[./\-](\d{1,2})[./\-](\d{1,4})", re.ASCII)
_STATUSES = ("active", "inactive", "entered-in-error")
_CODE = re.compile(r"\S+( \S+)*")


@dataclass(slots=True)
class Reader:
    """What is at hand while a row is read."""

    mapping: Mapping
    report: Report
    # By the identity of columns, which the mapping keeps.
    _meant: dict[int, dict[str, str | Value]] = field(default_factory=dict)

    def _meanings(self, column: Column) -> dict[str, str | Value]:
        """What the texts of a column mean, by the texts as they are compared."""
        found = self._meant.get(id(column))
        if found is None:
            found = {folded(text): meant for text, meant in (column.values or {}).items()}
            self._meant[id(column)] = found
        return found

    def items(self, cell: Cell, column: Column, place: Place) -> list[str]:
        """The texts in a cell, as many as its list has. A cell that holds no value is told, and has none."""
        if cell.kind == "error":
            self.report.skipped(place, f"{cell.text} stands in place of a value")
            return []
        if cell.kind == "no value":
            self.report.skipped(place, f"the formula {cell.text} has not been calculated: open and save the workbook")
            return []
        if column.split is None:
            return [cell.text] if cell.text else []
        return [one.strip() for one in cell.text.split(column.split) if one.strip()]

    def number(self, text: str, place: Place) -> int | FhirDecimal | None:
        """A number, by the decimal mark of the table; None, and told, for what is none."""
        found = self.plain_number(text)
        if found is None:
            mark = "comma" if self.mapping.decimal == "," else "point"
            self.report.skipped(place, f"{text!r} is not a number with a decimal {mark}")
        return found

    def plain_number(self, text: str, kept: bool = False) -> int | FhirDecimal | None:
        """A number; None for what is none. `kept`: a workbook keeps it as a number, which has a point."""
        if self.mapping.decimal == "," and not kept:
            return None if "." in text else number(text.replace(",", "."))
        return number(text)

    def date(self, text: str, place: Place) -> str | None:
        """A date of FHIR, by the order of the table; None, and told, for what is none."""
        parts = _PARTS.fullmatch(text)
        if parts is not None:
            first, second, third = parts.groups()
            order = self.mapping.dates
            if len(first) == 4:
                year, month, day = first, second, third
            elif order == "day-first":
                day, month, year = first, second, third
            elif order == "month-first":
                month, day, year = first, second, third
            else:
                year = month = day = ""
            if len(year) == 4:
                try:
                    return date(int(year), int(month), int(day)).isoformat()
                except ValueError:
                    pass
        self.report.skipped(place, f"{text!r} is not a date ({self.mapping.dates})")
        return None

    def code(self, cell: Cell, text: str, column: Column, place: Place) -> str | None:
        """A code as it stands; None, and told, where it is none any more."""
        if (reason := lost(cell, text)) is not None:
            self.report.skipped(place, reason)
            return None
        if cell.kind == "number" and not text.startswith("0"):
            said = f"{text} is kept as a number: zeros that the code began with would be lost"
            self.report.approximated(place, said)
        written = WRITTEN.get(column.system or "")
        if written is not None and not written.fits(text):
            self.report.approximated(place, f"{text} stands as it is, but is not written as {written.meaning}")
        return text

    def concept(self, cell: Cell, text: str, column: Column, place: Place) -> JSON | None:
        """A CodeableConcept: what the mapping says of the text, a code of the column's system, or the text."""
        if column.values is not None:
            meant = self._meanings(column).get(folded(text))
            if meant is None:
                self.report.approximated(place, f"{text!r} is not among the values of the mapping: it stands as text")
                return {"text": text}
            if isinstance(meant, str):
                return {"text": meant}
            return concept_of(meant, column.system, text)
        if column.system is None:
            return {"text": text}
        code = self.code(cell, text, column, place)
        return None if code is None else {"coding": [{"system": column.system, "code": code}]}

    def word(self, text: str, column: Column, place: Place) -> str:
        """A text, as the mapping puts it."""
        if column.values is None:
            return text
        meant = self._meanings(column).get(folded(text))
        if meant is None:
            self.report.approximated(place, f"{text!r} is not among the values of the mapping: it stands as it is")
            return text
        return meant if isinstance(meant, str) else meant.text or meant.display or meant.code or text

    def status(self, text: str, column: Column, place: Place) -> str | None:
        """A code of https://hl7.org/fhir/R5/valueset-medicationknowledge-status.html; None, and told, for no such."""
        meant = self._meanings(column).get(folded(text), text) if column.values is not None else text
        word = meant if isinstance(meant, str) else meant.code or ""
        if word in _STATUSES:
            return word
        self.report.skipped(place, f"{text!r} is none of {', '.join(_STATUSES)}: say in `values` what it means")
        return None

    def unit(self, text: str) -> str | None:
        """The UCUM code of a unit; None where none is sure."""
        if text in self.mapping.units:
            return self.mapping.units[text]
        return _UNITS.get(folded(text))

    def amount(self, value: int | FhirDecimal, unit: str) -> JSON:
        """A Quantity, with a code where the unit is one of UCUM for sure."""
        code = self.unit(unit)
        if code is None and self.mapping.units.get(unit) is None and unit and unit[0] in "[{" and is_valid(unit):
            code = unit
        return quantity(value, unit, code)

    def strength(self, cell: Cell, text: str, column: Column, place: Place) -> JSON:
        """`5 mg`, `5 mg/ml`, `5 mg/2 ml` as a quantity or a ratio; what is none of these as text, and told."""
        found = _STRENGTH.fullmatch(text)
        value = self.plain_number(found["value"], cell.kind == "number") if found else None
        if found is None or value is None:
            self.report.approximated(place, f"{text!r} is not a number with a unit: it stands as text")
            return {"strengthCodeableConcept": {"text": text}}
        unit, of = found["unit"], found["of"]
        if unit is None and of is None and column.unit is not None:
            unit, _, rest = column.unit.partition("/")
            of = rest or None
        if unit is None:
            self.report.approximated(place, f"{text!r} has no unit: it stands as text")
            return {"strengthCodeableConcept": {"text": text}}
        above = self.amount(value, unit)
        if of is None:
            return {"strengthQuantity": above}
        per = self.plain_number(found["per"]) if found["per"] else 1
        if not per:
            self.report.approximated(place, f"{text!r} is not a number with a unit: it stands as text")
            return {"strengthCodeableConcept": {"text": text}}
        return {"strengthRatio": {"numerator": above, "denominator": self.amount(per, of)}}


def lost(cell: Cell, text: str) -> str | None:
    """Why a code is none any more, after what a program for tables did to it; None where it may be one."""
    if cell.kind == "date":
        return f"the cell is kept as the date {text}, and the code in it is lost"
    if cell.kind == "too precise" or (cell.kind == "number" and not text.isdigit()):
        return f"the cell is kept as the number {text}, and the code in it is lost"
    if cell.kind == "text" and _SCIENTIFIC.fullmatch(text):
        return f"{text} is a number whose last digits are lost, and no code"
    return None if _CODE.fullmatch(text) else f"{text!r} has white space that no code has"


def concept_of(value: Value, system: str | None, text: str) -> JSON:
    """What a value of the mapping says, as a CodeableConcept."""
    found: JSON = {}
    if value.code is not None:
        coding = {"system": value.system or system, "code": value.code, "display": value.display}
        found["coding"] = [{name: one for name, one in coding.items() if one is not None}]
    return found | {"text": value.text or value.display or text}
