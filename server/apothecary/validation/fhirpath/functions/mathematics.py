"""Mathematics (https://hl7.org/fhirpath/N1/#math). What overflows, or has no real answer, is empty."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from apothecary.validation.fhirpath.functions.base import Offered, of_value
from apothecary.validation.fhirpath.nodes import FhirPathError
from apothecary.validation.fhirpath.values import Quantity, number

_MOST_PLACES = 28


def _calculation(function: Callable[..., Any], least: int = 0, most: int | None = None) -> Offered:
    """A function of numbers, and of a quantity's value where it takes one argument."""

    def calculate(value: Any, *arguments: Any) -> Any:
        if isinstance(value, Quantity) and not arguments:
            found = calculate(value.value)
            return None if found is None else value._replace(value=Decimal(found))
        for one in (value, *arguments):
            if isinstance(one, bool) or not isinstance(one, int | Decimal):
                raise FhirPathError("numbers are needed")
            if number(one) is None:
                return None
        try:
            found = function(value, *arguments)
        except ArithmeticError:
            return None
        return None if found is None else number(found)

    return of_value(calculate, least, most)


def _whole(rounding: str | None) -> Callable[[Any], int]:
    return lambda value: int(Decimal(value).to_integral_value(rounding)) if rounding else int(value)


def _round(value: Any, places: Any = 0) -> Any:
    if not isinstance(places, int) or not 0 <= places <= _MOST_PLACES:
        raise FhirPathError(f"round() takes a precision from 0 to {_MOST_PLACES}")
    if isinstance(value, int):
        return value
    return Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def _log(value: Any, base: Any) -> Decimal | None:
    if value <= 0 or base <= 0 or base == 1:
        return None
    found = Decimal(value).ln() / Decimal(base).ln()
    return found.quantize(Decimal("1e-20")).normalize()


def _power(value: Any, exponent: Any) -> Any:
    found = Decimal(value) ** Decimal(exponent)
    whole = isinstance(value, int) and isinstance(exponent, int) and exponent >= 0
    return int(found) if whole and number(found) is not None else found


FUNCTIONS = {
    "abs": _calculation(abs),
    "ceiling": _calculation(_whole(ROUND_CEILING)),
    "exp": _calculation(lambda value: Decimal(value).exp()),
    "floor": _calculation(_whole(ROUND_FLOOR)),
    "ln": _calculation(lambda value: Decimal(value).ln() if value > 0 else None),
    "log": _calculation(_log, 1),
    "power": _calculation(_power, 1),
    "round": _calculation(_round, 0, 1),
    "sqrt": _calculation(lambda value: Decimal(value).sqrt() if value >= 0 else None),
    "truncate": _calculation(_whole(None)),
}
