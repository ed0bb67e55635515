"""A document read from a file: its value, what was wrong with its text, and where each of its values stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from apothecary.errors import Issue, Severity
from apothecary.fhir.releases import FhirVersion

Format = Literal["json", "ndjson", "yaml", "xml", "toml"]
Pointer = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ReadingRule:
    """Something that the readers can find wrong with a text, before any rule of FHIR is asked. The ids are stable.

    `severity` is that of a text which can be read in spite of it; what ends the reading is fatal.
    """

    id: str
    severity: Severity
    what: str
    why: str
    example: str
    remedy: str
    code: str = "structure"


_READING_RULES = (
    ReadingRule(
        "invalid-utf8",
        "fatal",
        "The text is UTF-8.",
        "FHIR allows no other encoding, and guessing one turns text into other text.",
        '{"text": "caf\\xE9"}',
        "Save the file as UTF-8.",
    ),
    ReadingRule(
        "byte-order-mark",
        "warning",
        "A JSON file does not start with a byte order mark.",
        "JSON forbids it, and many parsers refuse it.",
        '\\xEF\\xBB\\xBF{"resourceType": "Medication"}',
        "Save the file as UTF-8 without a byte order mark.",
    ),
    ReadingRule(
        "json-syntax",
        "fatal",
        "The text is JSON.",
        "Nothing else can be read.",
        '{"resourceType": "Medication",}',
        "See the message.",
    ),
    ReadingRule(
        "duplicate-key",
        "error",
        "No object has a key twice.",
        "Parsers keep one of the values and silently drop the other.",
        '{"status": "active", "status": "inactive"}',
        "Keep one of the two; repeating elements are written as one array.",
    ),
    ReadingRule(
        "lone-surrogate",
        "fatal",
        "Strings are Unicode text.",
        "Half of a surrogate pair can neither be stored nor sent.",
        '{"text": "\\ud83d"}',
        "Write the character itself, or both halves of its pair.",
    ),
    ReadingRule(
        "too-deep",
        "fatal",
        "Documents are nested no deeper than 200 levels.",
        "No resource needs it, and few parsers survive it.",
        '{"extension": [{"extension": [{"extension": [...]}]}]}',
        "Flatten the document.",
    ),
    ReadingRule(
        "line-too-long",
        "fatal",
        "A line of an NDJSON file is no longer than 128 MiB.",
        "Each line is one resource, and is held in memory.",
        '{"resourceType": "Bundle", "entry": [...]}',
        "Write one resource a line.",
    ),
    ReadingRule(
        "file-too-long",
        "fatal",
        "A file in an archive is no longer than 128 MiB, unless it is NDJSON.",
        "It is held in memory.",
        "package/Bundle-catalogue.json",
        "Write one resource a line, as NDJSON (.ndjson).",
    ),
    ReadingRule(
        "archive-in-archive",
        "fatal",
        "An archive holds no archives.",
        "What is in them is not read.",
        "full-ig.zip/site/package.tgz",
        "Unpack the outer one, and name the inner one.",
    ),
    ReadingRule(
        "yaml-syntax",
        "fatal",
        "The text is YAML.",
        "Nothing else can be read.",
        "status: [active",
        "See the message.",
    ),
    ReadingRule(
        "yaml-feature",
        "error",
        "A YAML file uses only what JSON can express.",
        "Tags, merge keys, keys that are not text and second documents mean nothing in FHIR.",
        "status: !!binary YWN0aXZl",
        "Write the elements out.",
    ),
    ReadingRule(
        "yaml-alias",
        "fatal",
        "Aliases point to what is complete, and stand for no more than 100,000 values.",
        "A few lines of aliases can stand for more values than any memory holds.",
        "code: *klonopin",
        "Write the values out.",
    ),
    ReadingRule(
        "xml-syntax",
        "fatal",
        "The text is well-formed XML.",
        "Nothing else can be read.",
        '<Medication xmlns="http://hl7.org/fhir">',
        "See the message.",
    ),
    ReadingRule(
        "xml-doctype",
        "fatal",
        "An XML file has no document type declaration.",
        "FHIR forbids it, and attacks by entities need it.",
        '<!DOCTYPE Medication><Medication xmlns="http://hl7.org/fhir"/>',
        "Remove the declaration, and write entities as the characters that they stand for.",
    ),
    ReadingRule(
        "xml-namespace",
        "error",
        "Elements are in FHIR's namespace, narratives in that of XHTML.",
        "An element of another namespace is another element.",
        "<Medication/>",
        'Write xmlns="http://hl7.org/fhir" on the root, xmlns="http://www.w3.org/1999/xhtml" on a narrative\'s div.',
    ),
    ReadingRule(
        "xml-element-order",
        "error",
        "In XML, elements stand in the order of the specification.",
        "Readers that check against FHIR's XML Schema refuse any other.",
        '<Medication xmlns="http://hl7.org/fhir"><status value="active"/><id value="a"/></Medication>',
        "Move the element.",
    ),
    ReadingRule(
        "xml-repeated-element",
        "error",
        "In XML, an element that may stand once stands once.",
        "One of the two values would be lost.",
        '<Medication xmlns="http://hl7.org/fhir"><id value="a"/><id value="b"/></Medication>',
        "Keep one of the two.",
    ),
    ReadingRule(
        "xml-unexpected",
        "error",
        "In XML, values stand in the attribute `value`, and elements have no attributes but FHIR's.",
        "Text and other attributes would be lost.",
        '<Medication xmlns="http://hl7.org/fhir"><status>active</status></Medication>',
        "Remove it, or write it as an element.",
    ),
)
READING_RULES: Mapping[str, ReadingRule] = {rule.id: rule for rule in _READING_RULES}


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
    `release` is that of a value which does not say its own, where what it was published in says so.
    """

    file: str
    text: str
    format: Format
    value: Any
    positions: Positions
    issues: tuple[PlacedIssue, ...] = ()
    readable: bool = True
    first_line: int = 1
    release: FhirVersion | None = None


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

    def __contains__(self, pointer: Pointer) -> bool:
        return pointer in self._places

    def find(self, pointer: Pointer) -> tuple[int, int]:
        for length in range(len(pointer), -1, -1):
            if place := self._places.get(pointer[:length]):
                return place
        return 1, 1


def reading_issue(rule: str, diagnostics: str, remedy: str | None = None, *, fatal: bool = True) -> Issue:
    """An issue of one of the `READING_RULES`: `fatal` when there is no value, an error otherwise."""
    return Issue("fatal" if fatal else "error", "structure", diagnostics, rule=rule, remedy=remedy)
