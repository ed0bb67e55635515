"""Reading what was: the versions that others took the place of, and the current ones, whose texts lie elsewhere.

https://hl7.org/fhir/R5/http.html#history and https://hl7.org/fhir/R5/http.html#vread
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Integer,
    Select,
    Subquery,
    Text,
    bindparam,
    cast,
    func,
    literal_column,
    not_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.engine import Dialect

from apothecary.search.contained import MARK
from apothecary.store import tables
from apothecary.store.fragments import one_of

_TYPE = bindparam("type", type_=Text())
_ID = bindparam("id", type_=Text())
_LIMIT = bindparam("limit", type_=Integer())

# When the next version of a current one was made: later than everything. It must have the type of the column that it
# stands beside, or SQLite would put all rows of both tables together before it looks at conditions on them
# (https://www.sqlite.org/optoverview.html#subquery_flattening).
_NEVER = cast(literal_column(str(2**63 - 1)), BigInteger()).label("replaced")

_COLUMNS = ("type", "id", "version", "updated", "fhir_version", "body", "method")
_CURRENT = select(*(tables.resource.c[name] for name in _COLUMNS), _NEVER)
_SUPERSEDED = select(*(tables.superseded.c[name] for name in _COLUMNS), tables.superseded.c.replaced)


def past() -> Subquery:
    """All versions, and what is contained in current ones. Both databases move conditions on it, and its order, into
    either table: so a page reads no more of them than it shows.
    """
    return union_all(_CURRENT, _SUPERSEDED).subquery("past")


def version() -> Select[Any]:
    """One version of a resource. Most often it is the current one: then the other table is not looked at."""
    row = past().c
    found = _entries(row).where(row.type == _TYPE, row.id == _ID)
    return found.where(row.version == bindparam("version", type_=Integer())).limit(1)


def history(before: bool, since: bool, during: bool) -> Select[Any]:
    """Versions of one resource, newest first."""
    row = past().c
    found = _made(_entries(row).where(row.type == _TYPE, row.id == _ID), row, since, during)
    if before:
        found = found.where(row.version < bindparam("before", type_=Integer()))
    return found.order_by(row.version.desc()).limit(_LIMIT)


def history_total(since: bool, during: bool) -> Select[Any]:
    """How many versions of one resource there are."""
    counts = [
        _made(select(func.count()).select_from(one).where(one.c.type == _TYPE, one.c.id == _ID), one.c, since, during)
        for one in (_CURRENT.subquery("one"), _SUPERSEDED.subquery("one"))
    ]
    return _sum(counts)


def history_of(
    dialect: Dialect, resource_type: bool, types: bool, since: bool, during: bool, before: bool
) -> Select[Any]:
    """Versions of all resources, or of some types: newest first, ties by type and id. Of one resource each version is
    later than the one before (`Transaction.moment`), so that this is an order of all.
    """
    row = past().c
    found = _window(dialect, _entries(row), row, resource_type, types, since, during)
    if before:
        place = tuple_(
            bindparam("before_updated", type_=BigInteger()),
            bindparam("before_type", type_=Text()),
            bindparam("before_id", type_=Text()),
        )
        found = found.where(tuple_(row.updated, row.type, row.id) < place)
    return found.order_by(row.updated.desc(), row.type.desc(), row.id.desc()).limit(_LIMIT)


def history_of_total(dialect: Dialect, resource_type: bool, types: bool, since: bool, during: bool) -> Select[Any]:
    """How many versions of all resources, or of some types, there are."""
    counts = [
        _window(dialect, select(func.count()).select_from(one), one.c, resource_type, types, since, during)
        for one in (_CURRENT.subquery("one"), _SUPERSEDED.subquery("one"))
    ]
    return _sum(counts)


def as_of(dialect: Dialect) -> Select[Any]:
    """What was current at a moment of some ids of a type, deletions included."""
    row, moment = past().c, bindparam("moment", type_=BigInteger())
    found = select(row.type, row.id, row.version, row.updated, row.fhir_version, row.body)
    # An expression, not the column, or SQLite would read all versions of the type in the order of time.
    then = row.updated + literal_column("0") <= moment, row.replaced > moment
    return found.where(row.type == _TYPE, one_of(dialect, row.id, "ids"), *then)


def _entries(row: Any) -> Select[Any]:
    return select(*(row[name] for name in _COLUMNS))


def _sum(counts: list[Select[Any]]) -> Select[Any]:
    """What several statements count. Of each table by itself: to count what was put together, it would be read."""
    first, *others = (one.scalar_subquery() for one in counts)
    return select(sum(others, first))


def _window(
    dialect: Dialect, found: Select[Any], row: Any, resource_type: bool, types: bool, since: bool, during: bool
) -> Select[Any]:
    """Versions of one type or of several, made at or after a moment, or current at some moment of a span."""
    if resource_type:
        found = found.where(row.type == _TYPE)
    elif types:
        # An expression, not the column: SQLite would read every version of the types and sort them, where the index in
        # the order of time gives a page at once.
        found = found.where(one_of(dialect, row.type.concat(""), "types"))
    else:
        # What is contained has the versions of its container, and no other.
        found = found.where(not_(row.type.endswith(MARK)))
    return _made(found, row, since, during)


def _made(found: Select[Any], row: Any, since: bool, during: bool) -> Select[Any]:
    """Those of some versions that were made at or after a moment, or were current at some moment of a span."""
    if since:
        found = found.where(row.updated >= bindparam("since", type_=BigInteger()))
    if during:
        # Made before its end, and not replaced before its beginning.
        low, high = bindparam("at_low", type_=BigInteger()), bindparam("at_high", type_=BigInteger())
        found = found.where(row.updated < high, row.replaced > low)
    return found
