"""The order of a page as SQL: sort keys, the place that a cursor names, and a walk along the values of a key.

https://hl7.org/fhir/R5/search.html#_sort
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    false,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.engine import Dialect

from apothecary.search.query import Sort, ids_descend
from apothecary.store import tables
from apothecary.store.compile import Compiler
from apothecary.store.fragments import Boolean, Kinds, among, beside_id, constant
from apothecary.store.listing import Listing, Place, Start

Keys = Sequence[ColumnElement[Any]]
"""What a page is sorted by, for each key of the sort."""


def walked_along(sort: Sort) -> FromClause:
    return tables.INDEXES[sort.table or ""].alias("walked")


def first_values(dialect: Dialect, row: FromClause, kinds: Kinds, sort: Sort) -> list[Boolean]:
    """The rows of a sort key that a resource is sorted by: of its values the first in that order, once."""
    other = row.element.alias("other")  # type: ignore[attr-defined] # of an alias
    value, another = row.c[sort.column], other.c[sort.column]
    before = another > value if sort.descending else another < value
    earlier = exists(
        select(literal_column("1"))
        .select_from(other)
        .where(
            among(other.c.type, kinds),
            other.c.id == row.c.id,
            beside_id(dialect, other.c.parameter) == constant(sort.parameter),
            or_(before, and_(another == value, other.c.row < row.c.row)),
        )
    )
    return [among(row.c.type, kinds), row.c.parameter == constant(sort.parameter), not_(earlier)]


def _together(line: Keys) -> ColumnElement[Any]:
    """A value and an id compared as one: an index leads to the place however many have the value.
    https://www.sqlite.org/rowvalue.html
    """
    return line[0] if len(line) == 1 else tuple_(*line)


class Order:
    """The order of one page, and where it begins. One instance for one statement."""

    def __init__(self, compiler: Compiler, listing: Listing, start: Start, place: Place) -> None:
        self.listing = listing
        self.start = start
        self.backwards = place.backwards
        self._compiler = compiler
        self._place = place

    @property
    def as_stored(self) -> bool:
        """Whether an index of the resources themselves has this order: nothing is sorted then."""
        return self.start is None and all(one.table is None and one.column != "score" for one in self.listing.sort)

    # -- keys

    def keys(self, walked: FromClause) -> list[ColumnElement[Any]]:
        """The values that resources are sorted by; `walked` has their ids."""
        return [
            self.score(walked.c.id) if one.column == "score" else self._key(one, number, walked)
            for number, one in enumerate(self.listing.sort)
        ]

    def score(self, identity: ColumnElement[str]) -> ColumnElement[Any]:
        """How well a resource matches, in millionths."""
        predicate, kinds = self.listing.predicate, self.listing.kinds
        score = None if predicate is None else self._compiler.score(predicate, kinds, identity)
        return (literal_column("CAST(0 AS BIGINT)", BigInteger()) if score is None else score).label("score")

    def _key(self, sort: Sort, number: int, walked: FromClause) -> ColumnElement[Any]:
        """The value a resource is sorted by: its smallest when ascending, its largest when descending."""
        name, kinds = f"key{number}", self.listing.kinds
        if number == 0 and self.start == "values":
            return walked.c[sort.column].label(name)
        if number == 0 and self.start == "missing":
            return null().label(name)
        if sort.table is None:
            if walked is tables.resource:
                return tables.resource.c[sort.column].label(name)
            row: FromClause = tables.resource.alias(f"s{number}")
            value = select(row.c[sort.column]).where(among(row.c.type, kinds), row.c.id == walked.c.id)
        else:
            row = tables.INDEXES[sort.table].alias(f"s{number}")
            extreme = func.max if sort.descending else func.min
            # Plain, or SQLite walks the index of all values from its end until it meets the resource.
            value = select(extreme(self._compiler.plain(row.c[sort.column]))).where(
                among(row.c.type, kinds),
                row.c.id == walked.c.id,
                beside_id(self._compiler.dialect, row.c.parameter) == constant(sort.parameter),
            )
        return value.select_from(row).correlate_except(row).scalar_subquery().label(name)

    def sorted(self, found: Select[Any], keys: Keys, identity: ColumnElement[str]) -> Select[Any]:
        """`found` by its keys, then by id."""
        order: list[ColumnElement[Any]] = []
        for number, (one, key) in enumerate(zip(self.listing.sort, keys, strict=True)):
            if number == 0 and self.start == "missing":
                continue  # none of them has the first key
            # Resources without a value come last, whichever way the values run.
            direction = key.desc() if one.descending != self.backwards else key.asc()
            # A resource's own columns are never missing, nor is what is walked along; an index is in their plain order.
            if one.table is not None and not (number == 0 and self.start == "values"):
                direction = direction.nulls_first() if self.backwards else direction.nulls_last()
            order.append(direction)
        return found.order_by(*order, self.by_id(identity))

    def by_id(self, identity: ColumnElement[str]) -> ColumnElement[str]:
        return self.along(identity)

    # -- the place

    def beyond(self, identity: ColumnElement[str], keys: Keys = ()) -> list[Boolean]:
        """The hits behind the cursor, as far as a walk goes."""
        until: list[Boolean] = []
        if self._place.until is not None:
            line = self.line(identity, keys)
            ends = [bindparam(f"until{number}", type_=one.type) for number, one in enumerate(line)]
            here, there = _together(line), _together(ends)
            until = [here >= there if self._down else here <= there]
        if self._place.cursor is None:
            return until
        if self.listing.sort:
            return [*until, self._behind(self._place.cursor.values, keys, identity)]
        return until if self._place.ties == "all" else [*until, self._id_beyond(identity)]

    def line(self, identity: ColumnElement[str], keys: Keys = ()) -> Keys:
        """What a walk runs along: the ids of what has no value or no order; a value, and then the ids that have it.
        What is sorted further is together where it has one value.
        """
        if not self.listing.sort or self.start == "missing":
            return [identity]
        return [keys[0], identity] if self.listing.may_end_early else [keys[0]]

    @property
    def _down(self) -> bool:
        """Whether a walk, or the ids of what is equal, runs from the last to the first."""
        return self.backwards != ids_descend(self.listing.sort)

    def begins(self, line: Keys) -> list[Boolean]:
        """What is left of a walk along a line behind the cursor, or beside it."""
        if self._place.cursor is None:
            return []
        if self.listing.sort and not self.listing.may_end_early:
            first = bindparam("c0", type_=line[0].type)
            return [line[0] <= first if self._down else line[0] >= first]
        return self.beyond(line[-1], line[:1])

    def along(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """The order of a walk along a column."""
        return column.desc() if self._down else column.asc()

    def _id_beyond(self, identity: ColumnElement[str]) -> Boolean:
        bound = bindparam("after", type_=Text())
        return identity < bound if self._down else identity > bound

    def _behind(self, values: Sequence[str | int | None], keys: Keys, identity: ColumnElement[str]) -> Boolean:
        """Hits behind `values` in the order of the keys, then ids; values that are missing change the statement's
        shape.
        """
        ties = self._place.ties
        further_on: Boolean = true() if ties == "all" else false() if ties == "none" else self._id_beyond(identity)
        for number in range(len(self.listing.sort) - 1, -1, -1):
            key, value = keys[number], values[number]
            same: Boolean
            further: Boolean
            # What a walk runs along is never missing.
            walked = number == 0 and (self.start == "values" or self.as_stored)
            if number == 0 and self.start == "missing":
                continue
            if value is None:
                same, further = key.is_(None), key.is_not(None) if self.backwards else false()
            else:
                bound = bindparam(f"c{number}", type_=BigInteger() if isinstance(value, int) else Text())
                if walked and ties == "after" and self.listing.may_end_early:
                    here, there = _together((key, identity)), _together((bound, bindparam("after", type_=Text())))
                    return here < there if self._down else here > there
                same = key == bound
                down = self.listing.sort[number].descending != self.backwards
                past = key < bound if down else key > bound
                further = past if self.backwards or walked else or_(past, key.is_(None))
                if walked:
                    # Said once more in the form that leads an index to the place.
                    return and_(key <= bound if down else key >= bound, or_(further, further_on))
            further_on = or_(further, and_(same, further_on))
        return further_on
