"""How much one answer may hold, in bytes of resources. A page may have fewer matches than `_count` asks for:
https://hl7.org/fhir/R5/search.html#count
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from apothecary.errors import TooCostly
from apothecary.store.contract import Page


class _Bodied(Protocol):
    @property
    def body(self) -> bytes | None: ...


T = TypeVar("T", bound=_Bodied)


def size(resources: Sequence[_Bodied]) -> int:
    """Bytes of the text of some resources."""
    # Of a list, which is made faster than one length is asked for after the other.
    return sum([len(one.body) for one in resources if one.body])


def fitting(resources: Sequence[T], limit: int) -> Sequence[T]:
    """The first of them that have no more than `limit` bytes together; one, at least, where there is one."""
    if size(resources) <= limit:
        return resources
    left = limit
    for number, one in enumerate(resources):
        left -= len(one.body or b"")
        if left < 0:
            return resources[: max(number, 1)]
    return resources


def within(page: Page, *, backwards: bool, limit: int) -> Page:
    """A page with as many of its matches as fit. Read backwards, it ends where it began."""
    found = fitting(page.hits[::-1] if backwards else page.hits, limit)
    if len(found) == len(page.hits):
        return page
    if backwards:
        return page._replace(hits=list(found[::-1]), more_before=True, stopped=None)
    return page._replace(hits=list(found), more_after=True, stopped=None)


def too_large(limit: int, what: str, remedy: str) -> TooCostly:
    """What is answered where less than all would be no answer."""
    return TooCostly(f"{what} would have more than {limit} bytes (APOTHECARY_ANSWER_LIMIT)", remedy=remedy)
