"""Code systems whose concepts lie in the store, and are looked up there one by one."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence, ValuesView
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from apothecary.errors import Busy
from apothecary.fhir.json import parse
from apothecary.store.contract import ConceptReader
from apothecary.store.held import HeldCodeSystem, HeldConcept
from apothecary.terminology.code_systems import CodeSystem, Edges
from apothecary.terminology.model import Concept, PropertyDefinition
from apothecary.terminology.reading import Elements, head
from apothecary.terminology.selection import ALL, Page, Selection
from apothecary.terminology.stored import known

# Concepts that are remembered of each code system.
_KEPT = 2000
# Concepts that are read at a time.
_BATCH = 1000
# Selected concepts are counted up to this number, and put in order here: to count and sort more takes a database longer
# than somebody who types will wait.
MOST_COUNTED = 1_000

# Of what so many of the concepts in a sample have, there are too many to count. Its first ones are found on the way
# along the concepts, of which so many may be looked at.
COMMON = 10
MOST_WALKED = 150_000


class _Found(NamedTuple):
    concept: Concept
    parents: tuple[str, ...]


class LargeCodeSystem(CodeSystem):
    """A code system in the store, as it was when it was found. Raises Busy once it is there no more."""

    def __init__(self, reader: ConceptReader, held: HeldCodeSystem) -> None:
        held_apart = known(held.head)
        said = held_apart.said
        version = said.get("version")
        super().__init__(str(said.get("url", "")), version if isinstance(version, str) else None, **head(said))
        self.active = said.get("status") == "active"
        self._size = held_apart.size
        self._reader = reader
        self._span = held.span
        self._elements = Elements(said)
        self._known_properties = frozenset(held_apart.used)
        self._stray = {code: tuple(above) for code, above in held_apart.stray.items()}
        self._look = lru_cache(_KEPT)(self._read)
        self.concepts: Mapping[str, Concept] = _Concepts(self)
        self.parents: Edges = _Parents(self)

    @property
    def size(self) -> int:
        return self._size

    @property
    def used(self) -> frozenset[str]:
        return self._known_properties

    def extended(
        self,
        concepts: Mapping[str, Concept],
        properties: Mapping[str, PropertyDefinition],
        supplements: tuple[str, ...],
        used: frozenset[str],
    ) -> CodeSystem:
        other = super().extended(concepts, properties, supplements, used)
        if isinstance(other, LargeCodeSystem):
            other._known_properties |= used
        return other

    # -- concepts

    def _made(self, row: HeldConcept) -> _Found:
        parents = tuple(json.loads(row.parents)) if row.parents else ()
        return _Found(self._elements.concept(parse(row.element)), parents)

    def _checked(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Rows of a span; none may mean that the span is no more. Raises Busy."""
        if not rows and not self._reader.holds(self._span):
            raise Busy(
                f"the code system {self.canonical} was changed while it was read; try again",
                headers={"Retry-After": "1"},
            )
        return rows

    def _read(self, code: str) -> _Found | None:
        rows = self._checked(self._reader.concepts_coded(self._span, (code,)))
        # A long code is looked up by a shortened one.
        return next((found for row in rows if (found := self._made(row)).concept.code == code), None)

    def look(self, code: str) -> _Found | None:
        """A concept with its parents, by its very code."""
        return self._look(code)

    def find(self, code: str) -> Concept | None:
        found = self.concepts.get(code)
        if found is None and self.case_sensitive is False:
            folded = code.casefold()
            rows = self._checked(self._reader.concepts_folded(self._span, folded))
            alike = [one for row in rows if (one := self._made(row).concept).code.casefold() == folded]
            # Of several the last counts, as in memory.
            return self.concepts[alike[-1].code] if alike else None
        return found

    def find_many(self, codes: Iterable[str]) -> Iterator[tuple[str, Concept | None]]:
        waiting = iter(codes)
        while some := list(islice(waiting, _BATCH)):
            rows = self._reader.concepts_coded(self._span, some)
            found = {one.concept.code: one.concept for one in map(self._made, rows)}
            for code in some:
                one = found.get(code)
                yield code, self.find(code) if one is None or self.supplements else one

    def codes(self) -> Iterator[Concept]:
        yield from self.concepts.values()

    def every(self) -> Iterator[Concept]:
        """All concepts of the store, without what supplements say."""
        return self._selected(ALL)

    def names(self) -> Iterator[str]:
        """All codes."""
        return self._reader.codes_of(self._span)

    # -- selections

    def select(self, selection: Selection) -> Iterator[Concept] | None:
        # Supplements say of concepts what no index knows.
        return None if self.supplements else self._selected(selection)

    def _selected(self, selection: Selection) -> Iterator[Concept]:
        _, first, last = self._span
        numbers: Sequence[int] | None = range(first, last + 1) if selection == ALL else self._numbers(selection)
        if numbers is not None:
            for start in range(0, len(numbers), _BATCH):
                yield from self._numbered(numbers[start : start + _BATCH])
            return
        after = 0
        while some := self._reader.concept_numbers(self._span, selection, _BATCH, ordered=True, after=after):
            yield from self._numbered(some)
            after = some[-1]
        self._checked(())

    def _numbers(self, selection: Selection) -> list[int] | None:
        """The numbers of the concepts that are selected, in their order; None where they are many."""
        found = self._first(selection, ordered=False)
        return sorted(found) if len(found) <= MOST_COUNTED else None

    def _first(self, selection: Selection, ordered: bool) -> list[int]:
        """The numbers of selected concepts, one more than are counted where they are many."""
        found = self._reader.concept_numbers(self._span, selection, MOST_COUNTED + 1, ordered=ordered)
        self._checked(found)
        return found

    def page(self, selection: Selection, offset: int, count: int) -> Page | None:
        if self.supplements:
            return None
        if selection == ALL:
            first = self._span.first + offset
            numbers = range(first, min(first + count, self._span.last + 1))
            return Page(self._numbered(numbers), self._size)
        if (walked := self._walked(selection, offset, count)) is not None:
            return walked
        ordered = self._reader.in_order(selection)
        found = self._first(selection, ordered)
        if len(found) <= MOST_COUNTED:
            return Page(self._numbered(sorted(found)[offset : offset + count]), len(found))
        if ordered and offset + count <= len(found):
            return Page(self._numbered(found[offset : offset + count]), None)
        some = self._reader.concept_numbers(self._span, selection, count, ordered=True, offset=offset)
        total = self._reader.count_concepts(self._span, selection) if len(some) < count else None
        return Page(self._numbered(some), total)

    def _walked(self, selection: Selection, offset: int, count: int) -> Page | None:
        """A page of what so many concepts have that it is reached soon by looking at one after the other."""
        sampled, step = self._reader.sampled(self._span, selection)
        behind = (offset + count) // max(step, 1) + 1
        if len(sampled) < max(COMMON, behind + 1) or (most := sampled[behind] - self._span.first) > MOST_WALKED:
            return None
        found = self._reader.walked_numbers(self._span, selection, count, offset, most)
        return Page(self._numbered(found), None) if len(found) == count else None

    def _numbered(self, numbers: Sequence[int]) -> list[Concept]:
        rows = self._reader.concepts_numbered(numbers) if numbers else []
        return [self._made(row).concept for row in self._checked(rows)]

    # -- hierarchy

    def parents_of(self, code: str) -> tuple[str, ...]:
        found = self._look(code)
        return self._stray.get(code, ()) if found is None else found.parents

    def children_of(self, code: str) -> tuple[str, ...]:
        found = self._checked_codes(self._reader.codes_below(self._span, code, directly=True))
        return (*found, *(one for one, above in self._stray.items() if code in above))

    def descendants(self, code: str) -> frozenset[str]:
        if self._stray:
            # What is no concept may have concepts below it.
            return super().descendants(code)
        found = set(self._checked_codes(self._reader.codes_below(self._span, code, directly=False)))
        form = self.form
        if form is not None and code not in self.concepts and self.stands(code):
            below = [one for one in self.names() if form.subsumes(code, one)]
            found.update(below)
            for one in below:
                found.update(self._reader.codes_below(self._span, one, directly=False))
        found.discard(code)
        return frozenset(found)

    def _checked_codes(self, codes: list[str]) -> list[str]:
        self._checked(codes)
        return codes

    def all_below(self, code: str) -> Container[str]:
        return _Below(self, code)


class _Below:
    """The codes below one, of which each is asked for on its way up: it is short."""

    def __init__(self, system: CodeSystem, code: str) -> None:
        self._system = system
        self._code = code
        # One that is not held stands where its form says.
        self._form = system.form if code not in system.concepts and system.stands(code) else None

    def __contains__(self, code: object) -> bool:
        if not isinstance(code, str) or code == self._code:
            return False
        above = self._system.ancestors(code)
        form = self._form
        return self._code in above or (
            form is not None and any(form.subsumes(self._code, one) for one in (code, *above))
        )


class _Concepts(Mapping[str, Concept]):
    """The concepts of a large code system by code."""

    def __init__(self, system: LargeCodeSystem) -> None:
        self._system = system

    def __getitem__(self, code: str) -> Concept:
        found = self._system.look(code)
        if found is None:
            raise KeyError(code)
        return found.concept

    def __iter__(self) -> Iterator[str]:
        return self._system.names()

    def __len__(self) -> int:
        return self._system.size

    def values(self) -> ValuesView[Concept]:
        return _Values(self, self._system)


class _Values(ValuesView[Concept]):
    """All concepts, read some thousand at a time."""

    def __init__(self, mapping: Mapping[str, Concept], system: LargeCodeSystem) -> None:
        super().__init__(mapping)
        self._system = system

    def __iter__(self) -> Iterator[Concept]:
        return self._system.every()


class _Parents(Mapping[str, tuple[str, ...]]):
    """The parents of each code of a large code system."""

    def __init__(self, system: LargeCodeSystem) -> None:
        self._system = system

    def __getitem__(self, code: str) -> tuple[str, ...]:
        return self._system.parents_of(code)

    def __iter__(self) -> Iterator[str]:
        return self._system.names()

    def __len__(self) -> int:
        return self._system.size
