"""A page and the count that it hangs on, by one statement: where a way to the database and back takes longer than both.

Most searches ask for something that few resources meet. So the part that is likeliest to be small is counted, no
further than need be, and if it is small the page comes from the rows that were counted; if not, the count is what
`choosing` goes on with.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, func, null, select, true, union
from sqlalchemy.engine import Dialect

from apothecary.search.predicates import Predicate
from apothecary.store import tables
from apothecary.store.compile import Compiler
from apothecary.store.fragments import constant
from apothecary.store.listing import Listing, Place
from apothecary.store.plan import LIMIT, shown
from apothecary.store.shape import comparisons
from apothecary.store.sorting import Keys, Order
from apothecary.store.traits import ordered


def countable(listing: Listing, part: Predicate) -> bool:
    """Whether the rows of a part are counted by the same way in that lists them: words, and parts of words, have
    others.
    """
    return not listing.scored and all(one.operator not in ("matches", "part") for one in comparisons(part))


def page(dialect: Dialect, listing: Listing, part: int, place: Place) -> Select[Any]:
    """The rows of `plan.page` from a part that has no more than `enough` rows of its own, with three columns more: how
    many rows these are, counted no further than `counted`, and the id that this reached, as `plan.bounded_count` says;
    and for a first page how many hits there are, counted no further than `told`. One row without a resource where there
    is no hit.
    """
    compiler = Compiler(dialect, listing.predicate)
    order = Order(compiler, listing, part, place)
    walks, most = ordered(listing.parts[part]), bindparam("counted", type_=Integer())
    branches = [
        (found.order_by(identity) if walks else found).limit(most).cte(f"branch{number}")
        for number, (found, identity) in enumerate(compiler.source(listing.parts[part], listing.kinds))
    ]
    each = [
        select(func.count().label("rows"), (func.max(one.c.id) if walks else null()).label("reached")).select_from(one)
        for one in branches
    ]
    counted = each[0].cte("counted")
    if len(each) > 1:
        every = each[0].union_all(*each[1:]).subquery()
        counted = select(func.sum(every.c.rows).label("rows"), func.min(every.c.reached).label("reached")).cte(
            "counted"
        )
    # A resource may have several rows.
    ids = [select(one.c.id).distinct() for one in branches]
    hits = (ids[0] if len(ids) == 1 else union(*ids)).subquery("hit")
    few = select(counted.c.rows).scalar_subquery() <= bindparam("enough", type_=Integer())
    rest = [one for number, one in enumerate(listing.parts) if number != part]
    probes = (compiler.probe(one, listing.kinds, hits.c.id) for one in rest)
    keys = order.keys(hits)
    sought: Keys = (hits.c.id.label("id"), *keys)
    found = order.sorted(select(*sought).where(few, *probes, *order.beyond(hits.c.id, keys)), keys, hits.c.id)
    matches: ColumnElement[Any] = null()
    if place.cursor is None:
        # As a page is sorted anyway, it costs little to look at some more hits than it shows.
        some = found.limit(bindparam("told", type_=Integer())).cte("some")
        matches = select(func.count()).select_from(some).scalar_subquery()
        keys = [some.c[key.name] for key in keys]
        found = order.sorted(select(some.c.id, *keys), keys, some.c.id)
    here = found.limit(LIMIT).subquery("page")
    again = [here.c[key.name] for key in keys]
    row = tables.resource
    joined = counted.outerjoin(here, true()).outerjoin(
        row, and_(row.c.type == constant(listing.resource_type), row.c.id == here.c.id)
    )
    outer = select(*shown(), *again, counted.c.rows, counted.c.reached, matches).select_from(joined)
    return order.sorted(outer, again, here.c.id)
