"""Units of FDA's files and of RxNorm become UCUM's where that is sure."""

from __future__ import annotations

import pytest

from apothecary.fhir.json import dumps
from apothecary.fhir.ucum import is_valid
from apothecary.importers.units import fda, fda_ratio, quantity, rxnorm


def _said(strength: str, unit: str) -> str | None:
    ratio = fda_ratio(strength, unit)
    if ratio is None:
        return None
    return " in ".join(f"{dumps(part['value']).decode()} {part['code']}" for part in ratio.values())


@pytest.mark.parametrize(
    ("strength", "unit", "said"),
    [
        ("5", "mg/1", "5 mg in 1 1"),
        (".25", "mg/5mL", "0.25 mg in 5 mL"),
        ("2.5", "mg/.5mL", "2.5 mg in 0.5 mL"),
        ("100", "[iU]/mL", "100 [iU] in 1 mL"),
        ("6", "[hp_X]/1", "6 [hp_X] in 1 1"),
        ("6", "[HP_X]/mL", "6 [hp_X] in 1 mL"),
        ("20000", "[PNU]/mL", "20000 [PNU] in 1 mL"),
        ("1", "[Amb'a'1'U]/mL", "1 [Amb'a'1'U] in 1 mL"),
        ("25", "ug/.5mL", "25 ug in 0.5 mL"),
        ("9.5", "mg/24h", "9.5 mg in 24 h"),
        ("1", "{kp_C}/1", "1 {kp_C} in 1 1"),
        # The last digit is the unit, a thing to take: of a hundred of them, of 56.07.
        ("3", "1/1001", "3 1 in 100 1"),
        ("3", "1/56.071", "3 1 in 56.07 1"),
        ("0.50", "g/100g", "0.50 g in 100 g"),
        ("1", "mL/mL", "1 mL in 1 mL"),
    ],
)
def test_a_strength_of_fda_is_read_to_the_digit(strength: str, unit: str, said: str) -> None:
    assert _said(strength, unit) == said


@pytest.mark.parametrize(
    ("strength", "unit"),
    [
        ("", "mg/1"),
        ("5", ""),
        ("5", "/"),
        ("5", "mg"),
        ("5", "/mL"),
        ("5", "mg/0mL"),
        ("5", "mg/5"),
        ("5", "mg/.1"),
        ("5", "mg/5ML."),
        ("5", "milligrams/1"),
        ("1,000", "mg/1"),
        ("5-10", "mg/1"),
    ],
)
def test_a_strength_that_is_not_sure_is_none(strength: str, unit: str) -> None:
    assert fda_ratio(strength, unit) is None


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("MG", "mg"),
        ("MCG", "ug"),
        ("ML", "mL"),
        ("MEQ", "meq"),
        ("HR", "h"),
        ("ACTUAT", "{actuat}"),
        ("UNT", "{unit}"),
        ("MG/ML", "mg/mL"),
        ("UNT/ML", "{unit}/mL"),
        ("MG/HR", "mg/h"),
        ("MG/MG", "mg/mg"),
        ("mg", "mg"),
        ("", None),
        ("/", None),
        ("MG/", None),
        ("MG/ML/HR", None),
        ("FURLONG", None),
    ],
)
def test_a_unit_of_rxnorm_is_looked_up(unit: str, code: str | None) -> None:
    assert rxnorm(unit) == code
    assert code is None or is_valid(code)


def test_case_tells_units_of_fda_apart() -> None:
    assert fda("mg") == "mg"
    assert fda("Mg") == "Mg"  # a megagram: UCUM's codes are read as they stand
    assert fda("MG") is None  # a megagauss


def test_a_unit_without_a_code_stays_text() -> None:
    assert quantity(30, "TABLET", None) == {"value": 30, "unit": "TABLET"}
