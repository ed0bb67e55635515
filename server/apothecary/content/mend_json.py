"""Where a mend stands in a JSON text, and how it is written there (https://hl7.org/fhir/R5/json.html)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from apothecary.content.documents import Document, Pointer
from apothecary.content.json import JsonPositions

# What stands before a value of an object: the space before its key, and what is between the key and the value.
_KEY = re.compile(r'([ \t\r\n]*)"[^"]*"([ \t\r\n]*:[ \t\r\n]*)\Z')
_LONGEST_KEY = 1000


def json_editor(document: Document) -> Callable[[tuple[Pointer, Any, str | None]], tuple[int, int, str]]:
    """What gives for a change its edit: from where to where in the text, and what stands there then."""
    text = document.text
    positions = JsonPositions(text)

    def edit(change: tuple[Pointer, Any, str | None]) -> tuple[int, int, str]:
        pointer, value, after = change
        new = json.dumps(value, ensure_ascii=False)
        if after is None:
            return (*positions.span(pointer), new)
        start, end = positions.span((*pointer[:-1], after))
        # Written as its sibling is: on a line of its own, or in the same one.
        before = _KEY.search(text, max(0, start - _LONGEST_KEY), start)
        space, colon = (before[1], before[2]) if before is not None else ("", ":")
        return end, end, f",{space}{json.dumps(pointer[-1])}{colon}{new}"

    return edit
