"""The values of FHIRPath's own types, and what the elements of FHIR are as such
(https://hl7.org/fhirpath/N1/#literals and https://hl7.org/fhir/R5/fhirpath.html#types).
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from apothecary.validation.fhirpath.nodes import FhirPathError, Item, Items, Node
from apothecary.validation.fhirpath.temporal import CALENDAR, Temporal, parse_temporal, parse_time

UCUM = "http://unitsofmeasure.org"
# The words for calendar durations and the units of UCUM that they equal; a year and a month are no fixed length.
_SAME = {"week": "wk", "day": "d", "hour": "h", "minute": "min", "second": "s", "millisecond": "ms"}
_ROUGHLY = {**_SAME, "year": "a", "month": "mo"}
# What a Decimal may hold; a FHIR decimal with an exponent can be anything.
_MOST_DIGITS = 100
# Texts are paid for by their length.
TEXT_IN_A_STEP = 16
# Integers are as large as the largest of FHIR, integer64.
_GREATEST = 2**63


class Quantity(NamedTuple):
    """A number with a unit: a code of UCUM, or where `calendar` is true a word such as `week`."""

    value: Decimal
    unit: str
    calendar: bool = False

    def __str__(self) -> str:
        return f"{self.value:f} {self.unit}" if self.calendar else f"{self.value:f} '{self.unit}'"

    def measure(self, *, roughly: bool = False) -> tuple[Decimal, str]:
        """Its value in base units and their dimension, the unit itself where that cannot be told; a calendar year or
        month is UCUM's only `roughly`.
        """
        code = (_ROUGHLY if roughly else _SAME).get(self.unit) if self.calendar else self.unit
        if code is None:
            return (self.value * 12, "month") if self.unit == "year" else (self.value, self.unit)
        # Few expressions compare quantities; the table of units need not be there for the others.
        from apothecary.fhir.ucum import UcumError, canonical

        try:
            return canonical(self.value, code) or (self.value, code)
        except UcumError:
            return self.value, code


class TypeInfo(NamedTuple):
    """What type() says: https://hl7.org/fhirpath/#type-typeinfo"""

    namespace: str
    name: str


def calendar_word(word: str) -> str | None:
    """`week` for `week` and `weeks`; None for what is no calendar duration."""
    singular = word.removesuffix("s")
    return singular if singular in CALENDAR else None


def value_of(item: Item) -> Any:
    """What an item is to operators and functions: bool, str, int, Decimal, Temporal, Quantity or TypeInfo; None for an
    element that has no value, or has elements of its own.
    """
    if not isinstance(item, Node):
        return item
    convert = _CONVERTED.get(item.type)
    if convert is not None:
        return convert(item.value)
    value = item.value
    return None if isinstance(value, dict | list) else value


def _date_time(value: Any) -> Any:
    found = parse_temporal(value) if isinstance(value, str) else None
    return value if found is None else found.as_date_time()


def _date(value: Any) -> Any:
    return (parse_temporal(value) or value) if isinstance(value, str) else value


def _time(value: Any) -> Any:
    return (parse_time(value) or value) if isinstance(value, str) else value


def _integer64(value: Any) -> Any:
    text = value.lstrip("+-") if isinstance(value, str) else ""
    return int(value) if text.isascii() and text.isdigit() and len(text) < 20 else value


def _quantity(value: Any) -> Quantity | None:
    """A Quantity without a comparator as a System.Quantity: https://hl7.org/fhir/R5/fhirpath.html#quantity"""
    if not isinstance(value, dict) or "comparator" in value:
        return None
    number, code, unit = value.get("value"), value.get("code"), value.get("unit")
    if isinstance(number, bool) or not isinstance(number, int | Decimal):
        return None
    if isinstance(code, str) and value.get("system") == UCUM:
        return Quantity(Decimal(number), code)
    if code is None and unit is None:
        return Quantity(Decimal(number), "1")
    word = calendar_word(unit) if isinstance(unit, str) else None
    return Quantity(Decimal(number), word, calendar=True) if word else None


_CONVERTED: dict[str, Callable[[Any], Any]] = {
    "date": _date,
    "dateTime": _date_time,
    "instant": _date_time,
    "time": _time,
    "integer64": _integer64,
    **dict.fromkeys(("Quantity", "Age", "Count", "Distance", "Duration", "SimpleQuantity", "MoneyQuantity"), _quantity),
}


def single(items: Items) -> Any:
    """The value of the only item, None for none."""
    if not items:
        return None
    if len(items) > 1:
        raise FhirPathError("an operand has more than one value")
    return value_of(items[0])


def number(value: Any) -> Any:
    """The result of a calculation; None for an overflow (https://hl7.org/fhirpath/N1/#math-1)."""
    if isinstance(value, int):
        return value if -_GREATEST <= value < _GREATEST else None
    return value if sound(value) else None


def sound(value: Decimal) -> bool:
    """Whether a Decimal is a number of a length that can be worked with."""
    return (
        value.is_finite() and -_MOST_DIGITS <= value.adjusted() <= _MOST_DIGITS and len(value.as_tuple().digits) <= 200
    )


def text(value: Any) -> str | None:
    """A value as toString() writes it; None for what has no text (https://hl7.org/fhirpath/N1/#tostring-string)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | Temporal):
        return str(value)
    if isinstance(value, Decimal):
        return (
            (str(value) if sound(value) else None) if value else "0" if not value.as_tuple().exponent else f"{value:f}"
        )
    return str(value) if isinstance(value, Quantity) and sound(value.value) else None
