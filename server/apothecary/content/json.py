"""FHIR JSON with positions: https://hl7.org/fhir/R5/json.html

Reading costs what parsing costs: a text is searched for defects only when the parser refused it, and the place of a
value is looked up only when an issue needs it.
"""

from __future__ import annotations

import json as _json
import re
from typing import Any

from apothecary.content.documents import Document, Format, Lines, PlacedIssue, Pointer, RecordedPositions, reading_issue
from apothecary.content.json_syntax import Defect, defects
from apothecary.fhir.json import FhirDecimal, parse

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_SPACE = re.compile(r"[ \t\n\r]*")
# Skips a value at the speed of C: the numbers stay text, since only the end of the value is wanted.
_skip = _json.JSONDecoder(parse_int=str, parse_float=str).raw_decode
# Takes the last of two equal keys, so that the rest of such a document is checked too.
_lenient = _json.JSONDecoder(parse_int=parse, parse_float=FhirDecimal)


def read_json(file: str, text: str, format: Format = "json", first_line: int = 1) -> Document:
    """The document that `text` writes. Never raises: what is wrong with the text becomes issues."""
    found: list[Defect] = []
    value = None
    try:
        value = parse(text)
    except ValueError as error:
        found = defects(text) or [Defect("json-syntax", 0, f"The text cannot be read as JSON: {error}.")]
        if not any(defect.fatal for defect in found):
            value = _lenient.decode(text)
    else:
        if _SURROGATE.search(text) is not None:
            found = defects(text)
    readable = not any(defect.fatal for defect in found)
    issues = _placed(found, text, first_line)
    if not readable:
        places = RecordedPositions({(): (issues[-1].line, issues[-1].column)})
        return Document(file, text, format, None, places, issues, False, first_line)
    return Document(file, text, format, value, JsonPositions(text, first_line), issues, True, first_line)


def _placed(found: list[Defect], text: str, first_line: int) -> tuple[PlacedIssue, ...]:
    if not found:
        return ()
    lines = Lines(text, first_line)
    return tuple(
        PlacedIssue(
            reading_issue(defect.rule, defect.message, defect.remedy, fatal=defect.fatal), *lines.place(defect.offset)
        )
        for defect in found
    )


class JsonPositions:
    """Finds values in a JSON text that a parser has accepted.

    Only the containers on the way to a wanted value are looked into, each once; what stands beside the way is skipped
    by the parser.
    """

    def __init__(self, text: str, first_line: int = 1) -> None:
        self._text = text
        self._first_line = first_line
        self._lines: Lines | None = None
        self._members: dict[int, dict[str | int, int]] = {}

    def find(self, pointer: Pointer) -> tuple[int, int]:
        """Line and column, from 1, of the value at `pointer`, or of its nearest ancestor that exists."""
        if self._lines is None:
            self._lines = Lines(self._text, self._first_line)
        return self._lines.place(self._offset(pointer))

    def span(self, pointer: Pointer) -> tuple[int, int]:
        """Where the value at `pointer` begins and ends in the text, in characters."""
        offset = self._offset(pointer)
        return offset, _skip(self._text, offset)[1]

    def _offset(self, pointer: Pointer) -> int:
        offset = self._after_space(0)
        for step in pointer:
            members = self._members.get(offset)
            if members is None:
                members = self._members[offset] = self._index(offset)
            if step not in members:
                break
            offset = members[step]
        return offset

    def _index(self, offset: int) -> dict[str | int, int]:
        """Where each member of the container at `offset` stands; nothing for a scalar."""
        text = self._text
        opening = text[offset : offset + 1]
        if opening not in ("{", "["):
            return {}
        members: dict[str | int, int] = {}
        position = self._after_space(offset + 1)
        while text[position] not in "}]":
            key: Any = len(members)
            if opening == "{":
                key, position = _skip(text, position)
                position = self._after_space(self._after_space(position) + 1)
            members[key] = position
            position = self._after_space(_skip(text, position)[1])
            if text[position] == ",":
                position = self._after_space(position + 1)
        return members

    def _after_space(self, position: int) -> int:
        found = _SPACE.match(self._text, position)
        return found.end() if found else position
