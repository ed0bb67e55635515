"""Tables of text in which a character separates the columns and nothing is quoted, as FDA and NLM publish them.

FDA: https://www.fda.gov/drugs/drug-approvals-and-databases/ndc-product-file-definitions (tabs, names in
the first line); NLM: https://www.ncbi.nlm.nih.gov/books/NBK9685/ (`|`, also at the end of a line, no names).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from apothecary.importers.report import Place, Report
from apothecary.importers.sources import Member, Torn

# What no FHIR string may hold: https://hl7.org/fhir/R5/datatypes.html#string.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Row(NamedTuple):
    """A line, from 1, and what stands in it, by column."""

    line: int
    fields: dict[str, str]


def columns(member: Member, separators: str = "\t|") -> tuple[str, Sequence[str]]:
    """The character that separates the columns, and their names, in the first line; no names where the file is empty.
    Raises Torn.
    """
    for _, line in member.lines():
        text = line.decode("utf-8-sig", "replace")
        separator = max(separators, key=text.count)
        return separator, [name.strip() for name in text.split(separator)]
    return separators[0], []


def rows(
    member: Member, report: Report, separator: str, names: Sequence[str] = (), *, closed: bool = False
) -> Iterator[Row]:
    """The rows of a file with their columns; `names` are those of a file that has none in its first line. `closed`: a
    separator ends each line. A row that has more or fewer columns is told and left out, and so is what follows where
    the file cannot be read on.
    """
    wanted = list(names)
    text_of = Decoding(member.name, report)
    try:
        for number, line in member.lines():
            text = text_of(number, line)
            fields = text.split(separator)
            if closed and fields[-1] == "":
                del fields[-1]
            if not wanted:
                wanted = [name.strip() for name in fields]
            elif len(fields) == len(wanted):
                yield Row(number, dict(zip(wanted, fields, strict=True)))
            elif text.strip():
                report.skipped(Place(member.name, number), f"has {len(fields)} columns, not {len(wanted)}")
    except Torn as error:
        report.skipped(Place(member.name), f"cannot be read to its end: {error}")


class Decoding:
    """Text from the lines of a file: UTF-8, else Windows-1252, which includes what is printed of ISO 8859-1; the first
    line that is not UTF-8 is told.
    """

    def __init__(self, file: str, report: Report) -> None:
        self._file = file
        self._report = report
        self._told = False

    def __call__(self, number: int, line: bytes) -> str:
        """The text of a line. A character that is no text is left out, and told."""
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            try:
                text = line.decode("cp1252")
            except UnicodeDecodeError:
                text = line.decode("latin-1")
            if not self._told:
                self._told = True
                self._report.approximated(
                    Place(self._file, number), "is not UTF-8: lines such as this one are read as Windows-1252"
                )
        if not text.isprintable() and _CONTROL.search(text):
            self._report.approximated(
                Place(self._file, number), "a control character is left out: FHIR's text has none"
            )
            text = _CONTROL.sub("", text)
        return text
