"""Numbers for search: https://hl7.org/fhir/R5/search.html#number"""

from __future__ import annotations

from decimal import Decimal

import pytest

from apothecary.fhir.decimals import from_sortable, implicit_range, parse_decimal, sortable


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("100", "99.5", "100.5"),
        ("100.00", "99.995", "100.005"),
        ("5.4", "5.35", "5.45"),
        ("-5", "-5.5", "-4.5"),
        ("0", "-0.5", "0.5"),
        ("1e2", "50", "150"),
        ("5.40e-3", "0.005395", "0.005405"),
    ],
)
def test_the_digits_written_say_how_exact_a_number_is(text: str, low: str, high: str) -> None:
    assert implicit_range(parse_decimal(text)) == (Decimal(low), Decimal(high))


@pytest.mark.parametrize(
    "text", ["", "five", "+5", "05", "5.", ".5", "1e", "NaN", "Infinity", "1,5", "0x10", "٥", "1e5001"]
)
def test_what_is_no_fhir_decimal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number"):
        parse_decimal(text)


def test_a_number_of_too_many_digits_is_refused_not_rounded() -> None:
    parse_decimal("9" * 100)
    with pytest.raises(ValueError, match="100 digits"):
        parse_decimal("9" * 101)


def test_sortable_texts_come_in_the_order_of_their_numbers() -> None:
    numbers = [
        "-1e5000",
        "-100",
        "-99.5",
        "-1.5",
        "-1.49",
        "-1",
        "-0.01",
        "-1e-5000",
        "0",
        "1e-5000",
        "0.0099",
        "0.01",
        "1",
        "1.0000001",
        "1.49",
        "9",
        "10",
        "11",
        "1e5000",
    ]
    texts = [sortable(Decimal(one)) for one in numbers]
    assert texts == sorted(texts)
    assert len(set(texts)) == len(numbers)


@pytest.mark.parametrize("text", ["0", "-0.0", "1.50", "-123.456", "1e300", "-1e-300"])
def test_equal_numbers_have_one_sortable_text_and_it_gives_them_back(text: str) -> None:
    number = Decimal(text)
    assert from_sortable(sortable(number)) == number
    assert sortable(number) == sortable(number * Decimal("1.00"))
