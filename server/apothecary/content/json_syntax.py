"""What is wrong with a text that should be JSON, with the exact place: https://www.rfc-editor.org/rfc/rfc8259

Only asked when a parser has refused the text, so it may be slow; it never recurses, so that no depth of nesting can
hurt it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NoReturn

from apothecary.fhir.json import MAX_DEPTH, FhirDecimal

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"')
_STRING_PART = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})')
_HIGH_THEN_LOW = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_RUN = re.compile(r"[^\s\[\]{},:\"]+")


@dataclass(frozen=True, slots=True)
class Defect:
    """One defect at an offset in characters. After a fatal one nothing more is looked for."""

    rule: str
    offset: int
    message: str
    remedy: str | None = None
    fatal: bool = True


class _Stop(Exception):
    """A fatal defect ends the reading."""

    def __init__(self, defect: Defect) -> None:
        self.defect = defect


def defects(text: str) -> list[Defect]:
    """Every defect of `text` in document order, up to the first that makes the rest unreadable.

    [] for JSON without any.
    """
    reader = _Reader(text)
    try:
        reader.document()
    except _Stop as stop:
        reader.found.append(stop.defect)
    return reader.found


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: list[Defect] = []

    def document(self) -> None:
        # One set of keys for each open object, None for each open array.
        open_containers: list[set[str] | None] = []
        self.space()
        if self.at == len(self.text):
            self.stop("The document is empty.", "Write one resource, as a JSON object.")
        self.value(open_containers, "a value")
        while open_containers:
            self.member(open_containers)
        self.space()
        if self.at < len(self.text):
            self.stop(
                f"After the end of the document stands {self.here()}.",
                "A JSON file holds one value; several resources go into a Bundle, or one a line into a .ndjson file.",
            )

    def value(self, open_containers: list[set[str] | None], wanted: str) -> None:
        """Read a scalar, or the opening of a container."""
        first = self.peek()
        if first in ("{", "["):
            if len(open_containers) == MAX_DEPTH:
                self.stop(f"The document is nested deeper than {MAX_DEPTH} levels.", rule="too-deep")
            self.at += 1
            open_containers.append(set() if first == "{" else None)
            self.first_member(open_containers)
        elif first == '"':
            self.string()
        elif (number := _NUMBER.match(self.text, self.at)) and self.ends_there(number.end()):
            self.number(number[0])
            self.at = number.end()
        elif (word := self.run()) in ("true", "false", "null"):
            self.at += len(word)
        else:
            self.stop(f"Expected {wanted}, found {self.here()}.", _remedy(first, word))

    def number(self, literal: str) -> None:
        try:
            FhirDecimal(literal)
        except ValueError as error:
            said = str(error)
            self.stop(f"{said[0].upper()}{said[1:]}.", "A decimal of FHIR has at most 18 digits.")

    def first_member(self, open_containers: list[set[str] | None]) -> None:
        """After `{` or `[`: an end, or the first member."""
        keys = open_containers[-1]
        self.space()
        if self.peek() == ("]" if keys is None else "}"):
            self.at += 1
            open_containers.pop()
        elif keys is None:
            self.value(open_containers, "a value or ']'")
        else:
            self.key(keys, "a key in double quotes or '}'")
            self.value(open_containers, "a value")

    def member(self, open_containers: list[set[str] | None]) -> None:
        """After a member: an end, or a comma and the next member."""
        keys = open_containers[-1]
        end = "]" if keys is None else "}"
        self.space()
        mark = self.peek()
        if mark == end:
            self.at += 1
            open_containers.pop()
            return
        if mark != ",":
            self.stop(f"Expected ',' or '{end}', found {self.here()}.", _missing_comma(mark))
        comma = self.at
        self.at += 1
        self.space()
        if self.peek() == end:
            self.at = comma
            self.stop(f"A comma stands before '{end}', with nothing to separate.", "Remove the comma.")
        if keys is None:
            self.value(open_containers, "a value")
        else:
            self.key(keys, "a key in double quotes")
            self.value(open_containers, "a value")

    def key(self, keys: set[str], wanted: str) -> None:
        start = self.at
        if self.peek() != '"':
            self.stop(f"Expected {wanted}, found {self.here()}.", _remedy(self.peek(), self.run()))
        key = self.string()
        if key in keys:
            message = f"The key {_shown(key)} stands twice in one object."
            remedy = "Keep one of the two; repeating elements are written as one array."
            self.found.append(Defect("duplicate-key", start, message, remedy, fatal=False))
        keys.add(key)
        self.space()
        if self.peek() != ":":
            self.stop(f"Expected ':' after the key {_shown(key)}, found {self.here()}.")
        self.at += 1
        self.space()

    def string(self) -> str:
        """Read a string; its text with simple escapes resolved, which is enough to compare keys."""
        start = self.at
        whole = _STRING.match(self.text, start)
        if whole is None:
            self.broken_string(start)
        raw = whole.group()[1:-1]
        if "\\" in raw:
            for escape in re.finditer(r"\\.", raw):
                if _ESCAPE.match(raw, escape.start()) is None:
                    self.at = start + 1 + escape.start()
                    self.stop(f"{_shown(escape.group())} is not an escape of JSON.", r"Write a backslash as \\.")
            self.surrogates(raw, start + 1)
        self.at = whole.end()
        return _unescaped(raw)

    def surrogates(self, raw: str, start: int) -> None:
        position = 0
        while half := _HALF.search(raw, position):
            pair = _HIGH_THEN_LOW.match(raw, half.start())
            # An even number of backslashes before `\u` makes it the text "\u...", not an escape.
            before = len(raw[: half.start()]) - len(raw[: half.start()].rstrip("\\"))
            if pair is None and before % 2 == 0:
                self.at = start + half.start()
                self.stop(
                    f"{raw[half.start() : half.start() + 6]} is half of a surrogate pair, which is not Unicode text.",
                    "Write the character itself, or both halves.",
                    rule="lone-surrogate",
                )
            position = pair.end() if pair else half.end()

    def broken_string(self, start: int) -> NoReturn:
        position = start + 1
        while part := _STRING_PART.match(self.text, position):
            position = part.end()
            if self.text[position : position + 1] != "\\":
                break
            position += 2
        if position >= len(self.text):
            self.stop("The string that starts here never ends.", "Close it with a double quote.")
        self.at = position
        if self.text[position] in "\r\n":
            self.at = start
            self.stop(
                "The string that starts here does not end on its line.", r"Close it, or write a line break as \n."
            )
        self.stop(
            f"A string holds the control character U+{ord(self.text[position]):04X}.", r"Write it as \u00XX or \t."
        )

    def space(self) -> None:
        self.at = _end(_SPACE.match(self.text, self.at), self.at)

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def run(self) -> str:
        """The run of characters that are neither white space nor marks."""
        found = _RUN.match(self.text, self.at)
        return found.group() if found else ""

    def ends_there(self, offset: int) -> bool:
        return _end(_RUN.match(self.text, self.at), self.at) == offset

    def here(self) -> str:
        """What stands here, for a message."""
        return _shown(self.run() or self.peek()) if self.at < len(self.text) else "the end of the document"

    def stop(self, message: str, remedy: str | None = None, rule: str = "json-syntax") -> NoReturn:
        # What is missing at the end is missing after the last character that one sees.
        place = self.at if self.at < len(self.text) else len(self.text.rstrip(" \t\n\r"))
        raise _Stop(Defect(rule, place, message, remedy))


def _end(match: re.Match[str] | None, otherwise: int) -> int:
    return match.end() if match else otherwise


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")


def _unescaped(raw: str) -> str:
    return raw if "\\" not in raw else str(json.loads(f'"{raw}"'))


def _missing_comma(mark: str) -> str | None:
    return "Put a comma before it." if mark in ('"', "{", "[") else _remedy(mark, "")


def _remedy(first: str, word: str) -> str | None:
    """How to mend the commonest things that are JavaScript, Python or YAML, but not JSON."""
    if first == "/" or first == "#":
        return "JSON has no comments: remove it."
    if first in ("'", "‘", "“", "”"):
        return 'Use straight double quotes: ".'
    if word in ("True", "False", "None", "undefined"):
        return "JSON writes true, false and null."
    if word in ("NaN", "Infinity", "-Infinity"):
        return "JSON has no such number: leave the element out, with a data-absent-reason extension."
    if re.fullmatch(r"[+]?[0-9.]+", word):
        return "A number has no plus sign, no leading zero, and digits on both sides of its point."
    if word:
        return "Text and keys stand in double quotes."
    return None
