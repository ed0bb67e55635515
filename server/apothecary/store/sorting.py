"""The order of a page as SQL: sort keys, the place that a cursor names, and a walk along the values of a key.

https://hl7.org/fhir/R5/search.html#_sort
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

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
)

from apothecary.search.query import Cursor, Sort
from apothecary.store import tables
from apothecary.store.compile import Compiler
from apothecary.store.fragments import Boolean, Kinds, among, constant

Walk = Literal["values", "missing"]
"""Along the values of the first sort key, and then along the resources that have none."""
Start = int | Walk | None
"""What a search starts from: a part by its number; None is a walk along the ids of the type."""


def walked_along(sort: Sort) -> FromClause:
    return tables.INDEXES[sort.table or ""].alias("walked")


def first_values(row: FromClause, kinds: Kinds, sort: Sort) -> list[Boolean]:
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
            other.c.parameter == constant(sort.parameter),
            or_(before, and_(another == value, other.c.row < row.c.row)),
        )
    )
    return [among(row.c.type, kinds), row.c.parameter == constant(sort.parameter), not_(earlier)]


def in_order(
    found: Select[Any],
    sort: Sequence[Sort],
    keys: Sequence[ColumnElement[Any]],
    identity: ColumnElement[str],
    start: Start,
    backwards: bool,
) -> Select[Any]:
    order: list[ColumnElement[Any]] = []
    for number, (one, key) in enumerate(zip(sort, keys, strict=True)):
        if number == 0 and start == "missing":
            continue  # none of them has the first key
        # Resources without a value come last, whichever way the values run.
        direction = key.desc() if one.descending != backwards else key.asc()
        # A resource's own columns are never missing, nor is what is walked along; an index is in their plain order.
        if one.table is not None and not (number == 0 and start == "values"):
            direction = direction.nulls_first() if backwards else direction.nulls_last()
        order.append(direction)
    return found.order_by(*order, identity.desc() if backwards else identity.asc())


def beyond(identity: ColumnElement[str], backwards: bool) -> Boolean:
    bound = bindparam("after", type_=Text())
    return identity < bound if backwards else identity > bound


def sort_key(
    compiler: Compiler,
    kinds: Kinds,
    sort: Sort,
    number: int,
    start: Start,
    walked: FromClause,
) -> ColumnElement[Any]:
    """The value a resource is sorted by: its smallest when ascending, its largest when descending. `walked` has its
    id.
    """
    name = f"key{number}"
    if number == 0 and start == "values":
        return walked.c[sort.column].label(name)
    if number == 0 and start == "missing":
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
        value = select(extreme(compiler.plain(row.c[sort.column]))).where(
            among(row.c.type, kinds), row.c.id == walked.c.id, row.c.parameter == constant(sort.parameter)
        )
    return value.select_from(row).correlate_except(row).scalar_subquery().label(name)


def keyset(
    sort: Sequence[Sort],
    keys: Sequence[ColumnElement[Any]],
    cursor: Cursor,
    identity: ColumnElement[str],
    ties: str,
    backwards: bool,
    start: Start,
) -> Boolean:
    """Hits beyond the cursor in the order of the keys, then ids; values missing in the cursor change the statement's
    shape.
    """
    further_on: Boolean = true() if ties == "all" else false() if ties == "none" else beyond(identity, backwards)
    for number in range(len(sort) - 1, -1, -1):
        key, value = keys[number], cursor.values[number]
        same: Boolean
        further: Boolean
        walked = number == 0 and start == "values"
        if number == 0 and start == "missing":
            continue
        if value is None:
            same, further = key.is_(None), key.is_not(None) if backwards else false()
        else:
            bound = bindparam(f"c{number}", type_=BigInteger() if isinstance(value, int) else Text())
            same = key == bound
            down = sort[number].descending != backwards
            past = key < bound if down else key > bound
            further = past if backwards or walked else or_(past, key.is_(None))
            if walked:
                # Said once more in the form that leads an index to the place.
                return and_(key <= bound if down else key >= bound, or_(further, further_on))
        further_on = or_(further, and_(same, further_on))
    return further_on
