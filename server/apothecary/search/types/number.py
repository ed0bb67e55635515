"""Number parameters: https://hl7.org/fhir/R5/search.html#number"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from apothecary.fhir.decimals import CONTEXT, implicit_range, parse_decimal, sortable
from apothecary.search.predicates import Compare, Condition, Every, Predicate, Row, Some
from apothecary.search.rows import IndexRow, QuantityRow
from apothecary.search.text import unescape
from apothecary.search.types.base import COMPARATORS, Request, Value, split_prefix

NAME = "number"
TABLES = ("quantity",)
MODIFIERS = frozenset({"missing"})
PREFIXES = frozenset(COMPARATORS)
ELEMENTS = frozenset({"integer", "positiveInt", "unsignedInt", "integer64", "decimal", "Range", "Quantity"})

# Before and after every sortable number, for ranges that are open on one side.
LOWEST, HIGHEST = "!", "~"


def extract(parameter: str, value: Value) -> Iterator[IndexRow]:
    """One row with the number, or with the two ends of a Range."""
    if isinstance(value.json, dict):
        if value.type == "Range":
            low, high = (value.json.get(end, {}).get("value") for end in ("low", "high"))
        else:
            low = high = value.json.get("value")
        if low is not None or high is not None:
            yield QuantityRow(parameter, "", "", end_key(low, LOWEST), end_key(high, HIGHEST), value.element)
    else:
        number = sortable(decimal(value.json))
        yield QuantityRow(parameter, "", "", number, number, value.element)


def decimal(json: object) -> Decimal:
    """A JSON number, or the text of an integer64, as a Decimal. Raises ValueError past what search can hold."""
    return parse_decimal(str(json))


def end_key(json: object, absent: str) -> str:
    """One end of a range as sortable text; `absent` where it is open."""
    return absent if json is None else sortable(decimal(json))


def predicate(parameter: str, modifier: str | None, text: str, request: Request) -> Predicate:
    """A prefix and a number; without a prefix the digits written say how exact the match is."""
    comparator, literal = split_prefix(unescape(text), "number")
    number = parse_decimal(literal)
    return Row("quantity", parameter, condition(comparator, number, implicit_range(number)))


def condition(comparator: str, number: Decimal, around: tuple[Decimal, Decimal]) -> Condition:
    """The comparison of `number` with the range [low, high] of a row; `around` is its implicit range, used by eq and ne
    only.
    """
    point = sortable(number)
    match comparator:
        case "eq":
            return Every((Compare("low", ">=", sortable(around[0])), Compare("high", "<", sortable(around[1]))))
        case "ne":
            return Some((Compare("low", "<", sortable(around[0])), Compare("high", ">=", sortable(around[1]))))
        case "gt":
            return Compare("high", ">", point)
        case "lt":
            return Compare("low", "<", point)
        case "ge":
            return Compare("high", ">=", point)
        case "le":
            return Compare("low", "<=", point)
        case "sa":
            return Compare("low", ">", point)
        case "eb":
            return Compare("high", "<", point)
    # ap: the specification recommends a tenth of the value to either side.
    margin = CONTEXT.divide(abs(number), Decimal(10))
    low, high = CONTEXT.subtract(number, margin), CONTEXT.add(number, margin)
    return Every((Compare("low", "<=", sortable(high)), Compare("high", ">=", sortable(low))))
