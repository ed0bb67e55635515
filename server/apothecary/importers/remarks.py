"""What an import has to say of its files -> a report, as text or JSON, and a summary for a person."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from apothecary.errors import StartError
from apothecary.fhir.json import dumps
from apothecary.importers.report import Place, Remark

# Of each reason so many places are named, and no more reasons than that.
FIRST, REASONS = 3, 50

# What differs between remarks that give one reason.
_OWN = re.compile(r"'[^']*'|\"[^\"]*\"|\d+(?:[.,:-]\d+)*")


class Remarks(AbstractContextManager["Remarks"]):
    """Writes each remark into a file as it comes, as JSON (one a line) or as text, which the name of the file decides;
    and remembers of each reason how often it was given, and the first places.
    """

    def __init__(self, file: Path | None) -> None:
        """Raises StartError where the file cannot be written."""
        self._path = file
        self._stream: BinaryIO | None = None
        self._json = file is not None and file.suffix.lower() in (".json", ".jsonl", ".ndjson")
        self._reasons: dict[tuple[str, str], list[str]] = {}
        self._counts: dict[tuple[str, str], int] = {}
        if file is not None:
            try:
                self._stream = file.open("wb")
            except OSError as error:
                raise StartError(f"{file}: cannot be written: {error.strerror}") from error

    def __call__(self, remark: Remark) -> None:
        if self._stream is not None:
            try:
                self._stream.write((_json(remark) if self._json else str(remark).encode()) + b"\n")
            except OSError as error:
                raise StartError(f"{self._path}: cannot be written: {error.strerror}") from error
        key = remark.kind, _OWN.sub("...", remark.reason)
        if key not in self._counts and len(self._counts) >= REASONS:
            key = remark.kind, "other reasons"
        self._counts[key] = self._counts.get(key, 0) + 1
        first = self._reasons.setdefault(key, [])
        if len(first) < FIRST:
            first.append(f"{remark.place}: {remark.reason}")

    def summary(self) -> Iterator[str]:
        """Lines: how often each reason was given, the most frequent first, and where first."""
        for key in sorted(self._counts, key=lambda one: (one[0], -self._counts[one])):
            count, first = self._counts[key], self._reasons[key]
            yield f"{key[0]}, {count} times:" if count > 1 else f"{key[0]}:"
            yield from (f"  {one}" for one in first)
            if count > len(first):
                yield f"  and {count - len(first)} more"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()


def _json(remark: Remark) -> bytes:
    place: Place = remark.place
    found = {"kind": remark.kind, "file": place.file, "line": place.line, "column": place.column}
    return dumps({key: value for key, value in found.items() if value} | {"reason": remark.reason})
