"""The filters of a value set: https://hl7.org/fhir/R5/valueset-filter-operator.html"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from apothecary.errors import NotEnumerable, RegularExpressionError, UnknownTerminology
from apothecary.fhir import ucum
from apothecary.fhir.budgets import Budget
from apothecary.fhir.regular_expressions import regular_expression
from apothecary.terminology.code_systems import CodeSystem, standard_name
from apothecary.terminology.model import Concept
from apothecary.terminology.problems import invalid_value_set
from apothecary.terminology.selection import Among, Below, ChildOf, Condition, Holds
from apothecary.terminology.systems import comparable, filter_of

# Whether a concept meets a filter; the budget is that of the question.
Meets = Callable[[Concept, Budget], bool]


class Test(NamedTuple):
    """What a concept must meet, and the same as data where it can be looked up."""

    meets: Meets
    condition: Condition | None = None


def tests(system: CodeSystem, filters: Iterable[Mapping[str, Any]], where: str) -> tuple[Test, ...]:
    """What a concept of `system` must meet; `where` is the expression of the include or exclude. Raises BadRequest for
    a filter that is none, UnknownTerminology for a code that is not there, NotEnumerable for what is not known here.
    """
    return tuple(_test(system, one, f"{where}.filter[{place}]") for place, one in enumerate(filters))


def _test(system: CodeSystem, one: Mapping[str, Any], where: str) -> Test:
    name, operator, value = one.get("property"), one.get("op"), one.get("value")
    if not isinstance(name, str) or not isinstance(operator, str):
        raise invalid_value_set(f"A filter on the system {system.url} has no property or no op", where)
    if not isinstance(value, str) or not value:
        raise invalid_value_set(
            f"The system {system.url} filter with property = {name}, op = {operator} has no value",
            where,
            "UNABLE_TO_HANDLE_SYSTEM_FILTER_WITH_NO_VALUE",
        )
    if system.url == ucum.SYSTEM and name == "canonical" and operator in ("=", "in"):
        return _comparable(value, where)
    name, operator, value = filter_of(system.url, name, operator, value)
    hierarchy = _HIERARCHY.get(operator)
    if hierarchy is not None:
        return hierarchy(system, standing(system, value))
    return _compared(system, name, operator, value)


def _comparable(value: str, where: str) -> Test:
    """https://hl7.org/fhir/R4/ucum.html#filters: units that can be compared with one of those."""
    units = [part.strip() for part in value.split(",")]
    for unit in units:
        if not ucum.is_valid(unit):
            raise invalid_value_set(f"{unit[:100]!r} is no unit of {ucum.SYSTEM}", where, code="value")
    return Test(lambda concept, _: any(comparable(concept.code, unit) for unit in units))


def known(system: CodeSystem, code: str) -> str:
    """`code` as `system` writes it. Raises UnknownTerminology where the system has no such code."""
    found = system.find(code)
    if found is None:
        held = "" if system.complete else f", of which a part is held here ({system.content})"
        raise UnknownTerminology(f"{code!r} is no code of {system.canonical}{held}")
    return found.code


def standing(system: CodeSystem, code: str) -> str:
    """`code` as `system` writes it, of a system held in part also one that has the form of its codes: that form says
    where it stands. Raises UnknownTerminology for any other.
    """
    return code if system.find(code) is None and system.stands(code) else known(system, code)


def _below(system: CodeSystem, code: str, *, itself: bool) -> Test:
    codes = system.all_below(code)
    condition = Below(code, itself)
    return Test(lambda concept, _: itself if concept.code == code else concept.code in codes, condition)


def _not_below(system: CodeSystem, code: str) -> Test:
    codes = system.all_below(code)
    return Test(
        lambda concept, _: concept.code != code and concept.code not in codes, Below(code, itself=True, negated=True)
    )


def _above(system: CodeSystem, code: str) -> Test:
    codes = system.ancestors(code) | {code}
    return Test(lambda concept, _: concept.code in codes, Among(codes))


def _child(system: CodeSystem, code: str) -> Test:
    return Test(lambda concept, _: code in system.parents_of(concept.code), ChildOf(frozenset((code,))))


def _leaf(system: CodeSystem, code: str) -> Test:
    codes = system.all_below(code)
    return Test(lambda concept, _: concept.code in codes and not system.children_of(concept.code))


_HIERARCHY: Mapping[str, Callable[[CodeSystem, str], Test]] = {
    "is-a": lambda system, code: _below(system, code, itself=True),
    "descendent-of": lambda system, code: _below(system, code, itself=False),
    "is-not-a": _not_below,
    "generalizes": _above,
    "child-of": _child,
    "descendent-leaf": _leaf,
}


def _compared(system: CodeSystem, name: str, operator: str, value: str) -> Test:
    values = _values(system, name)
    match operator:
        case "=":
            wanted = known(system, value) if standard_name(name) in ("parent", "child") else value
            return Test(lambda concept, _: wanted in values(concept), _condition(system, name, frozenset((wanted,))))
        case "in" | "not-in":
            listed = frozenset(part.strip() for part in value.split(","))
            within = operator == "in"
            return Test(
                lambda concept, _: listed.isdisjoint(values(concept)) is not within,
                _condition(system, name, listed, negated=not within),
            )
        case "exists":
            if value not in ("true", "false"):
                raise NotEnumerable(f"the filter {name} exists {value!r} of {system.url}: write true or false")
            return Test(
                lambda concept, _: bool(values(concept)) is (value == "true"),
                _condition(system, name, None, negated=value == "false"),
            )
        case "regex":
            try:
                pattern = regular_expression(value)
            except RegularExpressionError as error:
                raise NotEnumerable(f"a filter on {system.url}: {error}") from None
            # https://hl7.org/fhir/R5/valueset-filter-operator.html: the whole value matches.
            return Test(lambda concept, budget: any(pattern.matches(one, budget) for one in values(concept)))
    raise NotEnumerable(f"the filter {name} {operator} {value!r} of {system.url} is not known here")


def _condition(
    system: CodeSystem, name: str, values: frozenset[str] | None, *, negated: bool = False
) -> Condition | None:
    """What `_values` of `name` must be as data; None where it is worked out for each concept."""
    own = name in system.properties
    if not own and name in ("code", "concept"):
        return None if values is None else Among(values, negated)
    meant = system.meaning(name)
    if (not own and name in ("display", "definition")) or meant in ("child", "inactive"):
        return None
    if meant == "parent":
        return ChildOf(values, negated)
    return Holds(system.codes_of(name), values, negated)


def _values(system: CodeSystem, name: str) -> Callable[[Concept], tuple[str, ...]]:
    """What `name` is of each concept: a property, or what every concept has
    (https://hl7.org/fhir/R5/codesystem.html#defined-props).
    """
    own = name in system.properties
    if not own and name in ("code", "concept"):
        return lambda concept: (concept.code,)
    if not own and name == "display":
        return lambda concept: (concept.display,) if concept.display else ()
    if not own and name == "definition":
        return lambda concept: (concept.definition,) if concept.definition else ()
    meant = system.meaning(name)
    if meant == "parent":
        return lambda concept: system.parents_of(concept.code)
    if meant == "child":
        return lambda concept: system.children_of(concept.code)
    if not system.knows(name):
        raise NotEnumerable(f"the codes of {system.url} have no property {name!r} here")
    if meant == "inactive":
        return lambda concept: ("true",) if system.is_inactive(concept) else ("false",)
    wanted = system.codes_of(name)
    return lambda concept: tuple(one.text for one in concept.properties if one.code in wanted)
