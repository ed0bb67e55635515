"""The rows of RxNorm's Rich Release Format, and which of the files that are given hold them.

https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html (section 12: data files)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from apothecary.errors import StartError
from apothecary.importers.formats import Given
from apothecary.importers.report import Place, Report
from apothecary.importers.sources import Member, Torn, members

# The columns of each file; a bar ends each of them, the last one too.
CONSO, REL, SAT, SAB = "rxnconso.rrf", "rxnrel.rrf", "rxnsat.rrf", "rxnsab.rrf"
_COLUMNS = {CONSO: 18, REL: 16, SAT: 13, SAB: 25}
_NEEDED = (CONSO, REL, SAT)
# Where a release has both, this folder holds the part of it that is in current use: https://www.nlm.nih.gov/research/umls/rxnorm/docs/prescribe.html
_PART = "prescribe"
RXNORM = b"RXNORM"


class Row(NamedTuple):
    """A row: where it stands, and its columns."""

    line: int
    columns: list[bytes]


class Release:
    """The files of one release. Raises StartError where one is missing, or where they are of several releases."""

    def __init__(self, given: Given) -> None:
        self._given = given
        named = [one.name for one in members(given.paths, Report(lambda _: None)) if one.file_name in _COLUMNS]
        whole = [name for name in named if _PART not in PurePosixPath(name.lower()).parts]
        held = whole if {CONSO, REL, SAT} <= {_last(name) for name in whole} else named
        self.names = {_last(name): name for name in held}
        twice = [kind.upper() for kind, count in Counter(map(_last, held)).items() if count > 1]
        if twice:
            raise StartError(f"{twice[0]} stands several times in what is given: name one release of RxNorm")
        lacking = [kind.upper() for kind in _NEEDED if kind not in self.names]
        if lacking:
            raise StartError(f"RxNorm needs {', '.join(kind.upper() for kind in _NEEDED)}; {lacking[0]} is not there")

    def place(self, kind: str, line: int = 0, column: str = "") -> Place:
        """A place in one of the files."""
        return Place(self.names[kind], line, column)

    def rows(self, kind: str, told: Report | None = None) -> Iterator[Row]:
        """The rows of one of the files, none where it is not there; a row of another form is told, and so is where a
        file ends that cannot be read on.
        """
        name = self.names.get(kind)
        if name is None:
            return
        report, columns = self._given.report, _COLUMNS[kind]
        quiet = Report(lambda _: None) if told is None else told
        for member in members(self._given.paths, quiet):
            if member.name == name:
                yield from self._rows(member, columns, report)
                return

    def _rows(self, member: Member, columns: int, report: Report) -> Iterator[Row]:
        try:
            for number, line in member.lines():
                if line.count(b"|") == columns:
                    yield Row(number, line.split(b"|"))
                elif line:
                    found = line.count(b"|")
                    report.skipped(Place(member.name, number), f"has {found} columns, not {columns}")
        except Torn as error:
            report.skipped(Place(member.name), f"cannot be read to its end: {error}")


def _last(name: str) -> str:
    return PurePosixPath(name).name.lower()


def text(value: bytes, place: Place, report: Report) -> str:
    """A column as text: UTF-8, as NLM writes it, or else Windows-1252, which is told."""
    try:
        return value.decode().strip()
    except UnicodeDecodeError:
        report.approximated(place, "is not UTF-8; read as Windows-1252")
        return value.decode("cp1252", "replace").strip()


def number(value: bytes) -> int | None:
    """A concept identifier; None for what is none."""
    return int(value) if value.isdigit() and len(value) <= 8 else None


__all__: Sequence[str] = ("CONSO", "REL", "RXNORM", "SAB", "SAT", "Release", "Row", "number", "text")
