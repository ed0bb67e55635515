"""A reader that notes whatever resource it hands out: pages, operations and CDS Hooks rest on more than they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from apothecary.access.came import reference
from apothecary.store.contract import Hit, Page, Past, Reader, Stored


def noting(reader: Reader, note: Callable[[str], None]) -> Reader:
    """`reader`, which tells `note` of each resource with its text."""
    return cast(Reader, _Noting(reader, note))


class _Noting:
    """Whatever the contract offers is passed on, so that none of its methods can be forgotten."""

    def __init__(self, reader: Reader, note: Callable[[str], None]) -> None:
        self._reader, self._note = reader, note

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._reader, name)
        if not callable(found):
            return found
        return lambda *given, **named: self._noted(found(*given, **named))

    def _noted(self, found: Any) -> Any:
        if isinstance(found, Stored | Past | Hit):
            if found.body is not None:
                self._note(reference(found.type, found.id, found.version))
        elif isinstance(found, Page):
            self._noted(list(found.hits))
        elif isinstance(found, list):
            for one in found:
                self._noted(one)
        elif isinstance(found, Iterator):
            return map(self._noted, found)
        return found
