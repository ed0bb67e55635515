"""The invariants that most resources meet, as predicates in Python: some hundred times faster than FHIRPath, with
an exact place.

Each stands for the expressions published under its key in R4, R4B and R5; tests compare every one with FHIRPath.
https://hl7.org/fhir/R5/conformance-rules.html#constraints
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from apothecary.fhir.temporal import parse_span

Value = dict[str, Any]
# Each failure: the path from the element to what is wrong, and more to say than the invariant does (or nothing).
Failures = Sequence[tuple[tuple[str | int, ...], str]]
Native = Callable[[Value], Failures]

HOLDS: Failures = ()
FAILS: Failures = (((), ""),)

# No amount of anything has more digits before or after the point.
_MOST_DIGITS = 400
# A link of a narrative to something in its resource.
_LINK = re.compile(r"""\b(?:src|href)\s*=\s*["'](#[^"'<>]*)""")
UCUM = "http://unitsofmeasure.org"


def _ext_1(value: Value) -> Failures:
    has_value = False
    for key in value:
        if key[:5] == "value" or key[:6] == "_value":
            has_value = True
            break
    return FAILS if ("extension" in value) is has_value else HOLDS


def _dos_1(value: Value) -> Failures:
    return FAILS if value.get("asNeeded") is False and value.get("asNeededFor") else HOLDS


def _qty_3(value: Value) -> Failures:
    if "code" not in value or "system" in value or "_system" in value:
        return HOLDS
    return FAILS


def _cod_1(value: Value) -> Failures:
    if "display" not in value or "code" in value or "_code" in value:
        return HOLDS
    return FAILS


def _ref_2(value: Value) -> Failures:
    for name in ("reference", "identifier", "display", "extension", "_reference", "_display"):
        if name in value:
            return HOLDS
    return FAILS


def _sqty_1(value: Value) -> Failures:
    return FAILS if "comparator" in value or "_comparator" in value else HOLDS


def _per_1(value: Value) -> Failures:
    start, end = value.get("start"), value.get("end")
    if not isinstance(start, str) or not isinstance(end, str):
        return HOLDS
    try:
        ordered = parse_span(start).low < parse_span(end).high
    except ValueError:
        return HOLDS  # Not dates: that is told by their own rule.
    return HOLDS if ordered else ((("start",), f"{start} is after {end}"),)


def _rng_2(value: Value) -> Failures:
    low, high = value.get("low"), value.get("high")
    if not isinstance(low, dict) or not isinstance(high, dict):
        return HOLDS
    one, other = amount(low), amount(high)
    if one is None or other is None or one[1] != other[1] or one[0] <= other[0]:
        return HOLDS
    return ((("low",), "low is more than high"),)


def amount(quantity: Value) -> tuple[Decimal, object] | None:
    """The number and the unit to compare a quantity by."""
    value, code = quantity.get("value"), quantity.get("code")
    if isinstance(value, bool) or not isinstance(value, int | Decimal | float):
        return None
    number = Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
        return None  # Its form is told by its own rule; a unit conversion would only cost time.
    if quantity.get("system") == UCUM and isinstance(code, str):
        from apothecary.fhir.ucum import UcumError, canonical

        try:
            found = canonical(number, code)
        except UcumError:
            return None
        return found
    unit = code if isinstance(code, str) else quantity.get("unit")
    return (number, (str(quantity.get("system")), str(unit)))


def _rat_1(value: Value) -> Failures:
    numerator, denominator = "numerator" in value, "denominator" in value
    if numerator and denominator:
        return HOLDS
    if not numerator and not denominator and "extension" in value:
        return HOLDS
    return FAILS


def _att_1(value: Value) -> Failures:
    data = "data" in value or "_data" in value
    return FAILS if data and "contentType" not in value and "_contentType" not in value else HOLDS


def _cpt_2(value: Value) -> Failures:
    has_value = "value" in value or "_value" in value
    return FAILS if has_value and "system" not in value and "_system" not in value else HOLDS


def _contained(value: Value) -> Iterator[tuple[int, Value]]:
    resources = value.get("contained")
    if isinstance(resources, list):
        for index, resource in enumerate(resources):
            if isinstance(resource, dict):
                yield index, resource


def _dom_2(value: Value) -> Failures:
    if "contained" not in value:
        return HOLDS
    return [(("contained", index, "contained"), "") for index, inner in _contained(value) if "contained" in inner]


def _dom_3(value: Value) -> Failures:
    if "contained" not in value:
        return HOLDS
    pointed = set(_local_links(value))
    return [
        (("contained", index), "nothing refers to it")
        for index, inner in _contained(value)
        if f"#{inner.get('id')}" not in pointed and "#" not in set(_local_links(inner))
    ]


def _local_links(value: Any) -> Iterator[str]:
    """All texts that start with `#`, to any depth, and all links of narratives that do: an image may be contained, too
    (https://hl7.org/fhir/R5/narrative.html#id).
    """
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
        elif isinstance(found, str):
            if found[:1] == "#":
                yield found
            elif found[:4] == "<div":
                yield from _LINK.findall(found)


def _dom_4(value: Value) -> Failures:
    if "contained" not in value:
        return HOLDS
    return [
        (("contained", index, "meta", name), "")
        for index, inner in _contained(value)
        for name in ("versionId", "lastUpdated")
        if name in _meta(inner)
    ]


def _dom_5(value: Value) -> Failures:
    if "contained" not in value:
        return HOLDS
    return [
        (("contained", index, "meta", "security"), "")
        for index, inner in _contained(value)
        if "security" in _meta(inner)
    ]


def _meta(resource: Value) -> Value:
    found = resource.get("meta")
    return found if isinstance(found, dict) else {}


def _dom_6(value: Value) -> Failures:
    text = value.get("text")
    return HOLDS if isinstance(text, dict) and "div" in text else FAILS


NATIVES: Mapping[str, Native] = {
    "att-1": _att_1,
    "cod-1": _cod_1,
    "cpt-2": _cpt_2,
    "dom-2": _dom_2,
    "dom-3": _dom_3,
    "dom-4": _dom_4,
    "dom-5": _dom_5,
    "dom-6": _dom_6,
    "dos-1": _dos_1,
    "ext-1": _ext_1,
    "per-1": _per_1,
    "qty-3": _qty_3,
    "rat-1": _rat_1,
    "ref-2": _ref_2,
    "rng-2": _rng_2,
    "sqty-1": _sqty_1,
}
