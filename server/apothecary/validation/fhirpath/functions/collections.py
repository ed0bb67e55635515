"""Filtering, subsetting, combining and walking (https://hl7.org/fhirpath/N1/#filtering-and-projection)."""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any

from apothecary.validation.fhirpath.functions.base import Call, Compiled, Offered, of_items
from apothecary.validation.fhirpath.nodes import Environment, FhirPathError, Items, children, is_known_type, is_type
from apothecary.validation.fhirpath.operators import compare, distinct, key, single, truth


def _where(criteria: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        before = env.index
        found = []
        for env.index, item in enumerate(items):
            if truth(criteria([item], env)) is True:
                found.append(item)
        env.index = before
        return found

    return call


def _select(projection: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        before = env.index
        found: Items = []
        for env.index, item in enumerate(items):
            inner = projection([item], env)
            env.budget.spend(len(inner))
            found += inner
        env.index = before
        return found

    return call


def _repeat(projection: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        found: Items = []
        known: set[Any] = set()
        waiting = items
        before = env.index
        while waiting:
            following: Items = []
            for env.index, item in enumerate(waiting):
                inner = projection([item], env)
                env.budget.spend(1 + len(inner))
                for one in inner:
                    token = key(one, env)
                    if token not in known:
                        known.add(token)
                        following.append(one)
            found += following
            waiting = following
        env.index = before
        return found

    return call


def _of_type(name: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        wanted = name(this, env)[0]
        if not is_known_type(env.tables, wanted):
            raise FhirPathError(f"there is no type {wanted}")
        return [item for item in items if is_type(env.tables, item, wanted)]

    return call


def _single(items: Items) -> Items:
    if len(items) > 1:
        raise FhirPathError("single() finds more than one item")
    return items


def _count(argument: Compiled, this: Items, env: Environment) -> int:
    found = single(argument(this, env))
    if type(found) is not int:
        raise FhirPathError("a number of items is needed")
    return max(0, found)


def _skip(number: Compiled) -> Call:
    return lambda items, this, env: items[_count(number, this, env) :]


def _take(number: Compiled) -> Call:
    return lambda items, this, env: items[: _count(number, this, env)]


def _combine(other: Compiled, preserve_order: Compiled | None = None) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        others = other(this, env)
        env.budget.spend(len(others))
        return items + others

    return call


def _union(other: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        others = other(this, env)
        return distinct(items + others, env)

    return call


def _intersect(other: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        others = other(this, env)
        env.budget.spend(len(others))
        wanted = {key(item, env) for item in others}
        return distinct([item for item in items if key(item, env) in wanted], env)

    return call


def _exclude(other: Compiled) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        others = other(this, env)
        env.budget.spend(len(others))
        unwanted = {key(item, env) for item in others}
        return [item for item in items if key(item, env) not in unwanted]

    return call


def _distinct() -> Call:
    return lambda items, this, env: distinct(items, env)


def _children() -> Call:
    return lambda items, this, env: [found for item in items for found in children(env.tables, item)]


def _descendants() -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        found: Items = []
        waiting = items
        while waiting:
            waiting = [inner for item in waiting for inner in children(env.tables, item)]
            env.budget.spend(len(waiting))
            found += waiting
        return found

    return call


def _aggregate(aggregator: Compiled, start: Compiled | None = None) -> Call:
    def call(items: Items, this: Items, env: Environment) -> Items:
        index, total = env.index, env.total
        found = start(this, env) if start is not None else []
        for position, item in enumerate(items):
            env.index, env.total = position, found
            found = aggregator([item], env)
            env.budget.spend(len(found))
        env.index, env.total = index, total
        return found

    return call


def _sort(*keys: Compiled) -> Call:
    # https://hl7.org/fhirpath/#sort-keyselector-expression-asc-desc--: an empty key comes last, or first where the
    # order descends.
    def call(items: Items, this: Items, env: Environment) -> Items:
        rows = [([one([item], env) for one in keys] if keys else [[item]], item) for item in items]
        env.budget.spend(len(items) * len(items).bit_length())

        def order(one: tuple[list[Items], Any], other: tuple[list[Items], Any]) -> int:
            env.budget.spend(1)
            for position, (left, right) in enumerate(zip(one[0], other[0], strict=True)):
                found = _ordered(left, right, env)
                if found:
                    return -found if position < len(keys) and getattr(keys[position], "descending", False) else found
            return 0

        return [item for _, item in sorted(rows, key=cmp_to_key(order))]

    return call


def _ordered(left: Items, right: Items, env: Environment) -> int:
    if not left or not right:
        return bool(right) - bool(left)
    if compare(left, right, "<", env):
        return -1
    return 1 if compare(left, right, ">", env) else 0


FUNCTIONS = {
    "aggregate": Offered(_aggregate, 1, 2),
    "children": Offered(_children),
    "combine": Offered(_combine, 1, 2),
    "descendants": Offered(_descendants),
    "distinct": Offered(_distinct),
    "exclude": Offered(_exclude, 1, 1),
    "first": of_items(lambda items: items[:1], free=True),
    "intersect": Offered(_intersect, 1, 1),
    "last": of_items(lambda items: items[-1:], free=True),
    "ofType": Offered(_of_type, 1, 1),
    "repeat": Offered(_repeat, 1, 1),
    "select": Offered(_select, 1, 1),
    "single": of_items(_single),
    "skip": Offered(_skip, 1, 1),
    "sort": Offered(_sort, 0, 10),
    "tail": of_items(lambda items: items[1:]),
    "take": Offered(_take, 1, 1),
    "union": Offered(_union, 1, 1),
    "where": Offered(_where, 1, 1),
}
