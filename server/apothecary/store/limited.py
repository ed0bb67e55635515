"""Reading no more of a result than an answer may hold: a page of resources of many megabytes is not fetched whole, to
be cut afterwards.

A page may have fewer matches than `_count` asks for: https://hl7.org/fhir/R5/search.html#count

And what is said of a search that the database does not run, or not to its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from apothecary.errors import Busy, TooCostly
from apothecary.store.contract import Reader, Stored

PIECE = 8 * 1024 * 1024
"""So many bytes are read of many resources, one piece after the other, where each is looked at and let go."""

_Key = tuple[str, str]


def in_pieces(reader: Reader, keys: Iterable[_Key], most: int = PIECE) -> Iterator[Stored]:
    """The current versions of those of `keys` that exist and are not deleted, in any order, `most` bytes at once."""
    left = list(keys)
    while left:
        found = reader.read_many(left, most)
        yield from found
        if sum(map(held, found)) <= most:
            return
        there = {(one.type, one.id) for one in found}
        left = [key for key in left if key not in there]


def limited(rows: Iterable[Any], most: int, heavy: Sequence[int]) -> list[Any]:
    """The first of the rows, up to the one with which they have more than `most` bytes in their columns `heavy`; two,
    at least, where there are two, so that who cuts the page sees that something was left out.
    """
    found: list[Any] = []
    left = most
    for row in rows:
        found.append(row)
        for column in heavy:
            left -= len(row[column] or b"")
        if left < 0 and len(found) > 1:
            break
    return found


def held(row: Sequence[Any]) -> int:
    """The bytes in a row's columns of bytes."""
    return sum(len(one) for one in row if isinstance(one, bytes))


def too_complex() -> TooCostly:
    """What a search is answered with that the database refuses for how deeply it is nested, or for how much it names:
    https://www.sqlite.org/limits.html and https://www.postgresql.org/docs/current/limits.html
    """
    return TooCostly(
        "the search is nested too deeply, or names too much at once, for the database",
        remedy="Ask in steps: fewer links in a chain, fewer parameters.",
    )


def too_long(seconds: float) -> Busy:
    """What a statement is answered with that reached the limit of time."""
    return Busy(
        f"the search ran longer than the limit of {seconds:g} seconds",
        code="timeout",
        remedy="Ask for less: more parameters, fewer chains, a smaller _count.",
        headers={"Retry-After": "10"},
    )
