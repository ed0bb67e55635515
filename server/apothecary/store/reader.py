"""What is asked about a listing before it is read, in statements that give one row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from apothecary.search.predicates import Predicate
from apothecary.search.query import Query
from apothecary.store import plan
from apothecary.store.listed import listed
from apothecary.store.listing import Listing
from apothecary.store.statements import Statement, Statements

Counted = tuple[int, str | None]
"""How many rows a part has, counted no further than need be, and the id that this reached where they have an order."""


class Reader(Protocol):
    """What runs the statements."""

    statements: Statements

    def rows(self, statement: Statement, bound: Sequence[Any], most: int | None = None) -> list[Any]: ...

    def listing(self, query: Query, resource_type: str, predicate: Predicate | None) -> Listing: ...


def bounded_count(reader: Reader, listing: Listing, part: int, limit: int) -> tuple[int, str | None]:
    """How many rows a part has, counted no further than `limit`, and the id that this reached where they are in the
    order of ids.
    """
    build = partial(plan.bounded_count, reader.statements.dialect, part=part)
    counted, reached = first_row(reader, listing, ("bounded count", part), build, limit=limit)
    return int(counted), reached


def first_row(
    reader: Reader, listing: Listing, key: tuple[Any, ...], build: Callable[[Listing], Any], **named: Any
) -> Any:
    """The first row of a statement about a listing; None where there is none."""
    statement = listed(reader.statements, key, listing, build)
    return next(iter(reader.rows(statement, statement.bind({**listing.values, **named}))), None)
