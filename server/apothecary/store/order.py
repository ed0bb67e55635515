"""The order of hits of several types, and where a page begins in it: https://hl7.org/fhir/R5/search.html#_sort"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apothecary.search.query import Cursor, Query, ids_descend
from apothecary.store.contract import Hit
from apothecary.store.listing import Ties


def ties_with(cursor: Cursor | None, resource_type: str, sorting: bool) -> Ties | None:
    """How ids decide between a hit of `resource_type` and the cursor; None where the cursor is past the whole type."""
    if cursor is None or cursor.resource_type == resource_type:
        return "after"
    beyond = resource_type < cursor.resource_type if cursor.backwards else resource_type > cursor.resource_type
    if beyond:
        return "all"
    return "none" if sorting else None


class _Reversed:
    """A value that sorts the other way round."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __lt__(self, other: _Reversed) -> bool:
        return bool(other.value < self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and bool(other.value == self.value)


def order_of(query: Query) -> Callable[[Hit], tuple[Any, ...]]:
    """The order of hits of several types: sort values (missing ones last), type, id."""
    reverse = ids_descend(query.sort)

    def key(hit: Hit) -> tuple[Any, ...]:
        parts: list[Any] = []
        for one, value in zip(query.sort, hit.sort, strict=True):
            parts += [value is None, 0 if value is None else _Reversed(value) if one.descending else value]
        return (*parts, hit.type, _Reversed(hit.id) if reverse else hit.id)

    return key
