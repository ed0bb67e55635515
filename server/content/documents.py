"""A document read from a file: its value, what was wrong with its text, and where each of its values stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from server.errors import Issue

Format = Literal["json", "ndjson", "yaml", "xml"]
Pointer = tuple[str | int, ...]

# What the readers themselves can find wrong, before any rule of FHIR is asked. Stable ids, as in `docs/validate.md`.
READING_RULES: Mapping[str, str] = {
    "invalid-utf8": "The text is not UTF-8, the only encoding of FHIR files.",
    "byte-order-mark": "The file starts with a byte order mark, which JSON forbids and many parsers refuse.",
    "json-syntax": "The text is not JSON.",
    "duplicate-key": "An object has the same key twice: parsers silently drop one of the values.",
    "lone-surrogate": "A string holds half of a surrogate pair, which is no Unicode text.",
    "too-deep": "The document is nested deeper than any resource needs, and than parsers survive.",
    "line-too-long": "A line of an NDJSON file is too long to be one resource.",
    "yaml-syntax": "The text is not YAML.",
    "yaml-feature": "YAML that JSON cannot express: a tag, a merge key, a key that is not text, a second document.",
    "yaml-alias": "Aliases multiply the document beyond reason.",
    "xml-syntax": "The text is not well-formed XML.",
    "xml-doctype": "The document has a document type declaration, which FHIR forbids and attacks need.",
    "xml-namespace": "An element or attribute stands in a namespace that is not FHIR's.",
    "xml-element-order": "The elements are not in the order of the specification, which XML requires.",
    "xml-repeated-element": "An element stands twice that may stand once.",
    "xml-unexpected": "An attribute or text stands where FHIR XML has none.",
}


class Positions(Protocol):
    """Where the values of a document stand."""

    def find(self, pointer: Pointer) -> tuple[int, int]:
        """Line and column, from 1, of the value at `pointer`, or of its nearest ancestor that exists."""


@dataclass(frozen=True, slots=True)
class PlacedIssue:
    """Something wrong with the text of a document, with its line and column, from 1."""

    issue: Issue
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Document:
    """One document: a file, or a line of an NDJSON file.

    `value` is None when `readable` is false; `issues` tells why, and can also tell of defects in a readable text.
    `first_line` is the line of `file` on which `text` starts; `positions` and `issues` count lines of the file.
    """

    file: str
    text: str
    format: Format
    value: Any
    positions: Positions
    issues: tuple[PlacedIssue, ...] = ()
    readable: bool = True
    first_line: int = 1


class Lines:
    """Turns offsets into a text, in characters, into lines and columns."""

    def __init__(self, text: str, first_line: int = 1) -> None:
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._first_line = first_line
        self._text = text

    def text_of(self, number: int) -> str:
        """Line `number` without its end; empty when the text has no such line."""
        index = number - self._first_line
        if not 0 <= index < len(self._starts):
            return ""
        end = self._starts[index + 1] if index + 1 < len(self._starts) else len(self._text)
        return self._text[self._starts[index] : end].rstrip("\r\n")

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, from 1."""
        index = bisect_right(self._starts, offset) - 1
        return index + self._first_line, offset - self._starts[index] + 1


class RecordedPositions:
    """Positions that the parser noted while it read."""

    def __init__(self, places: Mapping[Pointer, tuple[int, int]]) -> None:
        self._places = places

    def find(self, pointer: Pointer) -> tuple[int, int]:
        for length in range(len(pointer), -1, -1):
            if place := self._places.get(pointer[:length]):
                return place
        return 1, 1


def reading_issue(rule: str, diagnostics: str, remedy: str | None = None, *, fatal: bool = True) -> Issue:
    """An issue of one of the `READING_RULES`: `fatal` when there is no value, an error otherwise."""
    return Issue("fatal" if fatal else "error", "structure", diagnostics, rule=rule, remedy=remedy)
