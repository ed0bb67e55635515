"""The statements of a search: a page of hits, a count, a bounded count to choose where to start.

Measured: `EXISTS` with `ORDER BY id LIMIT` makes both databases walk the whole table where few resources match, and
sorting makes them read every match where many do. So a search that is one lookup by equality starts there, in id order;
for any other the parts are counted, the likeliest first and no further than `FEW`, and the search starts from the
smallest part if that is small. Else it walks along the ids: of the rarest part that has them in order, or of the type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    not_,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.engine import Dialect

from apothecary.search.predicates import Not, Predicate
from apothecary.store import tables
from apothecary.store.compile import Compiler
from apothecary.store.fragments import among, beside_id, constant
from apothecary.store.listing import Listing, Place, Start
from apothecary.store.reads import DEFINITIONS
from apothecary.store.sorting import Keys, Order, first_values, walked_along
from apothecary.store.traits import ordered, sourceable

FEW = 2000

# The same of what is looked for along references, or on the same element.
FEW_LINKED = 500

# So many steps is a walk tried for, and for each hit of the page so many more.
TRIED = 2000
TRIED_FOR_A_HIT = 10

# So few that looking at each costs less than counting what else a search could start from.
VERY_FEW = 50

# As many as can be sorted at once in a few dozen milliseconds.
MANY = 20_000

# As many as can be listed in that time, where they need not be sorted by a value.
MOST = 100_000

# So many matches are put in order by how well they match: each is looked at for that.
RANKED = 20_000

# From so few rows a total is counted; where there are more, so many resources are looked at, half of them at either end
# of a type, where an estimate will do.
SAMPLE = 4000

# To look at one resource, for what it must meet besides, costs as much as so many entries of an index.
LOOK = 10

# To look words up in one resource costs as much as so many looks.
WORDS = 4

# A row that a reference leads to is so many looks.
LINKED = 4

# So many times as much is listed, to see what two lists have in common, rather than looked up one by one.
MUCH = 4

LIMIT = bindparam("limit", type_=Integer())


class Costs(NamedTuple):
    """What a database takes longer for than another, measured at a million resources."""

    look: int
    """As much as so many looks at one resource on SQLite, of 3 to 4 µs."""
    common: int
    """As much as so many entries of an index costs one of two lists that are compared for what they have in common."""


_COSTS = {"sqlite": Costs(1, 2), "postgresql": Costs(3, 1)}


def costs(dialect: Dialect) -> Costs:
    return _COSTS[dialect.name]


def bounded_count(dialect: Dialect, listing: Listing, part: int) -> Select[Any]:
    """How many rows one part has, counted no further than `limit`; and of a part in the order of ids the id that the
    count reached, which is the further along the rarer the part is. Of several branches the densest is what counts.
    """
    compiler = Compiler(dialect, listing.predicate)
    wanted = listing.parts[part]
    walks = ordered(wanted)
    counted = []
    for found, identity in compiler.counted(wanted, listing.kinds):
        branch = (found.order_by(identity) if walks else found).limit(LIMIT).subquery()
        reached = func.max(branch.c.id) if walks else null()
        counted.append(select(func.count().label("rows"), reached.label("reached")).select_from(branch))
    if len(counted) == 1:
        return counted[0]
    every = counted[0].union_all(*counted[1:]).subquery()
    return select(func.sum(every.c.rows), func.min(every.c.reached))


def exceeds(dialect: Dialect, listing: Listing, part: int) -> Select[Any]:
    """A row for each branch of a part that has more rows than `steps`: entries are passed over faster than counted."""
    compiler = Compiler(dialect, listing.predicate)
    steps, found = bindparam("steps", type_=Integer()), compiler.counted(listing.parts[part], listing.kinds)
    beyond = [branch.offset(steps).limit(1).subquery() for branch, _ in found]
    every = union_all(*(select(one.c.id) for one in beyond)).subquery()
    return select(every.c.id)


def walks(listing: Listing, start: Start) -> bool:
    """Whether a walk from `start` is in the order of the page."""
    if start == "values" or isinstance(start, int):
        return True
    if start == "missing":
        return listing.may_end_early
    return start is None and all(one.table is None and one.column != "score" for one in listing.sort)


def reached(dialect: Dialect, listing: Listing, start: Start, place: Place) -> Select[Any]:
    """The place on its line that a walk comes to in so many `steps`; no row where it ends before."""
    compiler = Compiler(dialect, listing.predicate)
    order = Order(compiler, listing, start, place)
    steps = bindparam("steps", type_=Integer())
    if isinstance(start, int):
        branches = [
            found.where(*order.beyond(identity)).order_by(order.by_id(identity)).offset(steps).limit(1).subquery()
            for found, identity in compiler.source(listing.parts[start], listing.kinds)
        ]
        every = union_all(*(select(one.c.id) for one in branches)).subquery()
        # Of several branches the densest, as it comes to so many first.
        return select(every.c.id).order_by(order.by_id(every.c.id)).limit(1)
    kinds: Sequence[ColumnElement[bool]]
    if start == "values":
        walked = walked_along(listing.sort[0])
        kinds = among(walked.c.type, listing.kinds), walked.c.parameter == constant(listing.sort[0].parameter)
    else:
        walked, kinds = tables.resource, [among(tables.resource.c.type, listing.kinds)]
    line = order.line(walked.c.id, [walked.c[one.column] for one in listing.sort[:1] if start != "missing"])
    found = select(*line).select_from(walked).where(*kinds, *order.begins(line))
    return found.order_by(*map(order.along, line)).offset(steps).limit(1)


def sample(dialect: Dialect, listing: Listing, part: int) -> Select[Any]:
    """How many of the first `limit` resources that meet one part meet the others too."""
    compiler = Compiler(dialect, listing.predicate)
    first = compiler.source(listing.parts[part], listing.kinds)[0][0].limit(LIMIT).subquery()
    rest = [compiler.probe(one, listing.kinds, first.c.id) for one in _others(listing, part)]
    return select(func.count()).select_from(first).where(*rest)


def sampled(dialect: Dialect, listing: Listing) -> Select[Any]:
    """How many resources at either end of a type are looked at, up to `limit` of each, and how many of them match."""
    compiler = Compiler(dialect, listing.predicate)
    row = tables.resource
    here = select(row.c.id).where(row.c.type == constant(listing.resource_type), not_(row.c.deleted))
    ends = [here.order_by(order).limit(LIMIT).subquery() for order in (row.c.id.asc(), row.c.id.desc())]
    every = union_all(*(select(one.c.id) for one in ends)).subquery("looked")
    assert listing.predicate is not None  # noqa: S101 (a type is counted)
    met = compiler.probe(listing.predicate, listing.kinds, every.c.id)
    counted = (func.count(), func.count(case((met, literal_column("1")))))
    return select().add_columns(*counted).select_from(every)


def total(dialect: Dialect, listing: Listing, start: Start) -> Select[Any]:
    """How many resources match, from the part `start` or, where it is None, of the whole type."""
    predicate = listing.predicate
    compiler = Compiler(dialect, predicate)
    row = tables.resource
    counted = select(func.count()).select_from(row).where(row.c.type == constant(listing.resource_type))
    # What is deleted is counted by an index of its own: no resource is looked at.
    whole = counted.scalar_subquery() - counted.where(row.c.deleted).scalar_subquery()
    if predicate is None:
        return select(whole)
    if isinstance(start, int | tuple):
        return _count(_hits(compiler, Order(compiler, listing, start, Place()), start, whole=True))
    if isinstance(predicate, Not) and sourceable(predicate.of):
        met = compiler.listed(predicate.of, listing.kinds)
        return select(whole - _count(met).scalar_subquery())
    return counted.where(not_(row.c.deleted), compiler.probe(predicate, listing.kinds, row.c.id))


def size(dialect: Dialect, listing: Listing) -> Select[Any]:
    """How many resources of a type there ever were, counted no further than `limit`, and how many of all are deleted.
    Neither looks at any resource.
    """
    row = tables.resource
    whole = select(row.c.id).where(row.c.type == constant(listing.resource_type))
    deleted = select(func.count()).select_from(row).where(row.c.type == constant(listing.resource_type), row.c.deleted)
    return select(func.count(), deleted.scalar_subquery()).select_from(whole.limit(LIMIT).subquery())


def met(dialect: Dialect, listing: Listing, of: Sequence[Predicate]) -> Select[Any]:
    """Whether anything meets each of some alternatives: a value for each."""
    compiler = Compiler(dialect, listing.predicate)
    found = [or_(*(exists(branch) for branch, _ in compiler.source(one, listing.kinds))) for one in of]
    return select().add_columns(*found)


def _count(hits: FromClause) -> Select[Any]:
    return select(func.count()).select_from(hits)


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
    if isinstance(start, int) and _comes_sorted(order, start):
        sources = _sources(compiler, order, start)
        if len(sources) == 1 and compiler.sqlite:
            return _along(order, *sources[0])
        if len(sources) == 1:
            return _fetched(compiler, order, _in_order(order, *sources[0]))
    found, walked = _base(compiler, order)
    keys = order.keys(walked)
    found = found.where(*order.beyond(walked.c.id, keys))
    if order.as_stored:
        return _read_off(order, found, keys, walked.c.id)
    sought: Keys = (walked.c.id.label("id"), *keys)
    hits = order.sorted(found.with_only_columns(*sought), keys, walked.c.id).limit(LIMIT)
    return _fetched(compiler, order, hits, keys)


def _along(order: Order, met: Select[Any], identity: ColumnElement[str]) -> Select[Any]:
    """A page along a source that comes in its order, texts and all: SQLite makes no list of the ids before."""
    resource = tables.resource
    typed = and_(resource.c.type == constant(order.listing.resource_type), resource.c.id == identity)
    columns = (*shown(), *_late_score(order, resource.c.id))
    # Every hit has its resource: an outer join fixes the order. What has a value twice is there once.
    hits = met.where(*order.beyond(identity)).with_only_columns(*columns).outerjoin(resource, typed).group_by(identity)
    return hits.order_by(order.by_id(identity)).limit(LIMIT)


def _read_off(order: Order, found: Select[Any], keys: Keys, identity: ColumnElement[str]) -> Select[Any]:
    """A page along an index of the resources themselves, as far as it goes."""
    whole: Select[Any] = found.with_only_columns(*shown(), *keys, *_late_score(order, tables.resource.c.id))
    return order.sorted(whole, keys, identity).limit(LIMIT)


def _fetched(compiler: Compiler, order: Order, found: Select[Any], keys: Keys = ()) -> Select[Any]:
    """A page of ids and keys, for which alone the texts, and scores that do not sort, are then fetched."""
    resource = tables.resource
    typed = resource.c.type == constant(order.listing.resource_type)
    if compiler.sqlite and not keys:
        # SQLite looks up what a list names in its order. A join it would sort afterwards, texts and all.
        columns = (*shown(), *_late_score(order, resource.c.id))
        return order.sorted(select(*columns).where(typed, resource.c.id.in_(found)), keys, resource.c.id)
    hits = found.subquery("page")
    again = [hits.c[key.name] for key in keys]
    # An outer join, though every hit has its resource: it fixes the order of the join. For an inner one SQLite may walk
    # the whole type and look each resource up among the hits.
    joined = hits.outerjoin(resource, and_(typed, resource.c.id == hits.c.id))
    outer = select(*shown(), *again, *_late_score(order, hits.c.id)).select_from(joined)
    return order.sorted(outer, again, hits.c.id)


def shown() -> Sequence[ColumnElement[Any]]:
    """What a hit has of its resource, and which definitions are in force: it need not be asked for by itself."""
    row, state = tables.resource.c, tables.state.c
    definitions = select(state.value).where(state.name == constant(DEFINITIONS)).scalar_subquery()
    return row.id, row.version, row.updated, row.fhir_version, row.body, definitions.label("definitions")


def _late_score(order: Order, identity: ColumnElement[str]) -> Sequence[ColumnElement[Any]]:
    return [order.score(identity)] if order.listing.scored and not order.listing.sorts_by_score else []


def _others(listing: Listing, *parts: int) -> list[Predicate]:
    return [one for number, one in enumerate(listing.parts) if number not in parts]


def _base(compiler: Compiler, order: Order) -> tuple[Select[Any], FromClause]:
    """What is read: rows that lead to each hit once, as a select without columns, and where their ids are."""
    listing, start = order.listing, order.start
    resource, kinds = tables.resource, listing.kinds
    if start == "rest":
        hits = _rest(compiler, order)
        return select().select_from(hits), hits
    if isinstance(start, int | tuple):
        hits = _hits(compiler, order, start)
        return select().select_from(hits), hits
    walked: FromClause = resource
    if start == "values":
        walked = walked_along(listing.sort[0])
        found = select().select_from(walked).where(*first_values(compiler.dialect, walked, kinds, listing.sort[0]))
    else:
        found = select().select_from(resource).where(among(resource.c.type, kinds), not_(resource.c.deleted))
        if start == "missing":
            key = listing.sort[0]
            row = walked_along(key)
            named = beside_id(compiler.dialect, row.c.parameter) == constant(key.parameter)
            same = (among(row.c.type, kinds), row.c.id == resource.c.id, named)
            found = found.where(not_(exists(select(literal_column("1")).select_from(row).where(*same))))
    return found.where(*(compiler.probe(one, kinds, walked.c.id) for one in listing.parts)), walked


def _rest(compiler: Compiler, order: Order) -> FromClause:
    """The ids that meet every part, from those of the type without those that some parts exclude."""
    listing, kinds = order.listing, order.listing.kinds
    row = compiler.alias(tables.resource)
    parts = [part for number, part in enumerate(listing.parts) if number in listing.excluding]
    excluded = [found for part in parts if isinstance(part, Not) for found, _ in compiler.source(part.of, kinds)]
    whole = select(row.c.id.label("id")).select_from(row).where(among(row.c.type, kinds))
    left = whole.except_(*(select(one.subquery().c.id) for one in excluded))
    if compiler.sqlite:
        # In order it merges them, else it would look each id up; without an OFFSET it forgets the order.
        left = left.order_by("id").offset(literal_column("0"))
    rest = left.subquery("rest")
    # What is deleted has no rows that exclude it.
    probes = [compiler.probe(one, kinds, rest.c.id) for one in _others(listing, *listing.excluding)]
    return select(rest.c.id).where(compiler.held(kinds, rest.c.id), *probes).subquery("hit")


def _hits(compiler: Compiler, order: Order, start: int | tuple[int, int], *, whole: bool = False) -> FromClause:
    """The ids that meet every part, from the source of the part `start` or what two have in common.

    Where the source comes in id order and so does the page, no more of each branch is read than the page holds, but for
    the `whole`. From any other source all ids are taken, which are few; asked for them in order, a database would
    rather walk an index that has the order and look for the few in it.
    """
    listing = order.listing
    if isinstance(start, tuple):
        # An id that a list has twice is there once in what they have in common: to make each list one of its own before
        # takes as long as to compare them.
        both = [select(compiler.ids(listing.parts[part], listing.kinds).subquery().c.id) for part in start]
        common = both[0].intersect(both[1]).subquery("hit")
        rest = _others(listing, *start)
        if not rest:
            return common
        probes = (compiler.probe(one, listing.kinds, common.c.id) for one in rest)
        return select(common.c.id).where(*probes).subquery("met")
    branches, walks = _branches(compiler, order, start, whole=whole), _comes_sorted(order, start)
    if len(branches) == 1:
        return branches[0].subquery("hit")
    wrapped = [select(branch.subquery().c.id) for branch in branches]
    if walks:
        # In order SQLite merges the branches, which come so; else it would sort them all.
        return wrapped[0].union(*wrapped[1:]).order_by("id").subquery("hit")
    # Who wants few of them reads no more: a union of the branches would be made whole before.
    every = union_all(*wrapped).subquery()
    return select(every.c.id).distinct().subquery("hit")


def _comes_sorted(order: Order, start: int) -> bool:
    """Whether the source of a part comes in the order of the page."""
    return not order.listing.sort and ordered(order.listing.parts[start])


def _sources(compiler: Compiler, order: Order, start: int) -> list[tuple[Select[Any], ColumnElement[str]]]:
    """What meets every part, for each branch of the source of the part `start`, with where the ids are."""
    listing = order.listing
    rest = _others(listing, start)
    return [
        (found.where(*(compiler.probe(one, listing.kinds, identity) for one in rest)), identity)
        for found, identity in compiler.source(listing.parts[start], listing.kinds)
    ]


def _in_order(order: Order, found: Select[Any], identity: ColumnElement[str]) -> Select[Any]:
    """The ids of one branch, as many as the page holds."""
    return found.where(*order.beyond(identity)).distinct().order_by(order.by_id(identity)).limit(LIMIT)


def _branches(compiler: Compiler, order: Order, start: int, *, whole: bool = False) -> list[Select[Any]]:
    """The ids that meet every part, for each branch of the source of the part `start`."""
    sources = _sources(compiler, order, start)
    if not _comes_sorted(order, start):
        return [found.with_only_columns(compiler.plain(identity).label("id")).distinct() for found, identity in sources]
    return [found.distinct() if whole else _in_order(order, found, identity) for found, identity in sources]
