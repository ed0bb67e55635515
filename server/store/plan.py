"""The statements of a search: a page of hits, a count, a bounded count to choose where to start.

Measured: `EXISTS` with `ORDER BY id LIMIT` makes both databases walk the whole table where few resources match, and
sorting makes them read every match where many do. So a search that is one lookup by equality starts there, in id order;
for any other the parts are counted, the likeliest first and no further than `FEW`, and the search starts from the
smallest part if that is small. Else it walks along the ids: of the rarest part that has them in order, or of the type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    false,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.engine import Dialect

from server.search.predicates import And, Predicate
from server.search.query import Cursor, Sort
from server.store import tables
from server.store.compile import Compiler, ordered, sourceable
from server.store.matching import Boolean, constant

FEW = 1000
# So few that looking at each costs less than counting what else a search could start from.
VERY_FEW = 50

LIMIT = bindparam("limit", type_=Integer())


def parts(predicate: Predicate | None) -> Sequence[Predicate]:
    """The predicates that must all hold."""
    if predicate is None:
        return ()
    return predicate.of if isinstance(predicate, And) else (predicate,)


def candidates(predicate: Predicate | None) -> list[int]:
    """Which of the parts a search can start from."""
    return [number for number, part in enumerate(parts(predicate)) if sourceable(part)]


def at_once(predicate: Predicate | None) -> int | None:
    """The part to start from where that needs no counting: the only candidate, a lookup by equality."""
    possible = candidates(predicate)
    if len(possible) == 1 and ordered(parts(predicate)[possible[0]]):
        return possible[0]
    return None


def bounded_count(dialect: Dialect, resource_type: str, predicate: Predicate, part: int) -> Select[Any]:
    """How many rows one part has, counted no further than `limit`; and of a part in the order of ids the id that the
    count reached, which is the further along the rarer the part is. Of several branches the densest is what counts.
    """
    compiler = Compiler(dialect, predicate)
    wanted = parts(predicate)[part]
    walks = ordered(wanted)
    counted = []
    for found, identity in compiler.source(wanted, (resource_type,)):
        branch = (found.order_by(identity) if walks else found).limit(LIMIT).subquery()
        reached = func.max(branch.c.id) if walks else null()
        counted.append(select(func.count().label("rows"), reached.label("reached")).select_from(branch))
    if len(counted) == 1:
        return counted[0]
    every = counted[0].union_all(*counted[1:]).subquery()
    return select(func.sum(every.c.rows), func.min(every.c.reached))


def total(dialect: Dialect, resource_type: str, predicate: Predicate | None) -> Select[Any]:
    """How many resources match."""
    compiler = Compiler(dialect, predicate)
    if predicate is not None and sourceable(predicate):
        found = compiler.ids(predicate, (resource_type,)).subquery()
        return select(func.count(found.c.id.distinct()))
    row = tables.resource
    counted = select(func.count()).select_from(row).where(row.c.type == constant(resource_type), not_(row.c.deleted))
    return counted if predicate is None else counted.where(compiler.probe(predicate, (resource_type,), row.c.id))


def page(
    dialect: Dialect,
    resource_type: str,
    predicate: Predicate | None,
    start: int | None,
    sort: Sequence[Sort],
    cursor: Cursor | None,
    ties: str,
    backwards: bool,
    scored: bool = False,
) -> Select[Any]:
    """One page of hits. `start` is the part whose source drives the search, None walks over the type.

    `ties` says what to do with a hit whose sort values equal the cursor's: `after` compares ids, `all` and `none` are
    for a search over
    several types, where the order of the types decides. `scored` adds the score as the last column, unless it is a key.
    """
    compiler = Compiler(dialect, predicate)
    resource = tables.resource
    wanted = list(parts(predicate))
    columns = (resource.c.id, resource.c.version, resource.c.updated, resource.c.fhir_version, resource.c.body)
    score = None
    if predicate is not None and (scored or any(one.column == "score" for one in sort)):
        score = compiler.score(predicate, (resource_type,), resource.c.id)
    points = (literal_column("CAST(0 AS BIGINT)", BigInteger()) if score is None else score).label("score")
    keys = [
        points if one.column == "score" else _sort_key(compiler, resource_type, one, number)
        for number, one in enumerate(sort)
    ]
    # By its name the score is worked out once, for the order and the answer; it is a key already or comes last.
    shown = [*columns, *keys, *([points] if scored and all(key is not points for key in keys) else ())]
    found: Select[Any]
    if start is None:
        found = select(*shown).where(resource.c.type == constant(resource_type), not_(resource.c.deleted))
        found = found.where(*(compiler.probe(one, (resource_type,), resource.c.id) for one in wanted))
        if not sort and cursor is not None and ties != "all":
            found = found.where(_beyond(resource.c.id, backwards))
    else:
        rest = [one for number, one in enumerate(wanted) if number != start]
        place = None if sort or ties == "all" else cursor
        hits = _hits(compiler, resource_type, wanted[start], rest, place, backwards, limited=not sort)
        # An outer join, though every hit has its resource: it fixes the order of the join. For an inner one SQLite may
        # walk the whole type and look each resource up among the hits.
        same = and_(resource.c.type == constant(resource_type), resource.c.id == hits.c.id)
        joined = hits.outerjoin(resource, same)
        found = select(*shown).select_from(joined)
        if place is not None:
            found = found.where(_beyond(hits.c.id, backwards))
    if sort and cursor is not None:
        found = found.where(_keyset(sort, keys, cursor, resource.c.id, ties, backwards))
    order: list[ColumnElement[Any]] = []
    for one, key in zip(sort, keys, strict=True):
        # Resources without a value come last, whichever way the values run.
        direction = key.desc() if one.descending != backwards else key.asc()
        if one.table is not None:  # a resource's own columns are never missing, and an index is in their plain order
            direction = direction.nulls_first() if backwards else direction.nulls_last()
        order.append(direction)
    order.append(resource.c.id.desc() if backwards else resource.c.id.asc())
    return found.order_by(*order).limit(LIMIT)


def _beyond(identity: ColumnElement[str], backwards: bool) -> Boolean:
    bound = bindparam("after", type_=Text())
    return identity < bound if backwards else identity > bound


def _hits(
    compiler: Compiler,
    resource_type: str,
    start: Predicate,
    rest: Sequence[Predicate],
    cursor: Cursor | None,
    backwards: bool,
    *,
    limited: bool,
) -> FromClause:
    """The ids that meet every part, from the source of `start`.

    Where the source comes in id order and so does the page, no more of each branch is read than the page holds. From
    any
    other source all ids are taken, which are few; asked for them in order, a database would rather walk an index that
    has
    the order and look for the few in it.
    """
    walks = limited and ordered(start)
    branches = []
    for found, identity in compiler.source(start, (resource_type,)):
        probed = found.where(*(compiler.probe(one, (resource_type,), identity) for one in rest))
        if walks:
            if cursor is not None:
                probed = probed.where(_beyond(identity, backwards))
            direction = identity.desc() if backwards else identity.asc()
            branches.append(probed.distinct().order_by(direction).limit(LIMIT))
        else:
            branches.append(probed.with_only_columns(compiler.plain(identity).label("id")).distinct())
    if len(branches) == 1:
        return branches[0].subquery("hit")
    wrapped = [select(branch.subquery().c.id) for branch in branches]
    return wrapped[0].union(*wrapped[1:]).subquery("hit")


def _sort_key(compiler: Compiler, resource_type: str, sort: Sort, number: int) -> ColumnElement[Any]:
    """The value a resource is sorted by: its smallest when ascending, its largest when descending."""
    if sort.table is None:
        return tables.resource.c[sort.column]
    row = tables.INDEXES[sort.table].alias(f"s{number}")
    extreme = func.max if sort.descending else func.min
    # Plain, or SQLite walks the index of all values from its end until it meets the resource.
    value = select(extreme(compiler.plain(row.c[sort.column]))).where(
        row.c.type == constant(resource_type),
        row.c.id == tables.resource.c.id,
        row.c.parameter == constant(sort.parameter),
    )
    return value.select_from(row).correlate(tables.resource).scalar_subquery().label(f"key{number}")


def _keyset(
    sort: Sequence[Sort],
    keys: Sequence[ColumnElement[Any]],
    cursor: Cursor,
    identity: ColumnElement[str],
    ties: str,
    backwards: bool,
) -> Boolean:
    """Hits beyond the cursor in the order of the keys, then ids; values missing in the cursor change the statement's
    shape.
    """
    beyond: Boolean = true() if ties == "all" else false() if ties == "none" else _beyond(identity, backwards)
    for number in range(len(sort) - 1, -1, -1):
        key, value = keys[number], cursor.values[number]
        same: Boolean
        further: Boolean
        if value is None:
            same, further = key.is_(None), key.is_not(None) if backwards else false()
        else:
            bound = bindparam(f"c{number}", type_=BigInteger() if isinstance(value, int) else Text())
            same = key == bound
            past = key < bound if sort[number].descending != backwards else key > bound
            further = past if backwards else or_(past, key.is_(None))
        beyond = or_(further, and_(same, beyond))
    return beyond
