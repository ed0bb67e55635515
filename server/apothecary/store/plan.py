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

from apothecary.search.predicates import Predicate
from apothecary.store import tables
from apothecary.store.compile import Compiler
from apothecary.store.fragments import among, constant
from apothecary.store.listing import Listing, Place, Start
from apothecary.store.sorting import Keys, Order, first_values, walked_along
from apothecary.store.traits import ordered, sourceable

FEW = 2000

# So few that looking at each costs less than counting what else a search could start from.
VERY_FEW = 50

# As many as can be sorted at once in a few dozen milliseconds.
MANY = 20_000

LIMIT = bindparam("limit", type_=Integer())


def bounded_count(dialect: Dialect, listing: Listing, part: int) -> Select[Any]:
    """How many rows one part has, counted no further than `limit`; and of a part in the order of ids the id that the
    count reached, which is the further along the rarer the part is. Of several branches the densest is what counts.
    """
    compiler = Compiler(dialect, listing.predicate)
    wanted = listing.parts[part]
    walks = ordered(wanted)
    counted = []
    for found, identity in compiler.source(wanted, listing.kinds):
        branch = (found.order_by(identity) if walks else found).limit(LIMIT).subquery()
        reached = func.max(branch.c.id) if walks else null()
        counted.append(select(func.count().label("rows"), reached.label("reached")).select_from(branch))
    if len(counted) == 1:
        return counted[0]
    every = counted[0].union_all(*counted[1:]).subquery()
    return select(func.sum(every.c.rows), func.min(every.c.reached))


def sample(dialect: Dialect, listing: Listing, part: int) -> Select[Any]:
    """How many of the first `limit` resources that meet one part meet the others too."""
    compiler = Compiler(dialect, listing.predicate)
    first = compiler.source(listing.parts[part], listing.kinds)[0][0].limit(LIMIT).subquery()
    rest = [compiler.probe(one, listing.kinds, first.c.id) for one in _others(listing, part)]
    return select(func.count()).select_from(first).where(*rest)


def total(dialect: Dialect, listing: Listing) -> Select[Any]:
    """How many resources match."""
    predicate = listing.predicate
    compiler = Compiler(dialect, predicate)
    if predicate is not None and sourceable(predicate):
        found = compiler.ids(predicate, listing.kinds).subquery()
        return select(func.count(found.c.id.distinct()))
    row = tables.resource
    counted = select(func.count()).select_from(row).where(row.c.type == constant(listing.resource_type))
    if predicate is None:
        # What is deleted is counted by an index of its own: no resource is looked at.
        return select(counted.scalar_subquery() - counted.where(row.c.deleted).scalar_subquery())
    return counted.where(not_(row.c.deleted), compiler.probe(predicate, listing.kinds, row.c.id))


def few(dialect: Dialect, listing: Listing, start: Start) -> Select[Any]:
    """How many resources match, counted no further than a limit, from where a page without order would start."""
    compiler = Compiler(dialect, listing.predicate)
    found, walked = _base(compiler, Order(compiler, listing, start, Place()))
    return select(func.count()).select_from(found.with_only_columns(walked.c.id).limit(LIMIT).subquery())


def page(dialect: Dialect, listing: Listing, start: Start, place: Place) -> Select[Any]:
    """One page of hits: the columns of the resource, its sort keys, and its score where that is asked for and no key.
    `start` is the part whose source drives the search, or what is walked along.
    """
    compiler = Compiler(dialect, listing.predicate)
    order = Order(compiler, listing, start, place)
    found, walked = _base(compiler, order)
    keys = order.keys(walked)
    found = found.where(*order.beyond(walked.c.id, keys))
    return (_read_off if order.as_stored else _fetched)(order, found, keys, walked.c.id)


def _read_off(order: Order, found: Select[Any], keys: Keys, identity: ColumnElement[str]) -> Select[Any]:
    """A page along an index of the resources themselves, as far as it goes."""
    shown: Select[Any] = found.with_only_columns(*_columns(), *keys, *_late_score(order, tables.resource.c.id))
    return order.sorted(shown, keys, identity).limit(LIMIT)


def _fetched(order: Order, found: Select[Any], keys: Keys, identity: ColumnElement[str]) -> Select[Any]:
    """A page of ids and keys, for which alone the texts, and scores that do not sort, are then fetched."""
    resource = tables.resource
    sought: Keys = (identity.label("id"), *keys)
    hits = order.sorted(found.with_only_columns(*sought), keys, identity).limit(LIMIT).subquery("page")
    again = [hits.c[key.name] for key in keys]
    # An outer join, though every hit has its resource: it fixes the order of the join. For an inner one SQLite may walk
    # the whole type and look each resource up among the hits.
    same = and_(resource.c.type == constant(order.listing.resource_type), resource.c.id == hits.c.id)
    joined = hits.outerjoin(resource, same)
    outer = select(*_columns(), *again, *_late_score(order, hits.c.id)).select_from(joined)
    return order.sorted(outer, again, hits.c.id)


def _columns() -> Sequence[ColumnElement[Any]]:
    """What a hit has of its resource."""
    row = tables.resource.c
    return row.id, row.version, row.updated, row.fhir_version, row.body


def _late_score(order: Order, identity: ColumnElement[str]) -> Sequence[ColumnElement[Any]]:
    return [order.score(identity)] if order.listing.scored and not order.listing.sorts_by_score else []


def _others(listing: Listing, part: int) -> list[Predicate]:
    return [one for number, one in enumerate(listing.parts) if number != part]


def _base(compiler: Compiler, order: Order) -> tuple[Select[Any], FromClause]:
    """What is read: rows that lead to each hit once, as a select without columns, and where their ids are."""
    listing, start = order.listing, order.start
    resource, kinds = tables.resource, listing.kinds
    if isinstance(start, int):
        hits = _hits(compiler, order, start)
        return select().select_from(hits), hits
    walked: FromClause = resource
    if start == "values":
        walked = walked_along(listing.sort[0])
        found = select().select_from(walked).where(*first_values(walked, kinds, listing.sort[0]))
    else:
        found = select().select_from(resource).where(among(resource.c.type, kinds), not_(resource.c.deleted))
        if start == "missing":
            key = listing.sort[0]
            row = walked_along(key)
            same = (among(row.c.type, kinds), row.c.id == resource.c.id, row.c.parameter == constant(key.parameter))
            found = found.where(not_(exists(select(literal_column("1")).select_from(row).where(*same))))
    return found.where(*(compiler.probe(one, kinds, walked.c.id) for one in listing.parts)), walked


def _hits(compiler: Compiler, order: Order, start: int) -> FromClause:
    """The ids that meet every part, from the source of the part `start`.

    Where the source comes in id order and so does the page, no more of each branch is read than the page holds. From
    any other source all ids are taken, which are few; asked for them in order, a database would rather walk an index
    that has the order and look for the few in it.
    """
    listing = order.listing
    first, rest = listing.parts[start], _others(listing, start)
    walks = not listing.sort and ordered(first)
    branches = []
    for found, identity in compiler.source(first, listing.kinds):
        probed = found.where(*(compiler.probe(one, listing.kinds, identity) for one in rest))
        if walks:
            probed = probed.where(*order.beyond(identity))
            branches.append(probed.distinct().order_by(order.by_id(identity)).limit(LIMIT))
        else:
            branches.append(probed.with_only_columns(compiler.plain(identity).label("id")).distinct())
    if len(branches) == 1:
        return branches[0].subquery("hit")
    wrapped = [select(branch.subquery().c.id) for branch in branches]
    return wrapped[0].union(*wrapped[1:]).subquery("hit")
