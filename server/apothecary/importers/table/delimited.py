"""CSV and TSV, as programs and people write them: https://www.rfc-editor.org/rfc/rfc4180

The separator may be any; Excel writes a semicolon where the comma is the decimal mark, and `sep=;` before all.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from apothecary.importers.delimited import Decoding
from apothecary.importers.report import Place, Report
from apothecary.importers.sources import Member, Torn
from apothecary.importers.table.cells import LONGEST_TEXT, WIDEST, Cell, Row, folded, trimmed

_SEPARATORS = ";\t,|"
_LOOKED_AT = 30
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def rows(
    member: Member, report: Report, separator: str | None, encoding: str | None, wanted: Sequence[str] = ()
) -> Iterator[Row]:
    """The rows of a file; what cannot be read is told. `wanted` are names of columns that it should have."""
    lines = _Lines(member, report, encoding)
    try:
        first = list(islice(lines, _LOOKED_AT))
    except Torn as error:
        report.skipped(Place(member.name), f"cannot be read: {error}")
        return
    if first and first[0].lower().startswith("sep=") and len(first[0].strip()) == 5:
        separator = separator or first[0][4]
        first[0] = "\n"
    yield from _read(member.name, report, lines.after(first), separator or _separator(first, wanted), lines)


def _read(file: str, report: Report, lines: Iterator[str], separator: str, count: _Lines) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=separator, strict=True)
    began = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error) or "larger than field limit" in str(error):
                # What stands behind the mark may be very many rows.
                said = f"a quotation mark in line {began} is not closed: nothing is read from there"
                report.skipped(Place(file), said)
                return
            until = f" to {reader.line_num}" if reader.line_num > began else ""
            report.skipped(Place(file, began), f"line {began}{until} cannot be read as a row: {error}")
            began = reader.line_num + 1
            continue
        except Torn as error:
            report.skipped(Place(file), f"cannot be read to its end, behind line {count.number}: {error}")
            return
        here, began = began, reader.line_num + 1
        if len(fields) > WIDEST:
            report.skipped(Place(file, here), f"the row has {len(fields)} columns; {WIDEST} are read at most")
        elif any(len(one) > LONGEST_TEXT for one in fields):
            report.skipped(Place(file, here), f"a cell of the row has more than {LONGEST_TEXT} characters")
        else:
            yield Row(here, [Cell(trimmed(one)) for one in fields])


class _Lines:
    """The lines of a file as text, each with its end."""

    def __init__(self, member: Member, report: Report, encoding: str | None) -> None:
        self.number = 0
        self._lines = self._read(member, report, encoding)

    def __iter__(self) -> Iterator[str]:
        return self._lines

    def after(self, first: list[str]) -> Iterator[str]:
        """Those that were looked at, and the others."""
        yield from first
        yield from self._lines

    def _read(self, member: Member, report: Report, encoding: str | None) -> Iterator[str]:
        with member.open() as stream:
            wide = stream.read(2) in _UTF_16
        if wide or encoding not in (None, "utf-8"):
            yield from self._declared(member, report, "utf-16" if wide else str(encoding))
            return
        text_of = Decoding(member.name, report)
        for number, line in member.lines():
            self.number = number
            # Old Macintoshes end a line with a carriage return alone.
            for part in text_of(number, line).split("\r"):
                yield part + "\n"

    def _declared(self, member: Member, report: Report, encoding: str) -> Iterator[str]:
        with member.open() as stream:
            text = io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline=None)
            told = False
            while line := text.readline(LONGEST_TEXT * WIDEST):
                self.number += 1
                if "\ufffd" in line and not told:
                    told = True
                    said = f"is not {encoding}: characters that cannot be read stand as \ufffd"
                    report.approximated(Place(member.name, self.number), said)
                # What no text of FHIR may hold.
                yield "".join(one for one in line if one >= " " or one in "\t\n\r")


def _separator(lines: list[str], wanted: Sequence[str]) -> str:
    """The character that divides a line into most of the columns that are wanted, and else most lines into the same
    number of columns, of two or more.
    """
    names = {folded(one) for one in wanted}
    best, found = (0, 0), ","
    for separator in _SEPARATORS:
        counts: Counter[int] = Counter()
        known = 0
        try:
            for fields in csv.reader(lines, delimiter=separator):
                known = max(known, len(names & {folded(one) for one in fields}))
                if len(fields) > 1:
                    counts[len(fields)] += 1
        except csv.Error:
            continue
        score = (known, max((times * (columns - 1) for columns, times in counts.items()), default=0))
        if score > best:
            best, found = score, separator
    return found
