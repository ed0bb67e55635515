"""Conversion between types (https://hl7.org/fhirpath/N1/#conversion)."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from apothecary.validation.fhirpath.functions.base import Call, Compiled, Offered
from apothecary.validation.fhirpath.nodes import Environment, FhirPathError, Items
from apothecary.validation.fhirpath.temporal import Temporal, parse_temporal, parse_time
from apothecary.validation.fhirpath.values import Quantity, calendar_word, number, single, text

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,60}(?:\.[0-9]{1,60})?", re.ASCII)
_QUANTITY = re.compile(r"([+-]?[0-9]{1,60}(?:\.[0-9]{1,60})?)\s*(?:'([^']{1,200})'|([a-zA-Z]{1,20}))?", re.ASCII)
_TRUE = frozenset({"true", "t", "yes", "y", "1", "1.0"})
_FALSE = frozenset({"false", "f", "no", "n", "0", "0.0"})


def _to_boolean(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | Decimal):
        return bool(value) if value in (0, 1) else None
    word = value.lower() if isinstance(value, str) else ""
    return True if word in _TRUE else False if word in _FALSE else None


def _to_integer(value: Any) -> int | None:
    if isinstance(value, str):
        value = int(value) if _INTEGER.fullmatch(value) else None
    found = number(int(value)) if isinstance(value, int) else None
    return found if isinstance(found, int) else None


def _to_decimal(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if _DECIMAL.fullmatch(value) else None
    return Decimal(value) if isinstance(value, int | Decimal) else None


def _to_date(value: Any) -> Temporal | None:
    found = parse_temporal(value) if isinstance(value, str) else value
    if not isinstance(found, Temporal) or found.kind == "Time":
        return None
    return Temporal("Date", found.parts[:3])


def _to_date_time(value: Any) -> Temporal | None:
    found = parse_temporal(value) if isinstance(value, str) else value
    return found.as_date_time() if isinstance(found, Temporal) and found.kind != "Time" else None


def _to_time(value: Any) -> Temporal | None:
    found = parse_time(value.removeprefix("T")) if isinstance(value, str) else value
    return found if isinstance(found, Temporal) and found.kind == "Time" else None


def _to_quantity(value: Any) -> Quantity | None:
    if isinstance(value, Quantity):
        return value
    if isinstance(value, int | Decimal):
        return Quantity(Decimal(value), "1")
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    word = calendar_word(match[3]) if match[3] else None
    return None if match[3] and word is None else Quantity(Decimal(match[1]), word or match[2] or "1", bool(word))


def _in_unit(value: Any, unit: Any = None) -> Quantity | None:
    """toQuantity(unit): converted, where the units are of one kind."""
    found = _to_quantity(value)
    if found is None or unit is None:
        return found
    if not isinstance(unit, str):
        raise FhirPathError("a unit is a text")
    wanted = Quantity(Decimal(1), calendar_word(unit) or unit, calendar_word(unit) is not None)
    if (found.unit, found.calendar) == (wanted.unit, wanted.calendar):
        return found
    mine, yours = found.measure(), wanted.measure()
    return wanted._replace(value=mine[0] / yours[0]) if mine[1] == yours[1] and yours[0] else None


def _converter(convert: Callable[..., Any], *, asked: bool, most: int = 0) -> Offered:
    """toX(), and convertsToX() where it is only `asked`."""

    def make(*arguments: Compiled) -> Call:
        def call(items: Items, this: Items, env: Environment) -> Items:
            value = single(items)
            if value is None:
                return [False] if asked and items else []
            found = convert(value, *(single(argument(this, env)) for argument in arguments))
            return [found is not None] if asked else [] if found is None else [found]

        return call

    return Offered(make, 0, most)


_CONVERSIONS: dict[str, Callable[..., Any]] = {
    "Boolean": _to_boolean,
    "Integer": _to_integer,
    "Long": _to_integer,
    "Decimal": _to_decimal,
    "Date": _to_date,
    "DateTime": _to_date_time,
    "Time": _to_time,
    "String": text,
    "Quantity": _in_unit,
}

FUNCTIONS = {
    f"{prefix}{name}": _converter(convert, asked=asked, most=int(name == "Quantity"))
    for name, convert in _CONVERSIONS.items()
    for prefix, asked in (("to", False), ("convertsTo", True))
}
