"""The rows of a table -> what they are about, one thing after the other: rows that follow each other with the same key
are of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as Places
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from apothecary.fhir.json import JSON
from apothecary.importers.ids import Ids
from apothecary.importers.report import Place, Report
from apothecary.importers.table.cells import Cell, Row
from apothecary.importers.table.header import Header
from apothecary.importers.table.mapping import CODES, Column, Constant, Mapping
from apothecary.importers.table.values import Reader, lost

# With what a line of sums begins, in the languages of those who keep such tables.
_TOTALS = re.compile(
    r"(grand |sub)?totals?|sum|summe|gesamt(summe)?|zwischensumme|total général|totale|somme|suma|totaal|soma", re.I
)
_EMPTY = Cell("")


class Item(Protocol):
    """What rows are of: the texts that tell it from others, and where it begins."""

    key: tuple[str, ...]
    place: Place


_Of = TypeVar("_Of", bound=Item)


@dataclass(slots=True)
class Known:
    """What the tables of one import share: the ids, where each key stands first, and the drugs that have an id."""

    ids: Ids = field(default_factory=Ids)
    seen: dict[tuple[str, ...], Place] = field(default_factory=dict)
    drugs: dict[tuple[str, ...], str] = field(default_factory=dict)


class Rows(Generic[_Of]):
    """Makes things of the rows of one table; which, those that are derived from it say."""

    things = "drugs"

    def __init__(
        self, file: str, mapping: Mapping, header: Header, places: Places[str, int], report: Report, known: Known
    ) -> None:
        self.file = file
        self.known = known
        self.prefix = mapping.prefix
        self.filled = [places[name] for name in mapping.fill]
        self.above: dict[int, Cell] = {}
        self.report = report
        self.reader = Reader(mapping, report)
        self.header = header
        self.columns = [(name, places[name], column) for name, column in mapping.specified().items()]
        self.constants = mapping.constants
        self.key = [places[name] for name in mapping.key] or self._key(places)
        self.codes = {at for _, at, column in self.columns if column.element in CODES}

    def made(self, rows: Iterator[Row]) -> Iterator[tuple[JSON, Place]]:
        """The resources of the rows that come after the header, each with its place."""
        for item in self.items(rows):
            for resource in self.resources(item):
                yield resource, item.place

    def _key(self, places: Places[str, int]) -> list[int]:
        """The columns that tell things apart, where the mapping names none."""
        raise NotImplementedError

    def open(self, key: tuple[str, ...], place: Place) -> _Of:
        """A thing of which nothing is known yet."""
        raise NotImplementedError

    def resources(self, item: _Of) -> Iterator[JSON]:
        """What a thing becomes when all its rows are read."""
        raise NotImplementedError

    def keyless(self, key: list[Cell]) -> bool:
        """Whether cells tell nothing apart."""
        return not key[0].text or any(cell.kind in ("error", "no value") for cell in key)

    def _read(self, row: Row, item: _Of) -> None:
        """Take what a row says of a thing."""
        raise NotImplementedError

    def items(self, rows: Iterator[Row]) -> Iterator[_Of]:
        """The things of the rows that come after the header."""
        open_item: _Of | None = None
        hidden, first_hidden = 0, 0
        for row in rows:
            key = self._wanted(row)
            if key is None:
                continue
            if row.hidden:
                hidden, first_hidden = hidden + 1, first_hidden or row.line
            place = Place(self.file, row.line)
            if open_item is None or open_item.key != key:
                if open_item is not None:
                    yield open_item
                    open_item = None
                if key in self.known.seen:
                    where = self.known.seen[key]
                    said = f"{' '.join(key)[:120]} stands at {where}, too, and not next to it: the first is taken"
                    self.report.skipped(place, said)
                    continue
                self.known.seen[key] = place
                open_item = self.open(key, place)
            self._read(row, open_item)
        if open_item is not None:
            yield open_item
        if hidden:
            said = f"rows that are hidden are read like the others ({hidden})"
            self.report.approximated(Place(self.file, first_hidden), said)

    def _wanted(self, row: Row) -> tuple[str, ...] | None:
        """The key of a row; None for one that is of nothing, which is told unless it is blank."""
        filled = [cell for cell in row.cells if cell.text]
        if not filled:
            return None
        place = Place(self.file, row.line)
        if self.header.repeats(row):
            self.report.skipped(place, "the names of the columns stand here again")
            return None
        first = filled[0].text.rstrip(" :.")
        if _TOTALS.fullmatch(first):
            self.report.skipped(place, f"{filled[0].text!r}: taken for a line of sums")
            return None
        if len(filled) == 1 and len(self.columns) > 1:
            self.report.skipped(place, f"only {filled[0].text[:80]!r} stands here: taken for a heading")
            return None
        self._fill(row)
        key = [row.cells[at] if at < len(row.cells) else _EMPTY for at in self.key]
        if self.keyless(key):
            names = [self.header.names[at] for at in self.key if at < len(self.header.names)]
            self.report.skipped(place, f"has no {' and '.join(names)}, by which {self.things} are told apart")
        elif reason := self._lost(key):
            # Two codes that were lost look like one.
            self.report.skipped(place, reason)
        else:
            return tuple(cell.text for cell in key)
        return None

    def _lost(self, key: list[Cell]) -> str | None:
        """Why one of the codes in a key is none any more."""
        for cell, at in zip(key, self.key, strict=True):
            if cell.text and at in self.codes and (reason := lost(cell, cell.text)):
                return reason
        return None

    def _fill(self, row: Row) -> None:
        """Put into blank cells of merged columns what stands above them."""
        for at in self.filled:
            row.cells.extend([_EMPTY] * (at + 1 - len(row.cells)))
            if row.cells[at].text:
                self.above[at] = row.cells[at]
            else:
                row.cells[at] = self.above.get(at, _EMPTY)

    def filled_cells(self, row: Row) -> Iterator[tuple[Cell, Column, Place]]:
        """The cells of a row that the mapping knows, and that are not blank."""
        for name, at, column in self.columns:
            cell = row.cells[at] if at < len(row.cells) else _EMPTY
            if cell.text or cell.kind != "text":
                yield cell, column, Place(self.file, row.line, name)

    def constant_cells(self, row: Row) -> Iterator[tuple[Cell, Constant, Place]]:
        """What holds for every row, as if it stood there."""
        for one in self.constants:
            yield Cell(one.value), one, Place(self.file, row.line, f"constant {one.element}")

    def nameless(self, row: Row) -> None:
        """Tell cells without a header."""
        for at, cell in enumerate(row.cells):
            if cell.text and (at >= len(self.header.names) or not self.header.names[at]):
                self.report.skipped(Place(self.file, row.line, f"column {at + 1}"), f"{cell.text[:80]!r} has no header")
