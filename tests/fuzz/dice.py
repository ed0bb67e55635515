"""Chance that can be repeated: every request of a run has dice of its own, made of the seed and its number."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


class Dice(random.Random):
    """Python's generator, with the few throws that are needed here."""

    def chance(self, share: float) -> bool:
        """True in `share` of the throws."""
        return self.random() < share

    def one(self, ways: Sequence[tuple[float, Callable[[], T]]]) -> T:
        """What one of the ways gives; each is taken as often as its weight says."""
        (way,) = self.choices([way for _, way in ways], [weight for weight, _ in ways])
        return way()

    def few(self, most: int, least: int = 0) -> int:
        """A number up to `most`, small ones more often."""
        return min(most, least + int(self.expovariate(0.9)))


def dice_for(seed: int, number: int, *more: Any) -> Dice:
    """The dice of one request."""
    return Dice(f"{seed}:{number}:{':'.join(map(str, more))}")
