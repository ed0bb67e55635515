"""The records of an openFDA file, one after the other: https://open.fda.gov/apis/openfda-fields/ and
https://open.fda.gov/data/downloads/

A file has hundreds of megabytes in one JSON document, `{"meta": {...}, "results": [{...}, ...]}`: only one of its
records is in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import ijson

from apothecary.fhir.json import JSON
from apothecary.importers.report import Place, Report
from apothecary.importers.sources import Member, Torn

# The largest records, labels with many tables, have some ten million bytes.
LARGEST = 32 * 1024 * 1024
_BLOCK = 64 * 1024
RESULTS = "/results"
# Those of openFDA have four levels.
_DEEPEST = 40


class _Bounded:
    """A stream that raises Torn where more than the largest record was read since `count` was set to nothing."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        block = self._stream.read(size)
        self.count += len(block)
        if self.count > LARGEST + _BLOCK:
            raise Torn(f"a record is larger than {LARGEST} bytes")
        return block


def records(member: Member, report: Report) -> Iterator[tuple[Place, JSON]]:
    """Each record, and where it stands: `labels.json/results[0]`. What cannot be read is told."""
    number = -1
    place = Place(member.name)
    try:
        with member.open() as stream:
            bounded = _Bounded(stream)
            for number, record in enumerate(_items(bounded)):
                bounded.count = 0
                at = Place(f"{member.name}{RESULTS}[{number}]")
                if isinstance(record, dict):
                    yield at, record
                else:
                    report.skipped(at, "is no record")
    except Torn as error:
        report.skipped(place, f"cannot be read on after {number + 1} records: {error}")
        return
    except (ijson.JSONError, UnicodeDecodeError, ValueError) as error:
        report.skipped(place, f"is not JSON after {number + 1} records: {_said(error)}")
        return
    if number < 0:
        report.skipped(place, "has no results")


def _items(stream: _Bounded) -> Iterator[Any]:
    """What `results` holds. ijson's own `items` keeps the path of each element as a text, whose length grows with the
    depth: a few brackets would fill the memory. Raises Torn for what is nested deeper than any record.
    """
    depth = 0
    # Whether the outermost object's last key is `results`, and whether its array is open.
    named = within = False
    builder: Any = None
    for event, value in ijson.basic_parse(stream, buf_size=_BLOCK):
        opens, closes = event in ("start_map", "start_array"), event in ("end_map", "end_array")
        if depth == 1 and event == "map_key":
            named = value == "results"
        elif depth == 1 and opens:
            within = event == "start_array" and named
        elif within and depth == 2 and not closes:
            builder = ijson.ObjectBuilder()
        depth += opens - closes
        if depth > _DEEPEST:
            raise Torn(f"is nested deeper than {_DEEPEST} levels")
        if builder is not None:
            builder.event(event, value)
            if depth == 2:
                yield builder.value
                builder = None


def texts(value: Any) -> list[str]:
    """The texts of a field, which is a list of them, or one; others are left out."""
    found = value if isinstance(value, list) else [value]
    return [one.strip() for one in found if isinstance(one, str) and one.strip()]


def text(value: Any) -> str:
    """The text of a field; empty where it has none."""
    return next(iter(texts(value)), "")


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
