"""TOML with positions: https://toml.io/en/v1.0.0

The standard library's parser gives the values. Where they stand is looked for only when somebody asks, so that reading
a sound file costs nothing more.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from apothecary.content.documents import Document, Lines, Pointer, RecordedPositions
from apothecary.errors import ContentError

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
# Texts that the parser took already, so what closes a string is found without asking what may stand in it.
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}|'
    r"'''(?:[^']|'(?!''))*'{3,5}|"
    r'"(?:[^"\\]|\\.)*"|'
    r"'[^']*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_toml(file: str, text: str) -> Document:
    """The document that `text` writes. Raises ContentError with the place at which it cannot be read."""
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        end = Lines(text).place(len(text))
        line, column = (int(place[1]), int(place[2])) if place and place[1] else end
        raise ContentError(file, line, column, _PLACE.sub("", str(error))) from None
    except RecursionError:
        raise ContentError(file, 0, 0, "arrays and inline tables are nested too deeply") from None
    return Document(file, text, "toml", value, TomlPositions(text))


class TomlPositions:
    """The positions of the values of a text that TOML's parser took; a table's is that of its header."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._recorded: RecordedPositions | None = None

    def find(self, pointer: Pointer) -> tuple[int, int]:
        """Line and column, from 1, of the value at `pointer`, or of its nearest ancestor that exists."""
        if self._recorded is None:
            lines = Lines(self._text)
            places: dict[Pointer, tuple[int, int]] = {}
            for found, offset in _Scan(self._text).document():
                # A table can be named in several places: the first one begins it.
                for length in range(1, len(found) + 1):
                    places.setdefault(found[:length], lines.place(offset))
            self._recorded = RecordedPositions(places)
        return self._recorded.find(pointer)


class _Scan:
    """Walks over a sound text and says where each value begins."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        # How many tables each array of tables has so far.
        self.tables: dict[Pointer, int] = {}

    def document(self) -> Iterator[tuple[Pointer, int]]:
        table: Pointer = ()
        self.space()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                start = self.at
                table = self.header()
                yield table, start
            else:
                yield from self.pair(table)
            self.space()

    def space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def skip(self, text: str) -> None:
        self.space()
        self.at += len(text)

    def header(self) -> Pointer:
        """`[a.b]` or `[[a.b]]`: the table that follows, inside the latest of each array of tables on the way."""
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        keys = self.keys()
        self.skip("]" * brackets)
        table: Pointer = ()
        for number, key in enumerate(keys, 1):
            table = (*table, key)
            if brackets == 2 and number == len(keys):
                self.tables[table] = self.tables.get(table, 0) + 1
            if table in self.tables:
                table = (*table, self.tables[table] - 1)
        return table

    def keys(self) -> list[str]:
        """The parts of a key, and of what stands in a header."""
        found = []
        while True:
            self.space()
            match = _STRING.match(self.text, self.at) or _BARE_KEY.match(self.text, self.at)
            if match is None:
                raise ValueError(f"no key at {self.at}")
            self.at = match.end()
            raw = match.group()
            found.append(tomllib.loads(f"key = {raw}")["key"] if raw[0] in "\"'" else raw)
            self.space()
            if self.text[self.at : self.at + 1] != ".":
                return found
            self.at += 1

    def pair(self, table: Pointer) -> Iterator[tuple[Pointer, int]]:
        pointer = (*table, *self.keys())
        self.skip("=")
        yield from self.value(pointer)

    def value(self, pointer: Pointer) -> Iterator[tuple[Pointer, int]]:
        self.space()
        yield pointer, self.at
        opening = self.text[self.at]
        if opening not in "[{":
            match: Any = _STRING.match(self.text, self.at) or _SCALAR.match(self.text, self.at)
            self.at = match.end()
            return
        self.at += 1
        self.space()
        number = 0
        while self.text[self.at] not in "]}":
            if opening == "[":
                yield from self.value((*pointer, number))
                number += 1
            else:
                yield from self.pair(pointer)
            self.space()
            if self.text[self.at] == ",":
                self.skip(",")
                self.space()
        self.at += 1
