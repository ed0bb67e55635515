"""Operators: equality, order, logic, arithmetic (https://hl7.org/fhirpath/#operations)."""

from __future__ import annotations

from collections.abc import Hashable
from decimal import Decimal
from typing import Any

from apothecary.fhir.temporal import Span, parse_span
from apothecary.validation.fhirpath.nodes import FhirPathError, Item, Items, Node, primitive

_TEMPORAL = frozenset({"date", "dateTime", "instant"})


def truth(items: Items) -> bool | None:
    """A collection as a condition: empty is None, one item that is no boolean is true."""
    if not items:
        return None
    if len(items) > 1:
        raise FhirPathError("a condition has more than one value")
    value = primitive(items[0])
    return value if isinstance(value, bool) else True


def single(items: Items) -> Any:
    """The plain value of the only item, None for none."""
    if not items:
        return None
    if len(items) > 1:
        raise FhirPathError("an operand has more than one value")
    return primitive(items[0])


def key(item: Item) -> Hashable:
    """What two equal items have in common."""
    value = item.value if isinstance(item, Node) else item
    return _frozen(value)


def _frozen(value: Any) -> Hashable:
    if isinstance(value, dict):
        return frozenset((name, _frozen(inner)) for name, inner in value.items() if name != "id")
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, Decimal) and not value.is_finite():
        return str(value)  # JSON has no NaN, but a caller's Python may; a signalling one has no hash.
    # True == 1 in Python, not in FHIRPath.
    return (isinstance(value, bool), value)


def equal(left: Items, right: Items) -> bool | None:
    """`=`: None when either side is empty."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    return all(key(one) == key(other) for one, other in zip(left, right, strict=True))


def distinct(items: Items) -> Items:
    """`items` without repetitions."""
    return list({key(item): item for item in reversed(items)}.values())[::-1]


def compare(left: Items, right: Items, operator: str) -> bool | None:
    """`<`, `<=`, `>`, `>=`: None when a side is empty or the order cannot be told (dates of unlike precision)."""
    one, other = single(left), single(right)
    if one is None or other is None:
        return None
    if isinstance(one, Span) or isinstance(other, Span) or _is_temporal(left) or _is_temporal(right):
        return _compare_spans(_span(one), _span(other), operator)
    numbers = isinstance(one, int | Decimal) and isinstance(other, int | Decimal)
    if not numbers and not (isinstance(one, str) and isinstance(other, str)):
        raise FhirPathError(f"{type(one).__name__} and {type(other).__name__} have no order")
    if operator == "<":
        return bool(one < other)
    if operator == "<=":
        return bool(one <= other)
    return bool(one > other if operator == ">" else one >= other)


def _is_temporal(items: Items) -> bool:
    return isinstance(items[0], Node) and items[0].type in _TEMPORAL


def _span(value: Any) -> Span:
    if isinstance(value, Span):
        return value
    try:
        return parse_span(value)
    except (ValueError, TypeError):
        raise FhirPathError("no date") from None


def _compare_spans(one: Span, other: Span, operator: str) -> bool | None:
    if operator in (">", ">="):
        return _compare_spans(other, one, "<" if operator == ">" else "<=")
    if one.high <= other.low:
        return True
    if other.high <= one.low:
        return False
    if one == other:
        return operator == "<="
    return None


def arithmetic(left: Items, right: Items, operator: str) -> Items:
    """`+` on numbers and text, `-` and `*` on numbers."""
    one, other = single(left), single(right)
    if one is None or other is None:
        return []
    if operator == "+" and isinstance(one, str) and isinstance(other, str):
        return [one + other]
    if not isinstance(one, int | Decimal) or not isinstance(other, int | Decimal):
        raise FhirPathError(f"{operator} needs two numbers")
    if operator == "+":
        return [one + other]
    return [one - other if operator == "-" else one * other]
