"""A reader in which what a client may not see is not there.

What interactions read, they read through it, so nothing is checked where it is used: what is left out here is found by
no search, chain or include, counted in no total, and told of in no message. What is refused is refused for what the
scopes say, never for what the database holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from apothecary.access.narrowing import both, container, narrowed
from apothecary.access.sight import NOTHING, Seen, Sight
from apothecary.errors import Forbidden
from apothecary.search.predicates import Compare, Predicate, Resource
from apothecary.search.query import Cursor, Query
from apothecary.store.contract import Head, Page, Past, Reader, Stored
from apothecary.store.held import HeldCodeSystem, HeldConcept, Span
from apothecary.terminology.selection import Selection

Key = tuple[str, str]
_NO_PAGE = Page((), False, False)
# So many resources are asked at once whether they may be seen: their texts come along.
_TOGETHER = 100
# Of so many resources is remembered whether they meet what scopes ask.
_REMEMBERED = 10_000
# An estimate for whom not all is there counts so many entries of an index.
_COUNTED = 100_000
# To tell a longer text from others takes as long as to ask.
_LARGE = 32 * 1024
_EXPLAINED = "how the database went about it is told to those only who may search for all resources"


class GuardedReader(Reader):
    """What `sight` lets see of another reader."""

    def __init__(self, inner: Reader, sight: Sight) -> None:
        self._inner = inner
        self._sight = sight

    # -- who may see what

    def _visible(self, keys: Iterable[Key], seen: Callable[[str], Seen]) -> set[Key]:
        """Those of `keys` that may be seen, by what `seen` says of their types; a contained resource, where what
        contains it may be. What is not there is not among them where that has to be asked.
        """
        found: set[Key] = set()
        asked: dict[str, dict[str, list[Key]]] = {}
        for key in keys:
            kind, identity = container(*key)
            wanted = seen(kind)
            if wanted is None:
                found.add(key)
            elif wanted != NOTHING:
                asked.setdefault(kind, {}).setdefault(identity, []).append(key)
        for kind, by_id in asked.items():
            for one in self._meeting(kind, list(by_id), seen(kind)):
                found.update(by_id[one])
        return found

    def _meeting(self, kind: str, ids: Sequence[str], wanted: Seen) -> Iterator[str]:
        """Those of the ids of a type that meet `wanted`."""
        for begin in range(0, len(ids), _TOGETHER):
            some = tuple(ids[begin : begin + _TOGETHER])
            asked = Resource(Compare("id", "in", some)) if len(some) > 1 else Resource(Compare("id", "=", some[0]))
            page = self._inner.search(Query({kind: both(asked, wanted)}, count=len(some)))
            yield from (hit.id for hit in page.hits)

    def _whole(self, kind: str, seen: Callable[[str], Seen]) -> bool:
        return seen(kind) is None

    def _enough(self, fetch: Callable[[int], list[Key]], limit: int, seen: Callable[[str], Seen]) -> list[Key]:
        """As many as `limit` of what `fetch` finds and may be seen, in its order: others do not count."""
        asked = limit
        while True:
            found = fetch(asked)
            visible = self._visible(found, seen)
            kept = [one for one in found if one in visible]
            if len(found) < asked or len(kept) >= limit:
                return kept[:limit]
            asked *= 4

    # -- by address

    def read(self, resource_type: str, resource_id: str) -> Stored | None:
        return self._current(resource_type, resource_id, self._sight.addressed(resource_type))

    def _current(self, resource_type: str, resource_id: str, wanted: Seen) -> Stored | None:
        """The current version where it may be seen; of a deleted resource nobody can tell any more what it met."""
        if wanted == NOTHING:
            return None
        found = self._inner.read(resource_type, resource_id)
        if wanted is None or found is None:
            return found
        return found if found.body is not None and self._meets(found, found.body, wanted) else None

    def _meets(self, found: Stored, body: bytes, wanted: Predicate) -> bool:
        """Whether a current version meets `wanted`. The same text always does or never, so that is remembered."""
        if len(body) > _LARGE:
            return any(self._meeting(found.type, (found.id,), wanted))
        key = id(wanted), found.type, found.fhir_version, hashlib.sha256(body).digest()
        met = self._sight.met.get(key)
        if met is None:
            met = any(self._meeting(found.type, (found.id,), wanted))
            if len(self._sight.met) >= _REMEMBERED:
                self._sight.met.clear()
            self._sight.met[key] = met
        return met

    def read_version(self, resource_type: str, resource_id: str, version: int) -> Past | None:
        if not self._whole(resource_type, self._sight.addressed):
            # The index knows what is current, and can tell of no other version what it met.
            current = self.read(resource_type, resource_id)
            if current is None or current.version != version:
                return None
        return self._inner.read_version(resource_type, resource_id, version)

    def read_many(self, keys: Sequence[Key], most: int | None = None) -> list[Stored]:
        visible = self._visible(keys, self._sight.shown)
        return self._inner.read_many([key for key in keys if key in visible], most)

    def heads(self, keys: Sequence[Key]) -> list[Head]:
        visible = self._visible(keys, self._sight.addressed)
        return self._inner.heads([key for key in keys if key in visible])

    def existing(self, keys: Sequence[Key]) -> set[Key]:
        return self._inner.existing(list(self._visible(keys, self._sight.shown)))

    def history(
        self,
        resource_type: str,
        resource_id: str,
        *,
        count: int,
        before: int | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
        most: int | None = None,
    ) -> list[Past]:
        narrow = not self._whole(resource_type, self._sight.addressed)
        current = self.read(resource_type, resource_id) if narrow else None
        if narrow and current is None:
            return []
        found = self._inner.history(
            resource_type, resource_id, count=count, before=before, since=since, at=at, most=most
        )
        return [one for one in found if current is None or one.version == current.version]

    def history_total(
        self, resource_type: str, resource_id: str, *, since: int | None = None, at: tuple[int, int] | None = None
    ) -> int:
        if self._whole(resource_type, self._sight.addressed):
            return self._inner.history_total(resource_type, resource_id, since=since, at=at)
        return len(self.history(resource_type, resource_id, count=1, since=since, at=at))

    # -- by type

    def _told(self, resource_type: str | None, types: Sequence[str] | None) -> tuple[str | None, list[str] | None]:
        """The types of which a history may tell, as `history_of` takes them: those of which all can be found. Of others
        no version says what it met.
        """
        if resource_type is not None:
            return (resource_type, None) if self._whole(resource_type, self._sight.searched) else (None, [])
        asked = self._sight.types if types is None else types
        some = sorted(kind for kind in asked if self._whole(kind, self._sight.searched))
        return None, some

    def history_of(
        self,
        resource_type: str | None,
        *,
        count: int,
        types: Sequence[str] | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
        before: tuple[int, str, str, int] | None = None,
        most: int | None = None,
    ) -> list[Past]:
        kind, some = self._told(resource_type, types)
        if some == []:
            return []
        return self._inner.history_of(kind, count=count, types=some, since=since, at=at, before=before, most=most)

    def history_of_total(
        self,
        resource_type: str | None,
        *,
        types: Sequence[str] | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
    ) -> int:
        kind, some = self._told(resource_type, types)
        return 0 if some == [] else self._inner.history_of_total(kind, types=some, since=since, at=at)

    def written(self, resource_type: str) -> int:
        # No answer shows it: it says when what was worked out is to be worked out anew.
        return self._inner.written(resource_type)

    def all_of_type(self, resource_type: str, after: str = "", page: int = 500) -> Iterator[Stored]:
        wanted = self._sight.searched(resource_type)
        if wanted is None:
            yield from self._inner.all_of_type(resource_type, after, page)
            return
        query = Query({} if wanted == NOTHING else {resource_type: wanted}, count=page)
        if after:
            query = replace(query, cursor=Cursor((), resource_type, after))
        while query.predicates:
            found = self._inner.search(query)
            yield from (Stored(*hit[:6]) for hit in found.hits)
            if not found.more_after or not found.hits:
                return
            query = replace(query, cursor=Cursor((), resource_type, found.hits[-1].id), memo={})

    def sent(self, resource_type: str) -> Iterator[Stored]:
        yield from self._inner.sent(resource_type) if self._whole(resource_type, self._sight.searched) else ()

    def types(self) -> list[str]:
        return [kind for kind in self._inner.types() if self._has(kind)]

    def _has(self, kind: str) -> bool:
        wanted = self._sight.searched(kind)
        if wanted is None or wanted == NOTHING:
            return wanted is None
        return bool(self._inner.search(Query({kind: wanted}, count=1)).hits)

    # -- by search

    def search(self, query: Query, most: int | None = None) -> Page:
        asked = narrowed(query, self._sight)
        found = self._inner.search(asked, most) if asked.predicates else _NO_PAGE
        return found if asked is query else found._replace(matches=None)

    def explain(self, query: Query) -> list[str]:
        # Where a search starts hangs on how many there are of what, seen or not.
        return self._inner.explain(query) if self._sight.whole("rs") else [_EXPLAINED]

    def count(self, query: Query) -> int:
        asked = narrowed(query, self._sight)
        return self._inner.count(asked) if asked.predicates else 0

    def count_within(self, query: Query, most: int) -> tuple[int, bool]:
        asked = narrowed(query, self._sight)
        return self._inner.count_within(asked, most) if asked.predicates else (0, True)

    def estimate(self, query: Query) -> tuple[int, bool]:
        asked = narrowed(query, self._sight)
        if asked is query:
            return self._inner.estimate(query)
        # A share of the whole would tell how many there are that may not be seen.
        return self.count_within(query, _COUNTED)

    def count_few(self, query: Query, limit: int) -> int | None:
        asked = narrowed(query, self._sight)
        return self._inner.count_few(query, limit) if asked is query else None

    def similar(self, resource_type: str, parameter: str, word: str) -> Sequence[tuple[str, int]]:
        if not self._whole(resource_type, self._sight.searched):
            return ()
        return self._inner.similar(resource_type, parameter, word)

    def has_codes(self, systems: Collection[str]) -> bool:
        return self._sight.whole("s") and self._inner.has_codes(systems)

    # -- along references

    def referenced(
        self, source_type: str, parameter: str | None, target_type: str | None, sources: Sequence[str], limit: int
    ) -> list[Key]:
        known = self._sources(source_type, sources)

        def fetch(most: int) -> list[Key]:
            return self._inner.referenced(source_type, parameter, target_type, known, most) if known else []

        return self._enough(fetch, limit, self._sight.shown)

    def referring(self, source_type: str, parameter: str | None, targets: Sequence[Key], limit: int) -> list[Key]:
        known = self._of(targets)

        def fetch(most: int) -> list[Key]:
            return self._inner.referring(source_type, parameter, known, most) if known else []

        return self._enough(fetch, limit, self._sight.searched) if self._any(source_type) else []

    def named(
        self,
        source_type: str,
        parameters: Sequence[str] | None,
        target_types: Sequence[str],
        sources: Sequence[str],
        limit: int,
    ) -> list[Key]:
        known, kinds = self._sources(source_type, sources), [one for one in target_types if self._any(one)]

        def fetch(most: int) -> list[Key]:
            return self._inner.named(source_type, parameters, kinds, known, most) if known and kinds else []

        return self._enough(fetch, limit, self._sight.shown)

    def naming(self, source_type: str, parameters: Sequence[str], targets: Sequence[Key], limit: int) -> list[Key]:
        known = self._of(targets)

        def fetch(most: int) -> list[Key]:
            return self._inner.naming(source_type, parameters, known, most) if known else []

        return self._enough(fetch, limit, self._sight.searched) if self._any(source_type) else []

    def _any(self, kind: str) -> bool:
        return self._sight.shown(kind) != NOTHING

    def _of(self, keys: Sequence[Key]) -> list[Key]:
        visible = self._visible(keys, self._sight.shown)
        return [key for key in keys if key in visible]

    def _sources(self, kind: str, ids: Sequence[str]) -> list[str]:
        """The ids of those that may be seen: what points somewhere says so only to who may see it."""
        return [key[1] for key in self._of([(kind, one) for one in ids])]

    def referrers(self, resource_type: str, resource_id: str, limit: int) -> list[Key]:
        if not self._sight.whole("s"):
            raise Forbidden(
                "a resource that others may point to is deleted by those only who may search for all that could",
                remedy="Ask for system/*.s as well; the operator of the server can allow deletions without this look"
                " (APOTHECARY_DELETE_REFERENCED=allowed).",
            )
        return self._inner.referrers(resource_type, resource_id, limit)

    # -- code systems

    def code_systems(self, url: str) -> list[HeldCodeSystem]:
        found = self._inner.code_systems(url)
        visible = self._visible([("CodeSystem", one.id) for one in found], self._sight.searched)
        return [one for one in found if ("CodeSystem", one.id) in visible]

    def code_system(self, resource_id: str) -> HeldCodeSystem | None:
        seen = self._visible([("CodeSystem", resource_id)], self._sight.shown)
        return self._inner.code_system(resource_id) if seen else None

    def code_system_heads(self, page: int = 500) -> Iterator[Stored]:
        if self._sight.searched("CodeSystem") == NOTHING:
            return
        heads = iter(self._inner.code_system_heads(page))
        while some := list(islice(heads, page)):
            visible = self._visible([(one.type, one.id) for one in some], self._sight.searched)
            yield from (one for one in some if (one.type, one.id) in visible)

    # A span says which code system it is of, and only those that may be seen give theirs away.

    def holds(self, span: Span) -> bool:
        return self._inner.holds(span)

    def concept_numbers(
        self, span: Span, selection: Selection, limit: int, *, ordered: bool = False, offset: int = 0, after: int = 0
    ) -> list[int]:
        return self._inner.concept_numbers(span, selection, limit, ordered=ordered, offset=offset, after=after)

    def in_order(self, selection: Selection) -> bool:
        return self._inner.in_order(selection)

    def sampled(self, span: Span, selection: Selection) -> tuple[list[int], int]:
        return self._inner.sampled(span, selection)

    def walked_numbers(self, span: Span, selection: Selection, limit: int, offset: int, most: int) -> list[int]:
        return self._inner.walked_numbers(span, selection, limit, offset, most)

    def count_concepts(self, span: Span, selection: Selection) -> int:
        return self._inner.count_concepts(span, selection)

    def concepts_numbered(self, numbers: Sequence[int]) -> list[HeldConcept]:
        return self._inner.concepts_numbered(numbers)

    def concepts_coded(self, span: Span, codes: Sequence[str]) -> list[HeldConcept]:
        return self._inner.concepts_coded(span, codes)

    def concepts_folded(self, span: Span, folded: str) -> list[HeldConcept]:
        return self._inner.concepts_folded(span, folded)

    def codes_below(self, span: Span, code: str, *, directly: bool) -> list[str]:
        return self._inner.codes_below(span, code, directly=directly)

    def codes_of(self, span: Span) -> Iterator[str]:
        return self._inner.codes_of(span)

    # -- what the server remembers for itself

    def state(self, name: str) -> str | None:
        return self._inner.state(name)

    def states(self, prefix: str, limit: int) -> list[str]:
        return self._inner.states(prefix, limit)
