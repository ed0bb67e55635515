"""The pieces that an expression is compiled to: literals, variables, paths and operators as closures
(https://hl7.org/fhirpath/N1/#expressions).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apothecary.validation.fhirpath import operators
from apothecary.validation.fhirpath.nodes import (
    Compiled,
    Environment,
    FhirPathError,
    Items,
    child,
    is_known_type,
    is_type,
)
from apothecary.validation.fhirpath.values import TEXT_IN_A_STEP, text

_NAMED: dict[str, Callable[[Environment], Items]] = {
    "resource": lambda env: [env.resource],
    "rootResource": lambda env: [env.root],
    "context": lambda env: [env.context],
    "ucum": lambda env: ["http://unitsofmeasure.org"],
    "sct": lambda env: ["http://snomed.info/sct"],
    "loinc": lambda env: ["http://loinc.org"],
}
# https://hl7.org/fhir/R5/fhirpath.html#variables
_PREFIXED = {"vs-": "http://hl7.org/fhir/ValueSet/", "ext-": "http://hl7.org/fhir/StructureDefinition/"}
SYSTEM_VARIABLES = frozenset(_NAMED)
# Those that only some expressions have: %extension in the invariants of an extension's context.
_GIVEN = frozenset({"extension"})


def constant(items: Items) -> Compiled:
    """A literal."""
    return lambda this, env: items


def this(this: Items, env: Environment) -> Items:
    """`$this`"""
    return this


def index(this: Items, env: Environment) -> Items:
    """`$index`"""
    return [env.index]


def total(this: Items, env: Environment) -> Items:
    """`$total`"""
    return env.total


def member(left: Compiled, name: str, maybe_type: bool) -> Compiled:
    """`.name`; at the beginning of an expression the type of the context, too."""

    def run(this: Items, env: Environment) -> Items:
        items = left(this, env)
        tables = env.tables
        if maybe_type and items and is_type(tables, items[0], name):
            return items
        if len(items) == 1:
            return child(tables, items[0], name)
        found: Items = []
        for item in items:
            inner = child(tables, item, name)
            env.budget.spend(1 + len(inner))
            found += inner
        return found

    return run


def variable(name: str, may_be_defined: bool) -> Compiled:
    """`%name`: of the environment, or one that defineVariable() may define. Raises FhirPathError for neither."""
    value = _NAMED.get(name)
    if value is not None:
        return lambda this, env: value(env)
    for prefix, base in _PREFIXED.items():
        if name.startswith(prefix):
            url = base + name.removeprefix(prefix)
            return lambda this, env: [url]
    if not may_be_defined and name not in _GIVEN:
        raise FhirPathError(f"the variable %{name} is not known")

    def run(this: Items, env: Environment) -> Items:
        found = env.variables.get(name)
        if found is None:
            raise FhirPathError(f"the variable %{name} is not known here")
        return found

    return run


def kept(inner: Compiled) -> Compiled:
    """A term that depends on the environment alone: found once in an evaluation, however often it is asked for. A
    constraint on each of many elements that looks at all of them would cost the square of their number.
    """

    def run(this: Items, env: Environment) -> Items:
        found = env.kept.get(run)
        if found is None:
            found = env.kept[run] = inner(this, env)
        return found

    return run


def scoped(inner: Compiled) -> Compiled:
    """An operand or argument: the variables that it defines end with it."""

    def run(this: Items, env: Environment) -> Items:
        before = env.variables
        try:
            return inner(this, env)
        finally:
            env.variables = before

    return run


def indexed(left: Compiled, at: Compiled) -> Compiled:
    """`[n]`"""

    def run(this: Items, env: Environment) -> Items:
        number = operators.single(at(this, env))
        items = left(this, env)
        if number is not None and type(number) is not int:
            raise FhirPathError("an index is an integer")
        return [items[number]] if number is not None and 0 <= number < len(items) else []

    return run


def type_test(left: Compiled, operator: str, name: str) -> Compiled:
    """`is` and `as`, as operators and functions (https://hl7.org/fhirpath/N1/#types)."""

    def run(this: Items, env: Environment) -> Items:
        items = left(this, env)
        if not items:
            return []
        if len(items) > 1:
            raise FhirPathError(f"{operator} needs one item")
        if not is_known_type(env.tables, name):
            raise FhirPathError(f"there is no type {name}")
        found = is_type(env.tables, items[0], name)
        return [found] if operator == "is" else items if found else []

    return run


def negated(operand: Compiled) -> Compiled:
    """The unary minus."""

    def run(this: Items, env: Environment) -> Items:
        items = operand(this, env)
        return operators.arithmetic([-1], items, "*", env) if items else []

    return run


def positive(operand: Compiled) -> Compiled:
    """The unary plus."""
    return lambda this, env: operators.arithmetic([0], operand(this, env), "+", env)


def binary(operator: str, left: Compiled, right: Compiled) -> Compiled:
    """The closure of a binary operator; `and`, `or` and `implies` leave the right side alone when the left decides."""
    truth = operators.truth
    if operator == "and":

        def conjunction(this: Items, env: Environment) -> Items:
            one = truth(left(this, env))
            if one is False:
                return [False]
            other = truth(right(this, env))
            return [False] if other is False else _wrapped(True if one and other else None)

        return conjunction
    if operator in ("or", "implies"):
        decided = operator == "or"

        def disjunction(this: Items, env: Environment) -> Items:
            one = truth(left(this, env))
            if one is decided:
                return [True]
            other = truth(right(this, env))
            if other is True:
                return [True]
            return [] if one is None or other is None else [False]

        return disjunction
    if operator == "xor":

        def exclusive(this: Items, env: Environment) -> Items:
            one, other = truth(left(this, env)), truth(right(this, env))
            return [] if one is None or other is None else [one is not other]

        return exclusive
    return _VALUES[operator](left, right)


def _wrapped(value: bool | None) -> Items:
    return [] if value is None else [value]


def _equality(left: Compiled, right: Compiled) -> Compiled:
    return lambda this, env: _wrapped(operators.equal(left(this, env), right(this, env), env))


def _inequality(left: Compiled, right: Compiled) -> Compiled:
    def run(this: Items, env: Environment) -> Items:
        found = operators.equal(left(this, env), right(this, env), env)
        return [] if found is None else [not found]

    return run


def _equivalence(wanted: bool) -> Callable[[Compiled, Compiled], Compiled]:
    def make(left: Compiled, right: Compiled) -> Compiled:
        return lambda this, env: [operators.equivalent(left(this, env), right(this, env), env) is wanted]

    return make


def _membership(left: Compiled, right: Compiled) -> Compiled:
    def run(this: Items, env: Environment) -> Items:
        items = left(this, env)
        if not items:
            return []
        if len(items) > 1:
            raise FhirPathError("`in` needs one item on its left")
        others = right(this, env)
        # The very list of the time before, where the right side is kept: its keys still hold.
        before, keys = env.kept.get(run, (None, frozenset()))
        if before is not others:
            env.budget.spend(len(others))
            keys = frozenset(operators.key(item, env) for item in others)
            env.kept[run] = (others, keys)
        return [operators.key(items[0], env) in keys]

    return run


def _union(left: Compiled, right: Compiled) -> Compiled:
    return lambda this, env: operators.distinct(left(this, env) + right(this, env), env)


def _joined(left: Compiled, right: Compiled) -> Compiled:
    def run(this: Items, env: Environment) -> Items:
        sides: list[str] = []
        for items in (left(this, env), right(this, env)):
            value: Any = operators.single(items)
            sides.append("" if value is None else (text(value) or ""))
        env.budget.spend(1 + sum(map(len, sides)) // TEXT_IN_A_STEP)
        return ["".join(sides)]

    return run


def _ordered(operator: str) -> Callable[[Compiled, Compiled], Compiled]:
    def make(left: Compiled, right: Compiled) -> Compiled:
        return lambda this, env: _wrapped(operators.compare(left(this, env), right(this, env), operator, env))

    return make


def _calculated(operator: str) -> Callable[[Compiled, Compiled], Compiled]:
    def make(left: Compiled, right: Compiled) -> Compiled:
        return lambda this, env: operators.arithmetic(left(this, env), right(this, env), operator, env)

    return make


_VALUES: dict[str, Callable[[Compiled, Compiled], Compiled]] = {
    "=": _equality,
    "!=": _inequality,
    "~": _equivalence(True),
    "!~": _equivalence(False),
    "in": _membership,
    "contains": lambda left, right: _membership(right, left),
    "|": _union,
    "&": _joined,
    **{operator: _ordered(operator) for operator in ("<", "<=", ">", ">=")},
    **{operator: _calculated(operator) for operator in ("+", "-", "*", "/", "div", "mod")},
}
