"""Quantity parameters: https://hl7.org/fhir/R5/search.html#quantity

A UCUM quantity is held twice: as written, and in base units, so that `0.5|http://unitsofmeasure.org|mg` finds 500 ug.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from apothecary.fhir.decimals import implicit_range, parse_decimal, sortable
from apothecary.fhir.ucum import UcumError, canonical
from apothecary.search.predicates import Compare, Condition, Every, Predicate, Row, any_of
from apothecary.search.rows import IndexRow, QuantityRow
from apothecary.search.text import key, split, unescape
from apothecary.search.types import number
from apothecary.search.types.base import COMPARATORS, Request, Value, split_prefix

NAME = "quantity"
TABLES = ("quantity",)
MODIFIERS = frozenset({"missing"})
PREFIXES = frozenset(COMPARATORS)
ELEMENTS = frozenset(
    {
        "Quantity",
        "SimpleQuantity",
        "Age",
        "Count",
        "Distance",
        "Duration",
        "MoneyQuantity",
        "Money",
        "Range",
        "SampledData",
    }
)

UCUM = "http://unitsofmeasure.org"
CURRENCY = "urn:iso:std:iso:4217"


def extract(parameter: str, value: Value) -> Iterator[IndexRow]:
    """A row as written, one more for a unit text that differs from the code, and one in base units under
    `<parameter>:ucum`.
    """
    json = value.json
    if value.type == "Money":
        json = {"value": json.get("value"), "system": CURRENCY, "code": json.get("currency")}
    if value.type == "SampledData":
        json = {"low": _sampled(json, "lowerLimit"), "high": _sampled(json, "upperLimit")}
    if "low" in json or "high" in json:
        low, high = json.get("low") or {}, json.get("high") or {}
    else:
        low = high = json
    unit = low or high
    ends = low.get("value"), high.get("value")
    if ends == (None, None):
        return
    # `<` and `<=` leave the lower end open, `>` and `>=` the upper one
    # (https://hl7.org/fhir/R5/datatypes.html#Quantity).
    comparator = json.get("comparator", "")
    keys = (
        (number.LOWEST if comparator.startswith("<") else number.end_key(ends[0], number.LOWEST)),
        (number.HIGHEST if comparator.startswith(">") else number.end_key(ends[1], number.HIGHEST)),
    )
    system, code, text = unit.get("system") or "", unit.get("code") or "", unit.get("unit") or ""
    yield QuantityRow(parameter, key(system), key(code), *keys, value.element)
    if text and text != code:
        yield QuantityRow(parameter, "", key(text), *keys, value.element)
    if system == UCUM and code:
        yield from _base_units(parameter, code, keys, ends, value.element)


def _sampled(json: dict[str, object], limit: str) -> dict[str, object] | None:
    value = json.get(limit)
    return None if value is None else {"value": value, "system": UCUM, "code": json.get("code")}


def _base_units(
    parameter: str, code: str, keys: tuple[str, str], ends: tuple[object, object], element: int
) -> Iterator[IndexRow]:
    converted: list[str] = []
    dimension = ""
    for text, end in zip(keys, ends, strict=True):
        if end is None or text in (number.LOWEST, number.HIGHEST):
            converted.append(text)
            continue
        try:
            base = canonical(number.decimal(end), code)
        except UcumError:
            return
        if base is None:
            return
        converted.append(sortable(base[0]))
        dimension = base[1]
    yield QuantityRow(f"{parameter}:ucum", UCUM, key(dimension), converted[0], converted[1], element)


def predicate(parameter: str, modifier: str | None, text: str, request: Request) -> Predicate:
    """`number`, `number|system|code` or `number||code`, with a prefix. Raises ValueError for other forms."""
    parts = split(text, "|")
    if len(parts) not in (1, 3):
        raise ValueError(f"{text!r}: a quantity is number, number|system|code or number||code")
    comparator, literal = split_prefix(unescape(parts[0]), "quantity")
    value = parse_decimal(literal)
    around = implicit_range(value)
    compared = number.condition(comparator, value, around)
    if len(parts) == 1:
        return Row("quantity", parameter, compared)
    system, code = unescape(parts[1]), unescape(parts[2])
    conditions: list[Condition] = []
    if code:
        conditions.append(Compare("code", "=", key(code)))
    if system:
        conditions.append(Compare("system", "=", key(system)))
    if not conditions:
        return Row("quantity", parameter, compared)
    written = Row("quantity", parameter, Every((*conditions, compared)))
    if system != UCUM or not code:
        return written
    try:
        return any_of([written, *_in_base_units(parameter, comparator, value, around, code)])
    except UcumError as error:
        # It finds what is written so, if anything: other units of the same kind are not known.
        request.fruitless(str(error))
        return written


def _in_base_units(
    parameter: str, comparator: str, value: Decimal, around: tuple[Decimal, Decimal], code: str
) -> list[Predicate]:
    base = canonical(value, code)
    ends = [canonical(end, code) for end in around]
    if base is None or ends[0] is None or ends[1] is None:
        return []
    compared = number.condition(comparator, base[0], (ends[0][0], ends[1][0]))
    return [Row("quantity", f"{parameter}:ucum", Every((Compare("code", "=", key(base[1])), compared)))]
