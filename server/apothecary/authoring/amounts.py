"""Amounts and ranges as a sheet writes them: `0.5 mg`, `1 tablet|{tbl}`, `6 to 12 h`, `up to 1 h`, `from 65 a`.

https://hl7.org/fhir/R5/datatypes.html#Quantity and #Range
"""

from __future__ import annotations

import re
from typing import Any

from apothecary.authoring.pen import Pen
from apothecary.fhir.json import JSON, FhirDecimal
from apothecary.fhir.ucum import SYSTEM, UcumError, parse_unit

_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_QUANTITY = re.compile(rf"({_NUMBER}) ([^|]+)(?:\|(.+))?")
_RANGE = re.compile(rf"(?:({_NUMBER}) to |(up to |from ))?({_NUMBER}) ([^|]+)(?:\|(.+))?")


def number(text: str) -> int | FhirDecimal:
    """The number that `text` writes, with all its digits."""
    return FhirDecimal(text) if "." in text else int(text)


def _quantity(value: str, unit: str, code: str | None, pen: Pen) -> JSON:
    try:
        parse_unit(code or unit)
    except UcumError as error:
        pen.fault(f"not a unit of UCUM: {error}")
    return {"value": number(value), "unit": unit, "system": SYSTEM, "code": code or unit}


def _unit(quantity: JSON, pen: Pen) -> str:
    """The unit as a sheet writes it. What is none of UCUM's, or has more to it, is a fault."""
    unit, code = quantity.get("unit"), quantity.get("code")
    rest = quantity.keys() - {"value", "unit", "system", "code"}
    if not unit or not code or quantity.get("system") != SYSTEM or rest:
        pen.fault("a quantity is more than a value with a unit of UCUM")
    return str(unit) if unit == code else f"{unit}|{code}"


class Quantity:
    """`0.5 mg`"""

    def build(self, value: str, pen: Pen) -> JSON:
        """The Quantity of a text."""
        found = _QUANTITY.fullmatch(value)
        if found is None:
            pen.fault(f"{value!r} is no amount")
            return {}
        return _quantity(found[1], found[2], found[3], pen)

    def read(self, value: JSON, pen: Pen) -> str:
        """The text of a Quantity."""
        return f"{value.get('value')} {_unit(value, pen)}"


class Range:
    """`6 to 12 h`"""

    def build(self, value: str, pen: Pen) -> JSON:
        """The Range of a text."""
        found = _RANGE.fullmatch(value)
        if found is None or not (found[1] or found[2]):
            pen.fault(f"{value!r} is no range: write 6 to 12 h, up to 1 h or from 65 a")
            return {}
        last = _quantity(found[3], found[4], found[5], pen)
        if found[2]:
            return {"low" if found[2] == "from " else "high": last}
        return {"low": {**last, "value": number(found[1])}, "high": last}

    def read(self, value: JSON, pen: Pen) -> str:
        """The text of a Range."""
        low, high = value.get("low"), value.get("high")
        if value.keys() - {"low", "high"}:
            pen.fault("a range is more than two quantities")
        if low and high:
            if _unit(low, pen) != _unit(high, pen):
                pen.fault("the ends of a range are in two units")
            return f"{low['value']} to {high['value']} {_unit(high, pen)}"
        word, end = ("from", low) if low else ("up to", high)
        return f"{word} {end['value']} {_unit(end, pen)}" if end else ""


class Money:
    """`12.50 USD`"""

    def build(self, value: str, pen: Pen) -> JSON:
        """The Money of a text."""
        amount, _, currency = value.partition(" ")
        return {"value": number(amount), "currency": currency}

    def read(self, value: JSON, pen: Pen) -> str:
        """The text of a Money."""
        return f"{value.get('value')} {value.get('currency')}"


class Ratio:
    """A table of an amount and what it is per, as a Ratio."""

    def build(self, value: JSON, pen: Pen) -> JSON:
        """`{amount, per}` as numerator and denominator."""
        built: JSON = {}
        for key, part in (("amount", "numerator"), ("per", "denominator")):
            with pen.at(key):
                built[part] = Quantity().build(value[key], pen)
        return built

    def read(self, value: JSON, pen: Pen) -> Any:
        """Numerator and denominator as `{amount, per}`."""
        return {
            "amount": Quantity().read(value["numerator"], pen),
            "per": Quantity().read(value["denominator"], pen),
        }
