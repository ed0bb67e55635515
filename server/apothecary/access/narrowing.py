"""A search as a client may ask it: whatever it leads to must be among what the client's scopes let it find.

Each resource that a predicate is about is narrowed where it stands, in chains, reverse chains, lists and compartments
as in the search itself: what may not be seen neither matches nor makes another resource match or fail.
https://hl7.org/fhir/R5/search.html#chaining
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from apothecary.access.sight import NOTHING, Seen, Sight, union
from apothecary.search.contained import address, is_marked
from apothecary.search.predicates import (
    And,
    Chain,
    Compare,
    Has,
    Joined,
    Not,
    Nothing,
    Or,
    Predicate,
    Resource,
    Row,
    any_of,
)
from apothecary.search.query import Include, Query

# Every resource meets this.
_ALL = Resource(Compare("id", ">", ""))
# Under this name a query remembers what it is to those who see so much; and that it is the same to them.
_KEY = "narrowed {}"
_SAME = Query({})


class Narrowing:
    """Narrows predicates to what `sight` lets find; `met` are the types of which some are left out."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self.met: set[str] = set()

    def query(self, query: Query) -> Query:
        """Without the types of which nothing can match; the same where nothing is left out."""
        found: dict[str, Predicate | None] = {}
        for kind, asked in query.predicates.items():
            inside = None if asked is None else self.predicate(asked)
            whole = both(inside, self._own(kind))
            if whole != NOTHING:
                found[kind] = whole
        # Where a page ends early, its links name what was looked at last: that may be what must not be seen.
        return replace(query, predicates=found, looks=None, memo={}) if self.met else query

    def predicate(self, node: Predicate) -> Predicate:
        """The same question where what may not be found is not there."""
        match node:
            case And(of):
                return _all([self.predicate(one) for one in of])
            case Or(of):
                some = [one for part in of if (one := self.predicate(part)) != NOTHING]
                return any_of(some) if some else NOTHING
            case Not(inner):
                denied = self.predicate(inner)
                return _ALL if denied == NOTHING else Not(denied)
            case Chain(_, target_type, inner):
                # A contained resource is part of the one that points to it.
                there = None if is_marked(target_type) else self._seen(target_type)
                return self._linked(node, inner, there)
            case Has(source_type, _, inner):
                return self._linked(node, inner, self._seen(source_type))
            case Row() | Joined() | Resource() | Nothing():
                return node

    def _linked(self, node: Chain | Has, inner: Predicate, there: Seen) -> Predicate:
        wanted = both(self.predicate(inner), there)
        return NOTHING if wanted == NOTHING or wanted is None else replace(node, of=wanted)

    def _seen(self, kind: str) -> Seen:
        found = self._sight.searched(kind)
        if found is not None:
            self.met.add(kind)
        return found

    def _own(self, kind: str) -> Seen:
        """What the matches themselves must meet."""
        return self._inside(kind) if is_marked(kind) else self._seen(kind)

    def _inside(self, kind: str) -> Seen:
        """What contained resources of a type must meet: all of what contains them can be found."""
        if self._sight.whole("s"):
            return None
        whole = sorted(one for one in self._sight.types if self._sight.searched(one) is None)
        self.met.add(kind)
        return union(*(Resource(Compare("id", "prefix", f"{one}/")) for one in whole)) if whole else NOTHING


def narrowed(query: Query, sight: Sight) -> Query:
    """The query as `sight` lets it be asked. It is remembered with the query: a search is asked many times."""
    found: Query | None = query.memo.get(_KEY.format(id(sight)))
    if found is None:
        found = Narrowing(sight).query(query)
        # A query that remembers itself would be a circle.
        query.memo[_KEY.format(id(sight))] = found if found is not query else _SAME
    return query if found is _SAME else found


def left_out(sight: Sight, query: Query, includes: Iterable[Include]) -> list[str]:
    """The types of which a search may have left out some, because its client may not find them."""
    narrowing = Narrowing(sight)
    narrowing.query(query)
    for one in includes:
        other = one.source_type if one.reverse else one.target_type
        if other in (None, "*"):
            narrowing.met |= {kind for kind in sight.types if sight.shown(kind) is not None}
        elif sight.shown(str(other)) is not None:
            narrowing.met.add(str(other))
    return sorted({kind.rstrip("#") for kind in narrowing.met})


def both(one: Seen, other: Seen) -> Seen:
    """What meets both."""
    if one is None or other is None:
        return other if one is None else one
    return _all([one, other])


def _all(of: list[Predicate]) -> Predicate:
    if NOTHING in of:
        return NOTHING
    parts = [part for one in of for part in (one.of if isinstance(one, And) else (one,))]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def container(kind: str, identity: str) -> tuple[str, str]:
    """The key of the resource that a key of the index belongs to: its own, or that of what contains it."""
    return address(identity)[:2] if is_marked(kind) else (kind, identity)
