"""Numbers of catalogues keep their digits, and what is none is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from apothecary.fhir.json import dumps, parse
from apothecary.importers.amounts import number


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (".5", "0.5"),
        ("0.50", "0.50"),
        ("70", "70"),
        ("007", "7"),
        ("5.", "5"),
        ("000.250", "0.250"),
        ("-.5", "-0.5"),
        ("-0", "-0"),
        ("1e6", "1E6"),
        ("123456789012345678.12345678901234567", "123456789012345678.12345678901234567"),
    ],
)
def test_a_number_is_written_with_the_digits_that_it_has(text: str, written: str) -> None:
    assert dumps(number(text)).decode() == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-",
        "+5",
        "1,000",
        "5-10",
        "5 mg",
        " 5",
        "1e",
        "1e999",
        "٣",
        "½",
        "NaN",
        "Infinity",
        "9" * 19,
        "0." + "9" * 18,
    ],
)
def test_what_is_no_number_in_digits_is_none(text: str) -> None:
    assert number(text) is None


@given(some.text(alphabet="0123456789.-eE+ ,", max_size=12))
def test_every_number_is_a_decimal_of_fhir_and_of_the_same_value(text: str) -> None:
    value = number(text)
    if value is not None:
        assert float(parse(dumps(value))) == pytest.approx(float(text))
