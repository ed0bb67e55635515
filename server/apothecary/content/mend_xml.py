"""Where a mend stands in an XML text, and how it is written there (https://hl7.org/fhir/R5/xml.html)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape

from apothecary.content.documents import Document, Pointer, RecordedPositions

# expat's line breaks, not those of str.splitlines().
_BREAK = re.compile(r"\r\n|\r|\n")
_NAME = re.compile(r"<([^\s/>=]+)")
_ATTRIBUTE = re.compile(r"""\s+([^\s/>=]+)\s*=\s*("[^"]*"|'[^']*')""")
_SPACE = re.compile(r"\s*\Z")
# What XML writes as an attribute of the element around it.
_OF_PARENT = frozenset({"id", "url"})


def xml_editor(document: Document) -> Callable[[tuple[Pointer, Any, str | None]], tuple[int, int, str] | None]:
    """What gives for a change its edit, from where to where in the text and what stands there then; None where it
    cannot be written.
    """
    text, positions = document.text, document.positions
    lines = [0, *(found.end() for found in _BREAK.finditer(text))]

    def start_of(pointer: Pointer) -> int | None:
        if not isinstance(positions, RecordedPositions) or pointer not in positions:
            return None
        line, column = positions.find(pointer)
        return lines[line - 1] + column - 1

    def edit(change: tuple[Pointer, Any, str | None]) -> tuple[int, int, str] | None:
        pointer, value, after = change
        if after is not None:
            start = start_of((*pointer[:-1], after))
            return None if start is None else _sibling(text, start, str(pointer[-1]), str(value))
        for element, attribute in ((pointer, "value"), (pointer[:-1], str(pointer[-1]))):
            start = start_of(element)
            if start is not None and (attribute == "value" or attribute in _OF_PARENT):
                return _attribute(text, start, attribute, str(value))
        return None

    return edit


def _attribute(text: str, start: int, name: str, value: str) -> tuple[int, int, str] | None:
    """The edit that gives an attribute of the element at `start` another value, in the quotes that it has."""
    opened = _NAME.match(text, start)
    found = None if opened is None else _ATTRIBUTE.match(text, opened.end())
    while found is not None and found[1] != name:
        found = _ATTRIBUTE.match(text, found.end())
    if found is None:
        return None
    quote = found[2][0]
    return (*found.span(2), quote + escape(value, {quote: "&quot;" if quote == '"' else "&apos;"}) + quote)


def _sibling(text: str, start: int, name: str, value: str) -> tuple[int, int, str] | None:
    """The edit that puts a primitive element after the one at `start`, with its prefix and the space before it."""
    opened = _NAME.match(text, start)
    if opened is None:
        return None
    at = opened.end()
    while (found := _ATTRIBUTE.match(text, at)) is not None:
        at = found.end()
    ended = re.compile(rf"\s*(?:/>|>\s*</{re.escape(opened[1])}\s*>)").match(text, at)
    if ended is None:
        return None  # It has children: whoever wrote that mends it by hand.
    prefix, colon, _ = opened[1].rpartition(":")
    before = _SPACE.search(text, text.rfind(">", 0, start) + 1, start)
    space = before[0] if before is not None else ""
    return ended.end(), ended.end(), f'{space}<{prefix}{colon}{name} value="{escape(value)}"/>'
