"""Mends in the text of a JSON or NDJSON file: the values change, every other byte stays
(https://hl7.org/fhir/R5/json.html).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from apothecary.content.json import JsonPositions, read_json

Pointer = tuple[str | int, ...]
# What is at the pointer -> the new value; with a name: it is new, and comes after that sibling.
Change = tuple[Pointer, Any, str | None]

# What stands before a value of an object: the space before its key, and what is between the key and the value.
_KEY = re.compile(r'([ \t\r\n]*)"[^"]*"([ \t\r\n]*:[ \t\r\n]*)\Z')
_LONGEST_KEY = 1000
_MOST_ROUNDS = 4
_BOM = b"\xef\xbb\xbf"


def mended(data: bytes, changes_of: Callable[[Any], Iterable[Change]], *, is_lines: bool) -> bytes:
    """`data` with the changes that `changes_of` wants of each document in it; the lines of NDJSON are documents.

    What cannot be read, or says a key twice, stays as it is.
    """
    bom = _BOM if data.startswith(_BOM) else b""
    parts = data.removeprefix(_BOM).split(b"\n") if is_lines else [data.removeprefix(_BOM)]
    return bom + b"\n".join(_document(part, changes_of) for part in parts)


def _document(data: bytes, changes_of: Callable[[Any], Iterable[Change]]) -> bytes:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    # One mend may be what another one waits for: the code that says what a Bundle is has white space around it.
    for _ in range(_MOST_ROUNDS):
        document = read_json("", text)
        if not document.readable or document.issues:
            return data
        changes = {pointer: (pointer, value, after) for pointer, value, after in changes_of(document.value)}
        if not changes:
            break
        text = _changed(text, changes.values())
    return text.encode()


def _changed(text: str, changes: Iterable[Change]) -> str:
    positions = JsonPositions(text)
    pieces = []
    at = 0
    for start, end, new in sorted(_edit(text, positions, change) for change in changes):
        pieces += [text[at:start], new]
        at = end
    return "".join([*pieces, text[at:]])


def _edit(text: str, positions: JsonPositions, change: Change) -> tuple[int, int, str]:
    """Where a change begins and ends in the text, and what stands there then."""
    pointer, value, after = change
    new = json.dumps(value, ensure_ascii=False)
    if after is None:
        return (*positions.span(pointer), new)
    start, end = positions.span((*pointer[:-1], after))
    # Written as its sibling is: on a line of its own, or in the same one.
    before = _KEY.search(text, max(0, start - _LONGEST_KEY), start)
    space, colon = (before[1], before[2]) if before is not None else ("", ":")
    return end, end, f",{space}{json.dumps(pointer[-1])}{colon}{new}"
