"""A predicate in the form that statements are made of: it holds for the same resources, and says what it asks in ranges
and lists that an index has together.

What a search writes as one parameter after the other is often one range of one index: both ends of `_lastUpdated`
(https://hl7.org/fhir/R5/search.html#lastUpdated), fifty codes between commas, the two ways in which a span of time can
be `ge` another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

from apothecary.search.predicates import (
    And,
    Chain,
    Compare,
    Condition,
    Every,
    Has,
    Joined,
    Not,
    Nothing,
    Or,
    Predicate,
    Resource,
    Row,
    Some,
    Table,
    all_of,
    any_of,
)
from apothecary.search.text import KEY_LENGTH

# More alternatives than that are one list: the statement is then the same however many there are. Fewer are walked
# along side by side, in the order of ids.
ALTERNATIVES = 8

# Tables whose rows are spans, the low end never above the high one.
_SPANS = frozenset({"date", "quantity"})
# What alternatives of a table may differ in to become a list.
_LISTED = {"token": "code", "reference": "target_id", "uri": "prefix", "string": "prefix"}

_Range = tuple[int, int]
"""The first and the last of some whole numbers."""
_FIRST, _LAST = -(2**63), 2**63 - 1


def rewritten(node: Predicate) -> Predicate:
    """`node` as statements are made of it. What needs no other form is the same object."""
    moments = _moments(node)
    if moments is not None:
        return _within(moments)
    match node:
        case And(of):
            return _all(of)
        case Or(of):
            return _any([rewritten(one) for one in of])
        case Not(inner):
            return Not(rewritten(inner))
        case Chain(of=inner) | Has(of=inner):
            return replace(node, of=rewritten(inner))
        case Row(table, parameter, where) if table in _SPANS and where is not None:
            return any_of([Row(table, parameter, one) for one in map(_closed, _alternatives(where))])
        case Row(table, parameter, Every((Compare() as beginning, Compare() as whole))) if _implies(beginning, whole):
            return Row(table, parameter, beginning)
        case Joined(parts):
            return Joined(tuple(_part(one) for one in parts))
    return node


def _implies(beginning: Compare, whole: Compare) -> bool:
    """Whether what a text begins with, so far as the index has it, says all that a comparison of the whole text says:
    then it need not be looked up for each row of the index.
    """
    same = (whole.operator, whole.value) == (beginning.operator, beginning.value)
    if beginning.column != "prefix" or whole.column not in ("folded", "value") or not same:
        return False
    return beginning.operator == "prefix" or (beginning.operator == "=" and len(beginning.value) < KEY_LENGTH)


def _part(row: Row) -> Row:
    return Row(row.table, row.parameter, _closed(row.where)) if row.table in _SPANS and row.where else row


# -- the moment of a resource's last change: a column of whole numbers, one for each resource


def _all(of: Sequence[Predicate]) -> Predicate:
    """What meets all: a resource has one moment, so that conditions on it are one."""
    of = [part for one in of for part in (one.of if isinstance(one, And) else (one,))]
    about = [one for one in of if _moments(one) is not None]
    rest = [rewritten(one) for one in of if one not in about]
    return all_of([rewritten(And(tuple(about))), *rest] if about else rest)


def _moments(node: Predicate) -> list[_Range] | None:
    """The moments that a predicate about nothing else allows; None for another one."""
    match node:
        case Resource(where) if _of_moments(where):
            return _ranges(where)
        case And(of) | Or(of):
            every = [_moments(one) for one in of]
            known = [one for one in every if one is not None]
            if len(known) < len(every):
                return None
            return reduce(_common, known) if isinstance(node, And) else _joined(one for each in known for one in each)
    return None


def _common(some: Sequence[_Range], others: Sequence[_Range]) -> list[_Range]:
    """What is in both of two lists of ranges."""
    found = [(max(low, first), min(high, last)) for low, high in some for first, last in others]
    return [(low, high) for low, high in found if low <= high]


def _of_moments(where: Condition) -> bool:
    if isinstance(where, Compare):
        return where.column == "updated"
    return all(map(_of_moments, where.of))


def _within(ranges: Sequence[_Range]) -> Predicate:
    """A predicate that holds in any of some ranges."""
    found: list[Predicate] = []
    for low, high in ranges:
        ends = [Compare("updated", ">=", low)] if low > _FIRST else []
        ends += [Compare("updated", "<=", high)] if high < _LAST else []
        found.append(Resource(Every(tuple(ends)) if ends else Compare("updated", ">=", _FIRST)))
    return any_of(found) if found else Nothing()


def _ranges(where: Condition) -> list[_Range]:
    """The moments that meet a condition, as few ranges as there can be, in order."""
    match where:
        case Every(of):
            return reduce(_common, map(_ranges, of))
        case Some(of):
            return _joined(one for part in of for one in _ranges(part))
        case Compare(_, operator, value):
            below, above = (_FIRST, value - 1), (value + 1, _LAST)
            by_operator: dict[str, list[_Range]] = {
                "=": [(value, value)],
                "!=": [below, above],
                "<": [below],
                "<=": [(_FIRST, value)],
                ">": [above],
                ">=": [(value, _LAST)],
            }
            return by_operator[operator]


def _joined(ranges: Iterable[_Range]) -> list[_Range]:
    """Ranges of which those that overlap, or follow each other without a gap, are one."""
    found: list[_Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(high, found[-1][1])
        else:
            found.append((low, high))
    return found


# -- spans


def _alternatives(where: Condition) -> list[Condition]:
    """What a row of spans may meet in more ways than one, way by way: each is a range of another index."""
    match where:
        case Some(of):
            return [found for one in of for found in _alternatives(one)]
        case Every(of):
            ways: list[tuple[Condition, ...]] = [()]
            for one in of:
                ways = [(*way, found) for way in ways for found in _alternatives(one)]
            return [Every(way) for way in ways]
    return [where]


def _closed(where: Condition) -> Condition:
    """A condition that says where the low ends stop, if it follows from where the high ends do: an index led by the low
    end is then read no further.
    """
    every = _conjuncts(where)
    low = any(one.column == "low" and one.operator in (">=", ">") for one in every)
    ends = [one for one in every if one.column == "high" and one.operator in ("<=", "<")]
    if not low or not ends or any(one.column == "low" and one.operator in ("<=", "<", "=") for one in every):
        return where
    return Every((where, Compare("low", ends[0].operator, ends[0].value)))


def _conjuncts(where: Condition) -> list[Compare]:
    match where:
        case Compare():
            return [where]
        case Every(of):
            return [found for one in of for found in _conjuncts(one)]
    return []


# -- alternatives


class _Key(NamedTuple):
    """What alternatives of one list have in common. Without a table they are ids of resources."""

    table: Table | None = None
    parameter: str = ""
    conditions: tuple[Compare, ...] = ()


def _any(of: Sequence[Predicate]) -> Predicate:
    """What meets any: many values of one column are one list."""
    every = [part for one in of for part in (one.of if isinstance(one, Or) else (one,))]
    if len(every) <= ALTERNATIVES:
        return any_of(every)
    lists: dict[_Key, list[Compare]] = {}
    rest: list[Predicate] = []
    for one in every:
        found = _alike(one)
        if found is None:
            rest.append(one)
        else:
            lists.setdefault(found[0], []).append(found[1])
    return any_of([*(_list(key, values) for key, values in lists.items()), *rest])


def _alike(node: Predicate) -> tuple[_Key, Compare] | None:
    """What an alternative has in common with others of one list, and in what it differs; None for what stands in no
    list.
    """
    match node:
        case Resource(Compare("id", "=") as wanted):
            return _Key(), wanted
        case Row(table, parameter, Compare(operator="=") as wanted) if wanted.column == _LISTED.get(table):
            return _Key(table, parameter), wanted
        case Row(table, parameter, Every(of)):
            values = [one for one in of if isinstance(one, Compare)]
            differing = [one for one in values if one.column == _LISTED.get(table) and one.operator == "="]
            if len(values) == len(of) and len(differing) == 1:
                return _Key(table, parameter, tuple(one for one in values if one is not differing[0])), differing[0]
    return None


def _list(key: _Key, found: Sequence[Compare]) -> Predicate:
    """The alternatives of one list as one predicate."""
    wanted = found[0]
    if len(found) > 1:
        wanted = Compare(wanted.column, "in", tuple(dict.fromkeys(one.value for one in found)))
    if key.table is None:
        return Resource(wanted)
    return Row(key.table, key.parameter, Every((wanted, *key.conditions)) if key.conditions else wanted)
