"""What decides how a predicate becomes SQL: whether an index lists what meets it, in which order, and how much that may
be.
"""

from __future__ import annotations

from collections.abc import Sequence

from apothecary.search.contained import is_marked, marked
from apothecary.search.predicates import (
    And,
    Chain,
    Compare,
    Condition,
    Every,
    Has,
    Joined,
    Not,
    Or,
    Phrase,
    Predicate,
    Resource,
    Row,
    Some,
    Table,
)
from apothecary.store.fragments import Kinds
from apothecary.store.shape import comparisons

# The column that leads each lookup index, and the index: where it is compared for equality, this gives ids in order.
LEADING = {
    "token": {"code": "index_token_code", "system": "index_token_system"},
    "string": {"prefix": "index_string_prefix"},
    "reference": {"target_id": "index_reference_target", "url": "index_reference_url"},
    "uri": {"prefix": "index_uri_prefix"},
}


# An index of each table that leads with the type and the parameter.
_WHOLE = {
    **{table: next(iter(found.values())) for table, found in LEADING.items()},
    # Of many codes of few systems it has longer runs in the order of ids.
    "token": "index_token_system",
    "date": "index_date_low",
    "quantity": "index_quantity_low",
}


def reached(target_type: str) -> Kinds:
    """The types that a chain to `target_type` leads to: it is evaluated inside contained resources too.
    https://hl7.org/fhir/R5/search.html#contained
    """
    return (target_type,) if is_marked(target_type) else (target_type, marked(target_type))


def merged(alternatives: Sequence[Predicate]) -> list[Predicate]:
    """Alternatives of which those about one parameter are one: a probe then looks at its rows once."""
    rows: dict[tuple[Table, str], list[Condition]] = {}
    rest: list[Predicate] = []
    for one in alternatives:
        match one:
            case Row(where=None) | Row(where=Compare(operator="matches")):
                rest.append(one)
            case Row(table, parameter, where) if where is not None:
                rows.setdefault((table, parameter), []).append(where)
            case _:
                rest.append(one)
    together = [
        Row(table, parameter, where[0] if len(where) == 1 else Some(tuple(where)))
        for (table, parameter), where in rows.items()
    ]
    return [*together, *rest]


def together(of: Sequence[Predicate]) -> list[Predicate]:
    """Parts of which those that look for words in the texts of one parameter are one: the index of words finds what
    has all of them at once.
    """
    found: list[Predicate] = []
    places: dict[str, int] = {}
    for one in of:
        match one:
            case Row(parameter=parameter, where=Compare(operator="matches")):
                place = places.setdefault(parameter, len(found))
                if place < len(found):
                    before = found[place]
                    found[place] = And((*(before.of if isinstance(before, And) else (before,)), one))
                    continue
        found.append(one)
    return found


def worded(node: Predicate) -> Sequence[Row]:
    """The rows of a predicate that looks for nothing but words in the texts of one parameter."""
    of = node.of if isinstance(node, And) else (node,)
    rows = [one for one in of if isinstance(one, Row) and isinstance(one.where, Compare)]
    words = [one for one in rows if isinstance(one.where, Compare) and one.where.operator == "matches"]
    return words if len(words) == len(of) and len({one.parameter for one in words}) == 1 else ()


def grounded(node: Predicate) -> bool:
    """Whether only a resource that is here can meet `node`: what is not has no index rows, but meets negations."""
    match node:
        case And(of):
            return any(map(grounded, of))
        case Or(of):
            return all(map(grounded, of))
        case Not() | Has():
            return False
    return True


def sourceable(node: Predicate) -> bool:
    """Whether an index can list the ids that meet `node`. A negation has no list, and neither has `id` alone when it
    excludes.
    """
    match node:
        case Row() | Chain() | Has() | Joined() | Resource():
            return True
        case Or(of):
            return all(map(sourceable, of))
        case And(of):
            return any(map(sourceable, of))
    return False


def ordered(node: Predicate) -> bool:
    """Whether each branch of the source comes in the order of ids without sorting: a lookup by equality."""
    match node:
        case Row(table, _, where):
            return leading(table, where, ("=",)) is not None
        case Resource(where):
            return all(one.column == "id" and one.operator == "=" for one in comparisons(where))
        case Or(of):
            return all(map(ordered, of))
    return False


def leading(table: str, where: Condition | None, operators: Sequence[str] = ("=", "in")) -> str | None:
    """The lookup index that a comparison for equality, with one value or any of a list, leads into."""
    column = leader(table, where, operators)
    return None if column is None else LEADING[table][column]


def whole(table: str) -> str | None:
    """An index that has all rows of a parameter together."""
    return _WHOLE.get(table)


def leader(table: str, where: Condition | None, operators: Sequence[str] = ("=", "in")) -> str | None:
    """The column that leads into that index."""
    equal = {one.column for one in _conjuncts(where) if one.operator in operators}
    return next((column for column in LEADING.get(table, {}) if column in equal), None)


def _conjuncts(where: Condition | None) -> Sequence[Compare]:
    if isinstance(where, Compare):
        return (where,)
    return [one for one in where.of if isinstance(one, Compare)] if isinstance(where, Every) else ()


# Texts with so short a beginning, or part, of a word are taken for many.
SHORT = 2


def gathered(node: Predicate) -> bool:
    """Whether a database first puts together all that meets `node`, and that is likely to be much: what has a short
    beginning or part of a word.
    """
    match node:
        case Row(where=Compare(operator="matches", value=Phrase(words, True))):
            return len(words) == 1 and len(words[0]) <= SHORT
        case Row(where=Compare(operator="part", value=str() as part)):
            return len(part) <= SHORT
        case Or(of):
            return any(map(gathered, of))
        case And(of):
            return all(map(gathered, of))
    return False


def rank(node: Predicate) -> int:
    """How selective a part is likely to be where nobody counted: the lower the better."""
    match node:
        case Resource():
            return 0 if ordered(node) else 6
        case Row(table, _, where):
            if where is None:
                return 8
            return {"uri": 1, "reference": 2, "token": 3}.get(table, 4) if ordered(node) else 5
        case Chain() | Has() | Joined():
            return 5
        case Or(of) | And(of):
            return 1 + max(map(rank, of))
    return 9
