"""Units as catalogues write them, to UCUM where that is sure: https://ucum.org/ucum.

FDA's files hold UCUM's own case-sensitive codes
(https://www.fda.gov/industry/structured-product-labeling-resources/units-measure); RxNorm has abbreviations of its own
(https://www.nlm.nih.gov/research/umls/rxnorm/docs/appendix4.html). A unit that means nothing sure keeps its text and
gets no code.
"""

from __future__ import annotations

import re
from functools import lru_cache

from apothecary.fhir.json import JSON, FhirDecimal
from apothecary.fhir.ucum import SYSTEM, is_valid
from apothecary.importers.amounts import number

# UCUM's case-insensitive symbol for the same unit, which some labels write.
_OTHERWISE_WRITTEN = {"[HP_X]": "[hp_X]"}

# To UCUM these are gauss, megagauss and megalitres, which no medicine has.
_NOT_MEANT = frozenset({"G", "MG", "ML"})

# RxNorm's, in upper case. What counts things has no unit in UCUM but their name, in braces. A UNT may be an
# international unit, one of the USP or one of a maker's own.
_RXNORM = {
    "%": "%", "ACTUAT": "{actuat}", "AMB'A'1'U": "[Amb'a'1'U]", "AU": "[AU]", "BAU": "[BAU]", "CELLS": "{cells}",
    "CFU": "[CFU]", "CI": "Ci", "CM": "cm", "DAY": "d", "G": "g", "HR": "h", "IR": "[IR]", "KG": "kg", "L": "L",
    "LF": "[Lf]", "MCG": "ug", "MCI": "mCi", "MEQ": "meq", "MG": "mg", "MIN": "min", "ML": "mL", "MMOL": "mmol",
    "MOL": "mol", "NG": "ng", "PFU": "[PFU]", "PNU": "[PNU]", "SQCM": "cm2", "UCI": "uCi", "UNT": "{unit}",
}  # fmt: skip

_AMOUNT = re.compile(r"([\d.]*)(.*)", re.ASCII | re.DOTALL)


@lru_cache(4096)
def fda(unit: str) -> str | None:
    """The UCUM code of a unit in one of FDA's files (`mg`, `[hp_X]`, `1`); None where it is not sure."""
    unit = _OTHERWISE_WRITTEN.get(unit, unit)
    return unit if unit not in _NOT_MEANT and is_valid(unit) else None


def rxnorm(unit: str) -> str | None:
    """The UCUM code of a unit of RxNorm (`MG`, `UNT`, `ACTUAT`), or of two (`MG/ML`); None where it is not known."""
    codes = [_RXNORM.get(part) for part in unit.upper().split("/")]
    return "/".join(code for code in codes if code) if all(codes) and len(codes) <= 2 else None


def quantity(value: int | FhirDecimal, unit: str, code: str | None) -> JSON:
    """A Quantity: https://hl7.org/fhir/R5/datatypes.html#Quantity. Without a code the unit is text; the code 1 needs
    none.
    """
    found: JSON = {"value": value}
    if unit and unit != "1":
        found["unit"] = unit
    if code is not None:
        found.update(system=SYSTEM, code=code)
    return found


@lru_cache(8192)
def fda_denominator(text: str) -> JSON | None:
    """What stands after the slash of a unit in one of FDA's files: `mL`, `5mL`, `.5mL`, `1` (one of what is dispensed),
    `1001` (a hundred of them: the last digit is the unit). None where it cannot be read so. The answer is shared.
    """
    found = _AMOUNT.fullmatch(text)
    digits, unit = found.groups() if found else ("", "")
    if not unit and digits.endswith("1"):
        digits, unit = digits[:-1], "1"
    value, code = number(digits or "1"), fda(unit)
    return quantity(value, unit, code) if value and code else None


def fda_ratio(strength: str, unit: str) -> JSON | None:
    """The strength of an ingredient as FDA's files write it, `2.5` and `mg/.5mL`, as a Ratio; None where a part of it
    is no number or no unit: https://hl7.org/fhir/R5/datatypes.html#Ratio.
    """
    above, slash, below = unit.partition("/")
    value, code = number(strength), fda(above)
    denominator = fda_denominator(below) if slash else None
    if value is None or code is None or denominator is None:
        return None
    return {"numerator": quantity(value, above, code), "denominator": denominator}
