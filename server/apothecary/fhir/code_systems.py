"""Code systems as resources: their codes, their hierarchy, and the filters that select among them.

https://hl7.org/fhir/R5/codesystem.html and https://hl7.org/fhir/R5/codesystem-filter-operator.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from apothecary.errors import BudgetSpent, NotEnumerable, RegularExpressionError, TooCostly, UnknownTerminology
from apothecary.fhir.budgets import Budget
from apothecary.fhir.regular_expressions import regular_expression
from apothecary.fhir.terminology import CodeSystem

# Properties that make the hierarchy, by their usual codes and by the uris that say the same of others:
# https://hl7.org/fhir/R5/codesystem-concept-properties.html
_UPWARDS = frozenset({"parent", "subsumedBy"})
_DOWNWARDS = frozenset({"child"})
_PROPERTIES = "http://hl7.org/fhir/concept-properties#"

# What the regular expression of one filter may cost on all the codes together; about two seconds.
_STEPS = 2_000_000


def code_system(resource: Mapping[str, Any]) -> CodeSystem:
    """A CodeSystem resource, of any FHIR version, as tables. What it nests stands below what it is nested in."""
    names = {
        one["code"]: one["uri"].removeprefix(_PROPERTIES)
        for one in resource.get("property", ())
        if one.get("uri", "").startswith(_PROPERTIES) and "code" in one
    }
    concepts: dict[str, str] = {}
    parents: dict[str, dict[str, None]] = {}
    properties: dict[str, dict[str, tuple[str, ...]]] = {}
    waiting: list[tuple[Mapping[str, Any], str | None]] = [(one, None) for one in reversed(resource.get("concept", ()))]
    while waiting:
        concept, above = waiting.pop()
        code = concept.get("code")
        if not isinstance(code, str):
            continue
        concepts[code] = concept.get("display", "")
        if above is not None:
            parents.setdefault(code, {})[above] = None
        for one in concept.get("property", ()):
            value = _text(one)
            name = names.get(one.get("code"), one.get("code"))
            if value is None or name is None:
                continue
            if name in _UPWARDS:
                parents.setdefault(code, {})[value] = None
            elif name in _DOWNWARDS:
                parents.setdefault(value, {})[code] = None
            else:
                values = properties.setdefault(name, {})
                values[code] = (*values.get(code, ()), value)
        waiting += [(nested, code) for nested in reversed(concept.get("concept", ()))]
    return CodeSystem(
        resource["url"],
        concepts,
        {code: tuple(sorted(above)) for code, above in parents.items()},
        resource.get("caseSensitive"),
        resource.get("content", "complete"),
        properties,
        resource.get("version"),
    )


def _text(item: Mapping[str, Any]) -> str | None:
    """The value of a concept's property: a Coding as its code, a boolean as the specification writes it."""
    for name, value in item.items():
        if name.startswith("value"):
            if isinstance(value, dict):
                return value.get("code")
            return str(value).lower() if isinstance(value, bool) else str(value)
    return None


def known(system: CodeSystem, code: str) -> str:
    """`code` as `system` writes it. Raises UnknownTerminology where the system has no such code."""
    found = system.find(code)
    if found is None:
        held = "" if system.content == "complete" else f", of which a part is held here ({system.content})"
        raise UnknownTerminology(f"{code!r} is no code of {system.url}{held}")
    return found


def select(system: CodeSystem, filters: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The codes, with displays, that meet every one of `filters` (`ValueSet.compose.include.filter`).

    Raises NotEnumerable for a filter that cannot be told here, UnknownTerminology for a code that is not there,
    TooCostly for a regular expression that costs more than it may.
    """
    chosen = [_test(system, one) for one in filters]
    return {code: display for code, display in system.concepts.items() if all(test(code) for test in chosen)}


def _test(system: CodeSystem, one: Mapping[str, Any]) -> Callable[[str], bool]:
    name, operator, value = str(one.get("property")), str(one.get("op")), str(one.get("value", ""))
    hierarchy = _HIERARCHY.get(operator)
    if hierarchy is not None:
        return _among(hierarchy(system, known(system, value)), operator != "is-not-a")
    values = _values(system, name)
    if operator == "=" and name in _UPWARDS | _DOWNWARDS:
        known(system, value)
    match operator:
        case "=":
            return lambda code: value in values(code)
        case "in" | "not-in":
            listed = frozenset(part.strip() for part in value.split(","))
            within = operator == "in"
            return lambda code: listed.isdisjoint(values(code)) is not within
        case "exists":
            if value not in ("true", "false"):
                raise NotEnumerable(f"the filter {name} exists {value!r} of {system.url}: write true or false")
            return lambda code: bool(values(code)) is (value == "true")
        case "regex":
            matches = _matching(system, value)
            return lambda code: any(matches(one) for one in values(code))
    raise NotEnumerable(f"the filter {name} {operator} {value!r} of {system.url} is not known here")


_HIERARCHY: Mapping[str, Callable[[CodeSystem, str], frozenset[str]]] = {
    "is-a": lambda system, code: system.descendants(code) | {code},
    "descendent-of": lambda system, code: system.descendants(code),
    "is-not-a": lambda system, code: system.descendants(code) | {code},
    "generalizes": lambda system, code: system.ancestors(code) | {code},
    "child-of": lambda system, code: frozenset(system.children.get(code, ())),
    "descendent-leaf": lambda system, code: frozenset(
        one for one in system.descendants(code) if one not in system.children
    ),
}


def _among(codes: frozenset[str], wanted: bool) -> Callable[[str], bool]:
    return lambda code: (code in codes) is wanted


def _values(system: CodeSystem, name: str) -> Callable[[str], Iterable[str]]:
    """What `name` is of each code: a property, or what every concept has (https://hl7.org/fhir/R5/codesystem.html#defined-props)."""
    if name in ("code", "concept"):
        return lambda code: (code,)
    if name == "display":
        return lambda code: (display,) if (display := system.concepts[code]) else ()
    if name in _UPWARDS:
        return lambda code: system.parents.get(code, ())
    if name in _DOWNWARDS:
        return lambda code: system.children.get(code, ())
    found = system.properties.get(name)
    if found is None:
        raise NotEnumerable(f"the codes of {system.url} have no property {name!r} here")
    return lambda code: found.get(code, ())


def _matching(system: CodeSystem, text: str) -> Callable[[str], bool]:
    """A test of whole values. Raises NotEnumerable for what is no regular expression; the test raises TooCostly."""
    try:
        pattern = regular_expression(text)
    except RegularExpressionError as error:
        raise NotEnumerable(f"a filter on {system.url} cannot be told here: {error}") from None
    budget = Budget(_STEPS)

    def matches(value: str) -> bool:
        try:
            return pattern.matches(value, budget)
        except BudgetSpent:
            raise TooCostly(f"the regular expression {text[:80]!r} of a filter on {system.url} is too costly") from None

    return matches
