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
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    not_,
    null,
    select,
)
from sqlalchemy.engine import Dialect

from apothecary.search.predicates import And, Predicate
from apothecary.search.query import Cursor, Sort
from apothecary.store import tables
from apothecary.store.compile import Compiler
from apothecary.store.fragments import Kinds, among, constant
from apothecary.store.sorting import Start, beyond, first_values, in_order, keyset, sort_key, walked_along
from apothecary.store.traits import ordered, sourceable

FEW = 2000

# So few that looking at each costs less than counting what else a search could start from.
VERY_FEW = 50

# As many as can be sorted at once in a few dozen milliseconds.
MANY = 20_000

LIMIT = bindparam("limit", type_=Integer())


def parts(predicate: Predicate | None) -> Sequence[Predicate]:
    """The predicates that must all hold."""
    if predicate is None:
        return ()
    return predicate.of if isinstance(predicate, And) else (predicate,)


def candidates(predicate: Predicate | None) -> list[int]:
    """Which of the parts a search can start from."""
    return [number for number, part in enumerate(parts(predicate)) if sourceable(part)]


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


def sample(dialect: Dialect, resource_type: str, predicate: Predicate, part: int) -> Select[Any]:
    """How many of the first `limit` resources that meet one part meet the others too."""
    compiler = Compiler(dialect, predicate)
    kinds = (resource_type,)
    wanted = parts(predicate)
    first = compiler.source(wanted[part], kinds)[0][0].limit(LIMIT).subquery()
    rest = [compiler.probe(one, kinds, first.c.id) for number, one in enumerate(wanted) if number != part]
    return select(func.count()).select_from(first).where(*rest)


def total(dialect: Dialect, resource_type: str, predicate: Predicate | None) -> Select[Any]:
    """How many resources match."""
    compiler = Compiler(dialect, predicate)
    if predicate is not None and sourceable(predicate):
        found = compiler.ids(predicate, (resource_type,)).subquery()
        return select(func.count(found.c.id.distinct()))
    row = tables.resource
    counted = select(func.count()).select_from(row).where(row.c.type == constant(resource_type))
    if predicate is None:
        # What is deleted is counted by an index of its own: no resource is looked at.
        return select(counted.scalar_subquery() - counted.where(row.c.deleted).scalar_subquery())
    return counted.where(not_(row.c.deleted), compiler.probe(predicate, (resource_type,), row.c.id))


def page(
    dialect: Dialect,
    resource_type: str,
    predicate: Predicate | None,
    start: Start,
    sort: Sequence[Sort],
    cursor: Cursor | None,
    ties: str,
    backwards: bool,
    scored: bool = False,
) -> Select[Any]:
    """One page of hits. `start` is the part whose source drives the search, or what is walked along.

    `ties` says what to do with a hit whose sort values equal the cursor's: `after` compares ids, `all` and `none` are
    for a search over several types, where the order of the types decides. `scored` adds the score as the last column,
    unless it is a key.
    """
    compiler = Compiler(dialect, predicate)
    resource = tables.resource
    kinds = (resource_type,)
    wanted = list(parts(predicate))
    columns = (resource.c.id, resource.c.version, resource.c.updated, resource.c.fhir_version, resource.c.body)
    # In the order of ids alone a page begins behind the cursor's id.
    place = None if sort or ties == "all" else cursor
    found, walked = _base(compiler, kinds, wanted, start, sort, place, backwards)
    identity = walked.c.id

    def points(of: ColumnElement[str]) -> ColumnElement[Any]:
        score = None if predicate is None else compiler.score(predicate, kinds, of)
        return (literal_column("CAST(0 AS BIGINT)", BigInteger()) if score is None else score).label("score")

    keys = [
        points(identity) if one.column == "score" else sort_key(compiler, kinds, one, number, start, walked)
        for number, one in enumerate(sort)
    ]
    if sort and cursor is not None:
        found = found.where(keyset(sort, keys, cursor, identity, ties, backwards, start))
    if place is not None:
        found = found.where(beyond(identity, backwards))
    late = scored and not any(one.column == "score" for one in sort)
    if start is None and all(one.table is None and one.column != "score" for one in sort):
        # Read off along an index of the resources themselves: nothing is sorted.
        shown = found.with_only_columns(*columns, *keys, *([points(resource.c.id)] if late else []))
        return in_order(shown, sort, keys, identity, start, backwards).limit(LIMIT)
    # What is sorted are ids and keys. The texts, and scores that do not sort, are fetched for the page alone.
    inner = in_order(found.with_only_columns(identity.label("id"), *keys), sort, keys, identity, start, backwards)
    hits = inner.limit(LIMIT).subquery("page")
    again = [hits.c[key.name] for key in keys]
    # An outer join, though every hit has its resource: it fixes the order of the join. For an inner one SQLite may walk
    # the whole type and look each resource up among the hits.
    joined = hits.outerjoin(resource, and_(resource.c.type == constant(resource_type), resource.c.id == hits.c.id))
    outer = select(*columns, *again, *([points(hits.c.id)] if late else [])).select_from(joined)
    return in_order(outer, sort, again, hits.c.id, start, backwards)


def _base(
    compiler: Compiler,
    kinds: Kinds,
    wanted: Sequence[Predicate],
    start: Start,
    sort: Sequence[Sort],
    place: Cursor | None,
    backwards: bool,
) -> tuple[Select[Any], FromClause]:
    """What is read: rows that lead to each hit once, as a select without columns, and where their ids are."""
    resource = tables.resource
    if isinstance(start, int):
        rest = [one for number, one in enumerate(wanted) if number != start]
        hits = _hits(compiler, kinds, wanted[start], rest, place, backwards, limited=not sort)
        return select().select_from(hits), hits
    walked: FromClause = resource
    if start == "values":
        walked = walked_along(sort[0])
        found = select().select_from(walked).where(*first_values(walked, kinds, sort[0]))
    else:
        found = select().select_from(resource).where(among(resource.c.type, kinds), not_(resource.c.deleted))
        if start == "missing":
            row = walked_along(sort[0])
            same = (among(row.c.type, kinds), row.c.id == resource.c.id, row.c.parameter == constant(sort[0].parameter))
            found = found.where(not_(exists(select(literal_column("1")).select_from(row).where(*same))))
    return found.where(*(compiler.probe(one, kinds, walked.c.id) for one in wanted)), walked


def _hits(
    compiler: Compiler,
    kinds: Kinds,
    start: Predicate,
    rest: Sequence[Predicate],
    cursor: Cursor | None,
    backwards: bool,
    *,
    limited: bool,
) -> FromClause:
    """The ids that meet every part, from the source of `start`.

    Where the source comes in id order and so does the page, no more of each branch is read than the page holds. From
    any other source all ids are taken, which are few; asked for them in order, a database would rather walk an index
    that has the order and look for the few in it.
    """
    walks = limited and ordered(start)
    branches = []
    for found, identity in compiler.source(start, kinds):
        probed = found.where(*(compiler.probe(one, kinds, identity) for one in rest))
        if walks:
            if cursor is not None:
                probed = probed.where(beyond(identity, backwards))
            direction = identity.desc() if backwards else identity.asc()
            branches.append(probed.distinct().order_by(direction).limit(LIMIT))
        else:
            branches.append(probed.with_only_columns(compiler.plain(identity).label("id")).distinct())
    if len(branches) == 1:
        return branches[0].subquery("hit")
    wrapped = [select(branch.subquery().c.id) for branch in branches]
    return wrapped[0].union(*wrapped[1:]).subquery("hit")
