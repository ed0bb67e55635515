"""What an import has to say of the files that it read: every row that it left out, every value that it approximated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Literal, NamedTuple

from apothecary.errors import StartError

Kind = Literal["skipped", "approximated", "withdrawn"]


class Place(NamedTuple):
    """Where something stands: a file, as it is named to people (`labels.zip/one.xml`), and a line of it, from 1; 0 is
    the file as a whole. `column` is the name of a column of a table, or the path of an element.
    """

    file: str
    line: int = 0
    column: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.column}" if self.column else where


class Remark(NamedTuple):
    """One row or value that did not become FHIR as it stands: `skipped` is not there at all, `approximated` is there in
    another form, which the reason names; `withdrawn` is a resource that this edition has no more.
    """

    kind: Kind
    place: Place
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.kind}: {self.reason}"


class Reading:
    """How far the files have been read: bytes of those that were given, so that a zip file counts as it is packed."""

    def __init__(self) -> None:
        self._before = 0.0
        self._open: list[tuple[BinaryIO, float]] = []

    @contextmanager
    def of(self, stream: BinaryIO, size: int, share: int) -> Iterator[BinaryIO]:
        """A stream of `size` bytes is read, which makes up so many of the bytes that were given."""
        one = stream, share / size if size else 0.0
        self._open.append(one)
        try:
            yield stream
        finally:
            self._open.remove(one)
            self._before += _read(*one)

    @property
    def bytes(self) -> int:
        """How many; what is read a second time counts a second time."""
        return int(self._before + sum(_read(*one) for one in self._open))


def _read(stream: BinaryIO, each: float) -> float:
    return stream.tell() * each


class Report:
    """Counts what is told to it, and passes each remark on at once: an import of any length keeps none in memory."""

    def __init__(self, tell: Callable[[Remark], None], *, strict: bool = False) -> None:
        """`strict` ends the import with the first row that is left out."""
        self._tell = tell
        self._strict = strict
        self.counts: Counter[Kind] = Counter()
        self.files = 0
        """How many files were left out as a whole, or behind some place."""
        self.reading = Reading()
        """How far whoever tells this report has read; to look into files first, take another report."""

    def skipped(self, place: Place, reason: str) -> None:
        """A row, element or file that became nothing. Raises StartError where the import is strict."""
        self.files += not (place.line or place.column)
        self._say(Remark("skipped", place, reason))
        if self._strict:
            raise StartError(f"{place}: {reason}")

    def approximated(self, place: Place, reason: str) -> None:
        """A value that is there in another form than it has in the file."""
        self._say(Remark("approximated", place, reason))

    def withdrawn(self, place: Place, reason: str) -> None:
        """A resource that this edition has no more, and what became of it."""
        self._say(Remark("withdrawn", place, reason))

    def _say(self, remark: Remark) -> None:
        self.counts[remark.kind] += 1
        self._tell(remark)
