"""What was worked out from value sets and code systems: expansions cost more than searches do."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
Answers = dict[tuple[Any, ...], Any]

# Each value set leaves a few answers, one for each way it is named.
_REMEMBERED = 5000
# Bytes of text of which one process keeps the models. A concept in memory takes some two to five times its text.
MODELLED = 64 * 1024 * 1024


class Known:
    """What was worked out from the value sets and code systems of a store, until one of them changes."""

    def __init__(self) -> None:
        self._held: tuple[tuple[int, ...], Answers] = ((), {})

    def of(self, generation: tuple[int, ...]) -> Answers:
        """The answers of that generation; those of another are forgotten."""
        known, answers = self._held
        if known != generation or len(answers) > _REMEMBERED:
            answers = {}
            self._held = (generation, answers)
        return answers


class Models:
    """What was read from the texts of resources, whichever they are of; the one used longest ago is forgotten first.

    The key is the text itself: no number of a version says as much, for a transaction may be rolled back.
    """

    def __init__(self, limit: int = MODELLED) -> None:
        self._limit = limit
        self._known: OrderedDict[bytes, Any] = OrderedDict()
        self.size = 0
        """Bytes of the texts."""
        self._lock = threading.Lock()

    def get(self, text: bytes, read: Callable[[bytes], T]) -> T:
        """What `read` makes of `text`; there is one reader for each kind of resource."""
        with self._lock:
            known: T | None = self._known.get(text)
            if known is not None:
                self._known.move_to_end(text)
                return known
        made = read(text)
        with self._lock:
            if text not in self._known:
                self._known[text] = made
                self.size += len(text)
            while self.size > self._limit and len(self._known) > 1:
                old, _ = self._known.popitem(last=False)
                self.size -= len(old)
        return made
