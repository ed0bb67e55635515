"""Functions of FHIRPath and of FHIR's additions to it (https://hl7.org/fhirpath/#functions,
https://hl7.org/fhir/R5/fhirpath.html#functions).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from apothecary.errors import BudgetSpent, RegularExpressionError
from apothecary.fhir.budgets import Budget
from apothecary.fhir.regular_expressions import RegularExpression, regular_expression
from apothecary.fhir.temporal import parse_span
from apothecary.validation.fhirpath.nodes import (
    Environment,
    FhirPathError,
    Items,
    Node,
    child,
    children,
    descendants,
    is_type,
    primitive,
)
from apothecary.validation.fhirpath.operators import distinct, key, single, truth

# (the context that `$this` and names refer to, the environment) -> the collection
Compiled = Callable[[Items, Environment], Items]
# (the input, the context, the environment) -> the collection
Call = Callable[[Items, Items, Environment], Items]

_MOST_REPEATS = 100_000
_MATCHING = 1_000_000


def _simple(function: Callable[[Items], Any]) -> Callable[[], Call]:
    """A function of its input alone; None is the empty collection, a list the collection itself."""

    def make() -> Call:
        def call(items: Items, this: Items, env: Environment) -> Items:
            found = function(items)
            return found if isinstance(found, list) else [] if found is None else [found]

        return call

    return make


def _textual(function: Callable[..., Any]) -> Callable[..., Call]:
    """A function of one text and text or number arguments; empty when any of them is."""

    def make(*arguments: Compiled) -> Call:
        def call(items: Items, this: Items, env: Environment) -> Items:
            values = [single(items), *(single(argument(this, env)) for argument in arguments)]
            if any(value is None for value in values):
                return []
            if not isinstance(values[0], str):
                raise FhirPathError("a text is needed")
            try:
                found = function(*values)
            except TypeError:
                raise FhirPathError("an argument has the wrong type") from None
            except (BudgetSpent, RegularExpressionError) as error:
                raise FhirPathError(str(error)) from None
            return [] if found is None else [found]

        return call

    return make


def _where(criteria: Compiled) -> Call:
    return lambda items, this, env: [item for item in items if truth(criteria([item], env)) is True]


def _exists(criteria: Compiled | None = None) -> Call:
    if criteria is None:
        return lambda items, this, env: [bool(items)]
    return lambda items, this, env: [any(truth(criteria([item], env)) is True for item in items)]


def _all(criteria: Compiled) -> Call:
    return lambda items, this, env: [all(truth(criteria([item], env)) is True for item in items)]


def _select(projection: Compiled) -> Call:
    return lambda items, this, env: [found for item in items for found in projection([item], env)]


def _repeat(projection: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        found: Items = []
        waiting = items
        while waiting:
            waiting = [inner for item in waiting for inner in projection([item], env)]
            found.extend(waiting)
            if len(found) > _MOST_REPEATS:
                raise FhirPathError("repeat() finds too much")
        return found

    return call


def _iif(condition: Compiled, then: Compiled, otherwise: Compiled | None = None) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        focus = items if items is not this else this
        if truth(condition(focus, env)) is True:
            return then(focus, env)
        return otherwise(focus, env) if otherwise is not None else []

    return call


def _trace(*_: Compiled) -> Call:
    # trace() shows its input to whoever debugs an expression; here nobody does.
    return lambda items, this, env: items


def _of_type(name: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        wanted = name(this, env)[0]
        return [item for item in items if is_type(env.tables, item, wanted)]

    return call


def _is(name: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        if not items:
            # FHIRPath says empty; the invariants count on false, as the reference implementation answers (ras-2 of R4).
            return [False]
        if len(items) > 1:
            raise FhirPathError("is() needs one item")
        return [is_type(env.tables, items[0], name(this, env)[0])]

    return call


def _combine(other: Compiled) -> Call:
    return lambda items, this, env: items + other(this, env)


def _intersect(other: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        wanted = {key(item) for item in other(this, env)}
        return distinct([item for item in items if key(item) in wanted])

    return call


def _extension(url: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        wanted = single(url(this, env))
        found = [inner for item in items for inner in child(env.tables, item, "extension")]
        return [item for item in found if isinstance(item.value, dict) and item.value.get("url") == wanted]

    return call


def _resolve() -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        found = []
        for item in items:
            value = item.value if isinstance(item, Node) else item
            reference = value.get("reference") if isinstance(value, dict) else value
            if isinstance(reference, str):
                target = env.resolve(reference)
                if target is None:
                    env.unresolved = True
                else:
                    found.append(target)
        return found

    return call


def _member_of(url: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        canonical = single(url(this, env))
        value_set = env.tables.value_set(canonical) if isinstance(canonical, str) else None
        codings = _codings(items)
        if not codings:
            return []
        answers = [None if value_set is None else value_set.contains(system, code) for system, code in codings]
        if True in answers:
            return [True]
        if None in answers:
            env.unresolved = True  # A value set that is not at hand decides nothing.
            return []
        return [False]

    return call


def _codings(items: Items) -> list[tuple[str | None, str]]:
    """System and code of each code, Coding or CodeableConcept among `items`."""
    found: list[tuple[str | None, str]] = []
    for item in items:
        value = item.value if isinstance(item, Node) else item
        if isinstance(value, str):
            found.append((None, value))
        elif isinstance(value, dict):
            inner = value.get("coding")
            for coding in inner if isinstance(inner, list) else [value]:
                if isinstance(coding, dict) and isinstance(coding.get("code"), str):
                    system = coding.get("system")
                    found.append((system if isinstance(system, str) else None, coding["code"]))
    return found


def _has_value(items: Items) -> bool:
    return len(items) == 1 and primitive(items[0]) is not None


def _negated(items: Items) -> bool | None:
    found = truth(items)
    return None if found is None else not found


def _is_distinct(items: Items) -> bool:
    return len({key(item) for item in items}) == len(items)


def _boundary(low: bool) -> Callable[[Items], Any]:
    def find(items: Items) -> Any:
        if not items:
            return None
        item = items[0]
        if isinstance(item, Node) and item.type in ("date", "dateTime", "instant"):
            try:
                span = parse_span(item.value)
            except (ValueError, TypeError):
                raise FhirPathError("no date") from None
            # One tick wide: a boundary is an instant, not a span.
            at = span.low if low else span.high - 1
            return type(span)(at, at + 1)
        value = primitive(item)
        return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None

    return find


def _to_integer(items: Items) -> int | None:
    value = single(items)
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[+-]?[0-9]{1,18}", value) else None
    return int(value) if isinstance(value, int) else None


def _to_decimal(items: Items) -> Decimal | None:
    value = single(items)
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None


def _to_string(items: Items) -> str | None:
    value = single(items)
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _matches(text: str, pattern: str) -> bool:
    return _pattern(pattern).found_in(text, Budget(_MATCHING))


def _replace_matches(text: str, pattern: str, substitution: str) -> str:
    return _pattern(pattern).replaced_in(text, substitution, Budget(_MATCHING))


def _pattern(text: str) -> RegularExpression:
    try:
        return regular_expression(text)
    except RegularExpressionError as error:
        raise FhirPathError(str(error)) from None


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + length]


def _through(function: Callable[[Any, Any], Items]) -> Callable[[], Call]:
    return lambda: lambda items, this, env: [found for item in items for found in function(env.tables, item)]


FUNCTIONS: dict[str, Callable[..., Call]] = {
    "all": _all,
    "allFalse": _simple(lambda items: all(primitive(item) is False for item in items)),
    "allTrue": _simple(lambda items: all(primitive(item) is True for item in items)),
    "as": _of_type,
    "children": _through(children),
    "combine": _combine,
    "contains": _textual(lambda text, part: part in text),
    "count": _simple(len),
    "descendants": _through(descendants),
    "distinct": _simple(distinct),
    "empty": _simple(lambda items: not items),
    "endsWith": _textual(str.endswith),
    "exists": _exists,
    "extension": _extension,
    "first": _simple(lambda items: items[:1]),
    "hasValue": _simple(_has_value),
    "highBoundary": _simple(_boundary(low=False)),
    "iif": _iif,
    "intersect": _intersect,
    "is": _is,
    "isDistinct": _simple(_is_distinct),
    "last": _simple(lambda items: items[-1:]),
    "length": _textual(len),
    "lowBoundary": _simple(_boundary(low=True)),
    "matches": _textual(_matches),
    "memberOf": _member_of,
    "not": _simple(_negated),
    "ofType": _of_type,
    "repeat": _repeat,
    "replaceMatches": _textual(_replace_matches),
    "resolve": _resolve,
    "select": _select,
    "startsWith": _textual(str.startswith),
    "substring": _textual(_substring),
    "tail": _simple(lambda items: items[1:]),
    "toDecimal": _simple(_to_decimal),
    "toInteger": _simple(_to_integer),
    "toString": _simple(_to_string),
    "trace": _trace,
    "where": _where,
}
