"""Reading no more of a result than an answer may hold: a page of resources of many megabytes is not fetched whole, to
be cut afterwards.

A page may have fewer matches than `_count` asks for: https://hl7.org/fhir/R5/search.html#count
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

AT_ONCE = 25
"""So many rows, and no more, are fetched at once whatever they hold: the few of most pages come sooner that way."""

STEP = 8
"""How many rows come together where their bytes are counted."""


def limited(rows: Iterable[Any], most: int) -> list[Any]:
    """The first of the rows, up to the one with which they have more than `most` bytes in columns of bytes; two, at
    least, where there are two, so that who cuts the page sees that something was left out.
    """
    found: list[Any] = []
    left = most
    for row in rows:
        found.append(row)
        left -= held(row)
        if left < 0 and len(found) > 1:
            break
    return found


def held(row: Sequence[Any]) -> int:
    """The bytes in a row's columns of bytes."""
    return sum(len(one) for one in row if isinstance(one, bytes))
