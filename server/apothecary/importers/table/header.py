"""Where the names of the columns stand, and which column each name is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from apothecary.importers.report import Place, Report
from apothecary.importers.sources import Torn
from apothecary.importers.table.cells import Row, folded
from apothecary.importers.table.mapping import unique
from apothecary.suggestions import or_rather

# Titles, dates and logos stand above a table, and no more than so many rows of them.
LOOKED_AT = 60


class Header(NamedTuple):
    """The names of the columns by their place, and the row in which they stand last."""

    names: list[str]
    line: int

    def repeats(self, row: Row) -> bool:
        """Whether a row has the names again, as on every printed page."""
        texts = [folded(one.text) for one in row.cells]
        return any(texts) and texts == [folded(one) for one in self.names][: len(texts)]


def found(rows: Iterator[Row], asked: int | Sequence[int] | None, wanted: Sequence[str]) -> tuple[Header, list[Row]]:
    """The header, and the rows that were read to find it and come after. `asked` are the rows where it stands; else
    it is the first of those that have most of the `wanted` names. Raises Torn where there is none.
    """
    if asked is not None:
        lines = [asked] if isinstance(asked, int) else list(asked)
        read = _until(rows, lines[-1])
        before = [row for row in read if row.line in lines]
        if not before:
            raise Torn(f"has no row {lines[-1]} with the names of the columns")
        return Header(unique(joined(before)), lines[-1]), [row for row in read if row.line > lines[-1]]
    read = list(islice(rows, LOOKED_AT))
    names = {folded(one) for one in wanted}
    best, chosen = 0, None
    for row in read:
        count = len(names & {folded(one) for one in unique([cell.text for cell in row.cells])})
        if count > best:
            best, chosen = count, row
    if chosen is None:
        raise Torn(f"has none of the columns {', '.join(wanted)} in its first {LOOKED_AT} rows")
    header = Header(unique(joined([chosen])), chosen.line)
    return header, [row for row in read if row.line > chosen.line]


def _until(rows: Iterator[Row], line: int) -> list[Row]:
    read = []
    for row in rows:
        read.append(row)
        if row.line >= line:
            break
    return read


def joined(rows: Sequence[Row]) -> list[str]:
    """The names in several rows as one: a name over merged columns holds for all of them."""
    width = max(len(row.cells) for row in rows)
    levels: list[list[str]] = []
    for number, row in enumerate(rows):
        texts = [" ".join(cell.text.split()) for cell in row.cells] + [""] * (width - len(row.cells))
        if number < len(rows) - 1:
            for place in range(1, width):
                # Where nothing stands in the row below, the cell is empty for good.
                texts[place] = texts[place] or texts[place - 1]
        levels.append(texts)
    return [" / ".join(dict.fromkeys(level[place] for level in levels if level[place])) for place in range(width)]


def places(
    header: Header, columns: Sequence[str], ignored: Sequence[str], file: str, report: Report
) -> Mapping[str, int]:
    """The place of each column of the mapping. Raises Torn for one that is not there; those that the mapping does not
    name are told.
    """
    known: dict[str, int] = {}
    for place, name in enumerate(header.names):
        known.setdefault(folded(name), place)
    missing = [name for name in columns if folded(name) not in known]
    if missing:
        names = [name for name in header.names if name]
        near = or_rather(missing[0], names) if len(missing) == 1 else ""
        has = near or f"; it has {', '.join(names[:30])}"
        raise Torn(f"has no column {', '.join(missing)} in row {header.line}{has}")
    named = {folded(name) for name in (*columns, *ignored)}
    for name in header.names:
        if name and folded(name) not in named:
            report.skipped(Place(file, header.line, name), "the mapping does not say what this column is")
    return {name: known[folded(name)] for name in columns}
