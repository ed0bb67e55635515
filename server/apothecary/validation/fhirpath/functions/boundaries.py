"""Boundaries and precision, which the invariants of R5 use (https://hl7.org/fhirpath/#boundaries)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from apothecary.validation.fhirpath.functions.base import of_value
from apothecary.validation.fhirpath.nodes import FhirPathError
from apothecary.validation.fhirpath.temporal import Temporal, boundary
from apothecary.validation.fhirpath.values import Quantity, number

_DEFAULT, _MOST = 8, 28


def _boundary(low: bool) -> Callable[..., Any]:
    def find(value: Any, precision: Any = None) -> Any:
        if precision is not None and type(precision) is not int:
            raise FhirPathError("a precision is an integer")
        if isinstance(value, Temporal):
            return boundary(value, low, precision)
        if isinstance(value, Quantity):
            found = find(value.value, precision)
            return None if found is None else value._replace(value=found)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise FhirPathError("only numbers, quantities, dates and times have boundaries")
        places = _DEFAULT if precision is None else precision
        if not 0 <= places <= _MOST or number(value) is None:
            return None
        number_of = Decimal(value)
        half = Decimal(5).scaleb(_exponent(number_of) - 1)
        found = number_of - half if low else number_of + half
        return found.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR if low else ROUND_CEILING)

    return find


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _precision(value: Any) -> int:
    if isinstance(value, Temporal):
        return value.precision
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise FhirPathError("only numbers, dates and times have a precision")
    return max(0, -_exponent(Decimal(value)))


def _comparable(value: Any, other: Any) -> bool:
    if not isinstance(value, Quantity) or not isinstance(other, Quantity):
        raise FhirPathError("comparable() is asked of two quantities")
    return value.measure()[1] == other.measure()[1]


FUNCTIONS = {
    "comparable": of_value(_comparable, 1),
    "highBoundary": of_value(_boundary(low=False), 0, 1),
    "lowBoundary": of_value(_boundary(low=True), 0, 1),
    "precision": of_value(_precision),
}
