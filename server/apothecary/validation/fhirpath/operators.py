"""Operators: equality, equivalence, order, arithmetic (https://hl7.org/fhirpath/N1/#operations)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from apothecary.fhir.budgets import Budget
from apothecary.validation.fhirpath.nodes import Environment, FhirPathError, Item, Items, Node, truth
from apothecary.validation.fhirpath.temporal import NotTemporal, Temporal, moved, order, parse_temporal
from apothecary.validation.fhirpath.values import TEXT_IN_A_STEP, Quantity, number, single, value_of

__all__ = ["arithmetic", "compare", "distinct", "equal", "equivalent", "key", "single", "truth"]


def key(item: Item, env: Environment) -> Hashable:
    """What two equal items have in common."""
    value = value_of(item)
    if value is None and isinstance(item, Node):
        value = item.value
    return _frozen(value, env.budget)


def _frozen(value: Any, budget: Budget) -> Hashable:
    if isinstance(value, dict):
        budget.spend(len(value))
        return frozenset((name, _frozen(inner, budget)) for name, inner in value.items() if name != "id")
    if isinstance(value, list):
        budget.spend(len(value))
        return tuple(_frozen(inner, budget) for inner in value)
    if isinstance(value, Decimal) and not value.is_finite():
        return str(value)  # JSON has no NaN, but a caller's Python may; a signalling one has no hash.
    if isinstance(value, Temporal):
        utc = value.in_utc()
        return (utc.kind == "Time", utc.parts, utc.zone is None)
    if isinstance(value, Quantity):
        return value.measure()
    # True == 1 in Python, not in FHIRPath.
    return (isinstance(value, bool), value)


def equal(left: Items, right: Items, env: Environment) -> bool | None:
    """`=`: None when either side is empty, or where dates of unlike precision leave it open."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    answer: bool | None = True
    for one, other in zip(left, right, strict=True):
        found = _same(one, other, env)
        if found is False:
            return False
        answer = found and answer
    return answer


def _same(one: Item, other: Item, env: Environment) -> bool | None:
    left, right = value_of(one), value_of(other)
    if type(left) is str and type(right) is str:
        return left == right
    if isinstance(left, Temporal) or isinstance(right, Temporal):
        left, right = _temporal(left), _temporal(right)
        if left is None or right is None or (left.kind == "Time") is not (right.kind == "Time"):
            return False
        found = order(left, right)
        return _undecided(env) if found is None else found == 0
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return _same_amount(left, right) if one is not other else True
    return one is other or key(one, env) == key(other, env)


def _same_amount(left: Quantity, right: Quantity) -> bool | None:
    mine, yours = left.measure(), right.measure()
    if mine[1] != yours[1]:
        # A month of the calendar and one of UCUM are neither equal nor unequal.
        return None if left.calendar is not right.calendar and _comparable(left, right) else False
    return mine[0] == yours[0]


def _comparable(left: Quantity, right: Quantity) -> bool:
    return left.measure(roughly=True)[1] == right.measure(roughly=True)[1]


def _temporal(value: Any) -> Temporal | None:
    """A date, also where it is written as text."""
    if isinstance(value, str):
        return parse_temporal(value)
    return value if isinstance(value, Temporal) else None


def _undecided(env: Environment) -> bool | None:
    env.unresolved = True  # Empty, and not because nothing was there.
    return None


def equivalent(left: Items, right: Items, env: Environment) -> bool:
    """`~`: the same items in any order, by their content (https://hl7.org/fhirpath/N1/#equivalent)."""
    if len(left) != len(right):
        return False
    waiting = list(right)
    for one in left:
        env.budget.spend(len(waiting))
        mine = value_of(one)
        index = next((at for at, other in enumerate(waiting) if _alike(mine, value_of(other), one, other, env)), None)
        if index is None:
            return False
        del waiting[index]
    return True


def _alike(left: Any, right: Any, one: Item, other: Item, env: Environment) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, str) and isinstance(right, str):
        return left.casefold().split() == right.casefold().split()
    if isinstance(left, int | Decimal) and isinstance(right, int | Decimal):
        return _alike_numbers(Decimal(left), Decimal(right))
    if isinstance(left, Temporal) and isinstance(right, Temporal):
        return left.kind == right.kind and order(left, right) == 0
    if isinstance(left, Quantity) and isinstance(right, Quantity):
        return _alike_quantities(left, right)
    if not isinstance(one, Node) or not isinstance(other, Node):
        return False
    return one is other or _loose(one.value, env.budget) == _loose(other.value, env.budget)


def _loose(value: Any, budget: Budget) -> Hashable:
    """The content of an element without regard to order, case and white space."""
    if isinstance(value, dict):
        budget.spend(len(value))
        return frozenset((name, _loose(inner, budget)) for name, inner in value.items() if name != "id")
    if isinstance(value, list):
        budget.spend(len(value))
        return frozenset(_loose(inner, budget) for inner in value)
    return " ".join(value.casefold().split()) if isinstance(value, str) else _frozen(value, budget)


def _alike_numbers(left: Decimal, right: Decimal) -> bool:
    """Equal when rounded to the precision of the less precise."""
    if number(left) is None or number(right) is None:
        return left == right
    places = min(_places(left), _places(right))
    step = Decimal(1).scaleb(-places)
    return left.quantize(step, ROUND_HALF_UP) == right.quantize(step, ROUND_HALF_UP)


def _places(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _alike_quantities(left: Quantity, right: Quantity) -> bool:
    if left.unit == right.unit and left.calendar is right.calendar:
        return _alike_numbers(left.value, right.value)
    mine, yours = left.measure(roughly=True), right.measure(roughly=True)
    if mine[1] != yours[1]:
        return False
    if not mine[0] or not left.value:
        return mine[0] == yours[0]
    # The other in the unit of this one, which shares its factor with its value.
    converted = yours[0] * left.value / mine[0]
    step = Decimal(1).scaleb(-_places(left.value))
    return converted.quantize(step, ROUND_HALF_UP) == left.value.quantize(step, ROUND_HALF_UP)


def distinct(items: Items, env: Environment) -> Items:
    """`items` without repetitions."""
    if len(items) < 2:
        return items
    env.budget.spend(len(items))
    return list({key(item, env): item for item in reversed(items)}.values())[::-1]


def compare(left: Items, right: Items, operator: str, env: Environment) -> bool | None:
    """`<`, `<=`, `>`, `>=`: None when a side is empty or the order cannot be told (dates of unlike precision)."""
    one, other = single(left), single(right)
    if one is None or other is None:
        if left and right:
            raise FhirPathError("an element without a value has no order")
        return None
    if isinstance(one, Temporal) or isinstance(other, Temporal):
        one, other = _temporal(one), _temporal(other)
        if one is None or other is None:
            raise FhirPathError("no date")
        try:
            found = order(one, other)
        except NotTemporal as error:
            raise FhirPathError(str(error)) from None
        return _undecided(env) if found is None else _ORDERS[operator](found, 0)
    if isinstance(one, Quantity) or isinstance(other, Quantity):
        return _compare_quantities(one, other, operator)
    numbers = isinstance(one, int | Decimal) and isinstance(other, int | Decimal)
    if (
        isinstance(one, bool)
        or isinstance(other, bool)
        or not (numbers or (isinstance(one, str) and isinstance(other, str)))
    ):
        raise FhirPathError(f"{type(one).__name__} and {type(other).__name__} have no order")
    return _ORDERS[operator](one, other)


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda one, other: bool(one < other),
    "<=": lambda one, other: bool(one <= other),
    ">": lambda one, other: bool(one > other),
    ">=": lambda one, other: bool(one >= other),
}


def _quantity(value: Any) -> Quantity | None:
    """A number is a quantity without a unit: https://hl7.org/fhirpath/N1/#conversion"""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return Quantity(Decimal(value), "1")
    return value if isinstance(value, Quantity) else None


def _compare_quantities(one: Any, other: Any, operator: str) -> bool | None:
    left, right = _quantity(one), _quantity(other)
    if left is None or right is None:
        raise FhirPathError("a quantity is compared with none")
    mine, yours = left.measure(), right.measure()
    return _ORDERS[operator](mine[0], yours[0]) if mine[1] == yours[1] else None


def arithmetic(left: Items, right: Items, operator: str, env: Environment) -> Items:
    """`+`, `-`, `*`, `/`, `div`, `mod` on numbers, `+` on text, `+` and `-` on dates and quantities, `*` and `/` on
    quantities.
    """
    one, other = single(left), single(right)
    if one is None or other is None:
        if left and right:
            raise FhirPathError(f"{operator} needs two values")
        return []
    if operator == "+" and isinstance(one, str) and isinstance(other, str):
        env.budget.spend(1 + (len(one) + len(other)) // TEXT_IN_A_STEP)
        return [one + other]
    if isinstance(one, Temporal) and operator in "+-":
        return [_moved(one, other, operator)]
    if isinstance(one, Quantity) or isinstance(other, Quantity):
        found = _calculated(_quantity(one), _quantity(other), operator)
        return [] if found is None or number(found.value) is None else [found]
    if not _is_number(one) or not _is_number(other):
        raise FhirPathError(f"{operator} needs two numbers")
    result = number(_NUMBERS[operator](one, other)) if number(one) is not None and number(other) is not None else None
    return [] if result is None else [result]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _divided(one: Any, other: Any) -> Any:
    return Decimal(one) / Decimal(other) if other else Decimal("NaN")


def _whole(one: Any, other: Any) -> Any:
    """`div` cuts toward zero, unlike Python's `//`."""
    if not other:
        return Decimal("NaN")
    if isinstance(one, int) and isinstance(other, int):
        return abs(one) // abs(other) * (1 if (one < 0) is (other < 0) else -1)
    found = Decimal(one) / Decimal(other)
    return int(found) if number(found) is not None else found


def _rest(one: Any, other: Any) -> Any:
    """`mod` has the sign of its left side."""
    if not other:
        return Decimal("NaN")
    found = Decimal(one) % Decimal(other)
    return int(found) if isinstance(one, int) and isinstance(other, int) else found


_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda one, other: one + other,
    "-": lambda one, other: one - other,
    "*": lambda one, other: one * other,
    "/": _divided,
    "div": _whole,
    "mod": _rest,
}


def _moved(start: Temporal, by: Any, operator: str) -> Temporal:
    if not isinstance(by, Quantity):
        raise FhirPathError("a date is moved by a quantity of time")
    if not by.calendar and by.unit in ("a", "mo"):
        raise FhirPathError(f"a date cannot be moved by {by}, which is no unit of the calendar")
    if number(by.value) is None:
        raise FhirPathError("the date is outside the years 1 to 9999")
    try:
        return moved(start, by.value if operator == "+" else -by.value, by.unit)
    except NotTemporal as error:
        raise FhirPathError(str(error)) from None


def _calculated(one: Quantity | None, other: Quantity | None, operator: str) -> Quantity | None:
    if one is None or other is None or operator not in "+-*/":
        raise FhirPathError(f"{operator} needs two quantities")
    if operator in "+-":
        sign = 1 if operator == "+" else -1
        if (one.unit, one.calendar) == (other.unit, other.calendar):
            return one._replace(value=one.value + sign * other.value)
        mine, yours = one.measure(), other.measure()
        return Quantity(mine[0] + sign * yours[0], mine[1]) if mine[1] == yours[1] else None
    mine, yours = one.measure(), other.measure()
    if operator == "*":
        return Quantity(mine[0] * yours[0], _unit(mine[1], yours[1], "."))
    return Quantity(mine[0] / yours[0], _unit(mine[1], yours[1], "/")) if yours[0] else None


def _unit(one: str, other: str, sign: str) -> str:
    if other == "1":
        return one
    return f"{'' if one == '1' and sign == '.' else one}{sign if one != '1' or sign == '/' else ''}({other})"
