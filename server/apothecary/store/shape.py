"""The shape of a search: everything of it but its values.

A statement's text depends on the shape alone, so it is built once for all searches alike; the values are bound each
time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
)
from apothecary.store.systems import short


def shape(node: Predicate | Condition | None) -> Any:
    """A hashable value that is the same for predicates that differ in values only."""
    match node:
        case None:
            return None
        case Compare(column, operator, _):
            return column, operator
        case Every(of) | Some(of) | And(of) | Or(of):
            return type(node).__name__, *map(shape, of)
        case Row(table, parameter, where):
            return table, parameter, shape(where)
        case Joined(parts):
            return "Joined", *map(shape, parts)
        case Resource(where):
            return "Resource", shape(where)
        case Not(inner):
            return "Not", shape(inner)
        case Chain(parameter, target_type, inner, by_url):
            return "Chain", parameter, target_type, shape(inner), by_url
        case Has(source_type, parameter, inner, by_url):
            return "Has", source_type, parameter, shape(inner), by_url
        case Nothing():
            return "Nothing"


def comparisons(node: Predicate | Condition | None) -> Iterator[Compare]:
    """Every comparison in one fixed order. Its position is the number of its bound value in the statement."""
    match node:
        case Compare():
            yield node
        case Every(of) | Some(of) | And(of) | Or(of) | Joined(of):
            for one in of:
                yield from comparisons(one)
        case Row(where=inner) | Resource(where=inner) | Not(inner) | Chain(of=inner) | Has(of=inner):
            yield from comparisons(inner)


def after_prefix(prefix: str) -> str:
    """The first text, in code point order, that comes after all texts that begin with `prefix`."""
    for position in range(len(prefix) - 1, -1, -1):
        point = ord(prefix[position])
        if point < 0x10FFFF:
            # Surrogates are no characters: the code point after U+D7FF is U+E000.
            following = 0xE000 if point == 0xD7FF else point + 1
            return prefix[:position] + chr(following)
    return "\U0010ffff" * 2


def values(node: Predicate | None, sequence: Any = tuple, phrase: Any = str, part: Any = str) -> dict[str, Any]:
    """The values of `node` by the names they have in its statement; `sequence` makes the database's form of a list,
    `phrase` its query for a `Phrase`, `part` that for texts that may have a part.
    """
    bound: dict[str, Any] = {}
    for number, one in enumerate(comparisons(node)):
        if one.operator == "in":
            bound[f"p{number}"] = sequence(one.value)
        elif one.operator == "matches":
            bound |= {
                f"p{number}": phrase(one.value),
                f"weight{number}": one.value.weight,
                f"length{number}": len(one.value.words),
                f"phrase{number}": f" {' '.join(one.value.words)}{'' if one.value.prefix else ' '}",
            }
        else:
            bound[f"p{number}"] = short(one.value) if one.column == "system" else one.value
            if one.operator == "prefix":
                bound[f"q{number}"] = after_prefix(one.value)
            elif one.operator == "part":
                bound[f"parts{number}"] = part(one.value)
    return bound
