"""Existence and subsets (https://hl7.org/fhirpath/N1/#existence)."""

from __future__ import annotations

from collections.abc import Callable

from apothecary.validation.fhirpath.functions.base import Call, Compiled, Offered, of_items
from apothecary.validation.fhirpath.nodes import Environment, FhirPathError, Items
from apothecary.validation.fhirpath.operators import key, truth
from apothecary.validation.fhirpath.values import value_of


def _exists(criteria: Compiled | None = None) -> Call:
    if criteria is None:
        return lambda items, this, env: [bool(items)]

    def call(items: Items, this: Items, env: Environment) -> Items:
        before = env.index
        found = False
        for env.index, item in enumerate(items):
            if truth(criteria([item], env)) is True:
                found = True
                break
        env.index = before
        return [found]

    return call


def _all(criteria: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        before = env.index
        found = True
        for env.index, item in enumerate(items):
            if truth(criteria([item], env)) is not True:
                found = False
                break
        env.index = before
        return [found]

    return call


def _booleans(answer: Callable[[list[bool]], bool]) -> Offered:
    def find(items: Items) -> bool:
        values = [value_of(item) for item in items]
        if not all(isinstance(value, bool) for value in values):
            raise FhirPathError("all items must be booleans")
        return answer(values)

    return of_items(find)


def _subset(mine_in_other: bool) -> Callable[[Compiled], Call]:
    def make(other: Compiled) -> Call:
        def call(items: Items, this: Items, env: Environment) -> Items:
            mine = {key(item, env) for item in items}
            others = other(this, env)
            env.budget.spend(len(others))
            yours = {key(item, env) for item in others}
            return [mine <= yours if mine_in_other else yours <= mine]

        return call

    return make


def _is_distinct() -> Call:
    return lambda items, this, env: [len({key(item, env) for item in items}) == len(items)]


def _negated(items: Items) -> bool | None:
    found = truth(items)
    return None if found is None else not found


FUNCTIONS = {
    "all": Offered(_all, 1, 1),
    "allFalse": _booleans(lambda values: not any(values)),
    "allTrue": _booleans(all),
    "anyFalse": _booleans(lambda values: not all(values)),
    "anyTrue": _booleans(any),
    "count": of_items(len, free=True),
    "empty": of_items(lambda items: not items, free=True),
    "exists": Offered(_exists, 0, 1, free=True),
    "isDistinct": Offered(_is_distinct),
    "not": of_items(_negated, free=True),
    "subsetOf": Offered(_subset(True), 1, 1),
    "supersetOf": Offered(_subset(False), 1, 1),
}
