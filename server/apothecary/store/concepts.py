"""Reading the concepts of large code systems: https://hl7.org/fhir/R5/codesystem.html"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Select

from apothecary.fhir.json import parse
from apothecary.search.text import key
from apothecary.store import concept_statements as statements
from apothecary.store import concept_tables
from apothecary.store.contract import ConceptReader
from apothecary.store.held import HeldCodeSystem, HeldConcept, Span
from apothecary.store.searching import SqlSearcher
from apothecary.terminology.selection import Among, Below, ChildOf, Condition, Holds, Selection

# So many concepts, in equal steps, tell about where those lie that are selected.
SAMPLE = 500


class SqlConcepts(SqlSearcher, ConceptReader):
    """Reading concepts, by the store itself or inside a transaction."""

    def _concepts(self, statement: Hashable, build: Callable[[], Select[Any]], **named: Any) -> list[Any]:
        found = self.statements.get(("concepts", statement), build)
        return self.rows(found, found.bind(named))

    def code_systems(self, url: str) -> list[HeldCodeSystem]:
        rows = self._concepts("of url", partial(statements.code_systems, "url"), url=key(url))
        return [HeldCodeSystem(row[0], Span(*row[:3]), *row[3:]) for row in rows]

    def code_system(self, resource_id: str) -> HeldCodeSystem | None:
        rows = self._concepts("of id", partial(statements.code_systems, "id"), id=resource_id)
        return next((HeldCodeSystem(row[0], Span(*row[:3]), *row[3:]) for row in rows), None)

    def holds(self, span: Span) -> bool:
        return bool(self._concepts("holds", statements.holds, id=span.id, first=span.first))

    def concept_numbers(
        self, span: Span, selection: Selection, limit: int, *, ordered: bool = False, offset: int = 0, after: int = 0
    ) -> list[int]:
        shape, named = self._named(span, selection)
        named |= {"limit": limit, "offset": offset, "after": after}
        build = partial(statements.numbers, self.statements.dialect, selection, ordered)
        return [row[0] for row in self._concepts(("numbers", shape, ordered), build, **named)]

    def in_order(self, selection: Selection) -> bool:
        # SQLite's index of words gives them so.
        return self.statements.dialect.name == "sqlite" and bool(selection.words)

    def sampled(self, span: Span, selection: Selection) -> tuple[list[int], int]:
        step = (span.last - span.first + 1) // SAMPLE
        # What meets conditions as well is listed from them: a sample would list it, too.
        if self.statements.dialect.name == "sqlite" or not selection.words or selection.conditions or not step:
            return [], step
        shape, named = self._named(span, selection)
        named |= {"numbers": self.sequence(str(span.first + place * step) for place in range(SAMPLE)), "after": 0}
        build = partial(statements.sample, self.statements.dialect, selection)
        return sorted(row[0] for row in self._concepts(("sample", shape), build, **named)), step

    def walked_numbers(self, span: Span, selection: Selection, limit: int, offset: int, most: int) -> list[int]:
        shape, named = self._named(span, selection)
        build = partial(statements.walk, self.statements.dialect, selection)
        last = min(span.last, span.first + most - 1)
        named |= {"limit": limit, "offset": offset, "after": 0, "last": last}
        return [row[0] for row in self._concepts(("walk", shape), build, **named)]

    def count_concepts(self, span: Span, selection: Selection) -> int:
        shape, named = self._named(span, selection)
        build = partial(statements.count, self.statements.dialect, selection)
        return int(self._concepts(("count", shape), build, **named)[0][0])

    def concepts_numbered(self, numbers: Sequence[int]) -> list[HeldConcept]:
        build = partial(statements.numbered, self.statements.dialect)
        found = self._concepts("numbered", build, numbers=self.sequence(map(str, numbers)))
        return sorted((HeldConcept(*row) for row in found), key=lambda one: one.number)

    def concepts_coded(self, span: Span, codes: Sequence[str]) -> list[HeldConcept]:
        named = {"first": span.first, "last": span.last}
        if len(codes) == 1:
            return [HeldConcept(*row) for row in self._concepts("code", statements.coded, code=key(codes[0]), **named)]
        build = partial(statements.several, self.statements.dialect)
        found = self._concepts("codes", build, codes=self.sequence(map(key, codes)), **named)
        return [HeldConcept(*row) for row in found]

    def concepts_folded(self, span: Span, folded: str) -> list[HeldConcept]:
        return [
            HeldConcept(*row)
            for row in self._concepts("folded", statements.folded, first=span.first, folded=key(folded))
        ]

    def codes_below(self, span: Span, code: str, *, directly: bool) -> list[str]:
        build = partial(statements.below, self.statements.dialect, directly)
        found = self._concepts(("below", directly), build, first=span.first, below=key(code))
        return [_code(*row) for row in found]

    def codes_of(self, span: Span) -> Iterator[str]:
        after = span.first - 1
        while found := self._concepts("all codes", statements.all_codes, first=after + 1, last=span.last, limit=5000):
            yield from (_code(*row[1:]) for row in found)
            after = found[-1][0]

    def _named(self, span: Span, selection: Selection) -> tuple[Hashable, dict[str, Any]]:
        """The shape of a selection, and its values."""
        named: dict[str, Any] = {"first": span.first, "last": span.last}
        shape: list[Hashable] = [bool(selection.words)]
        if not selection.words:
            shape += [selection.active, selection.selectable]
        if selection.words:
            named["query"] = concept_tables.query(self.statements.dialect, selection)
        for place, one in enumerate(selection.conditions):
            shape.append(_shape(one))
            match one:
                case Holds(properties, values):
                    named[f"properties{place}"] = self.sequence(sorted(key(f".{name}") for name in properties))
                    named[f"values{place}"] = self.sequence(sorted(map(key, values or ())))
                case ChildOf(codes) | Among(codes):
                    named[f"values{place}"] = self.sequence(sorted(map(key, codes or ())))
                case Below(code):
                    named[f"below{place}"] = key(code)
        return tuple(shape), named


def _code(code: str, element: bytes | None) -> str:
    """The code of a concept: from its element where the column has a shortened one."""
    return code if element is None else str(parse(element)["code"])


def _shape(one: Condition) -> Hashable:
    match one:
        case Holds(_, values) | ChildOf(values):
            return type(one).__name__, values is None, one.negated
        case Below(_, itself):
            return "Below", itself, one.negated
    return "Among", one.negated
