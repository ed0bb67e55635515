"""Searches that were understood already: the same query string means the same search until the parameters change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field

from apothecary.search.query import Search

SIZE = 2000


@dataclass(frozen=True, slots=True)
class Prepared:
    """A search with what its answer needs besides the matches."""

    search: Search
    self_url: str
    opening: bytes
    """The JSON of the link to itself, ready to stand in the bundle."""
    path: str = ""
    """Where the search stands below its base."""
    lasting: bool = True
    """Whether the same text means the same later on, whatever is written in between."""
    openings: dict[str, bytes] = field(default_factory=dict)
    """What the entries begin with that hold resources of a type, once one was found."""


class Cache:
    """A bounded map from the text of a search to its meaning; what was used longest ago goes first."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, Prepared] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Prepared | None:
        return self._known.get(key)

    def put(self, key: Hashable, prepared: Prepared) -> None:
        with self._lock:
            self._known[key] = prepared
            while len(self._known) > SIZE:
                self._known.popitem(last=False)

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
