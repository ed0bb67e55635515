"""What the evaluation of something that came from outside may cost: a FHIRPath expression, a filter of a value set.

The cost is counted in steps, not measured: the same input is refused on every machine, however busy. A clock is
looked at beside it, for what a step costs more than it should.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from apothecary.errors import BudgetSpent

# How many steps may pass between two looks at the clock.
_STRIDE = 2_000


class Budget:
    """`steps` that may be taken and, where given, `seconds` that may pass. One step is about a microsecond of work."""

    __slots__ = ("_clock", "_deadline", "_left", "_look_at")

    def __init__(self, steps: int, seconds: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._left = steps
        self._clock = clock
        self._deadline = None if seconds is None else clock() + seconds
        self._look_at = steps - _STRIDE if self._deadline is not None else 0

    def spend(self, steps: int) -> None:
        """Take `steps`. Raises BudgetSpent when there are not as many left, or the time is over."""
        self._left -= steps
        if self._left < self._look_at:
            self._look()

    def _look(self) -> None:
        if self._left < 0:
            raise BudgetSpent("it takes too many steps")
        if self._deadline is not None:
            if self._clock() > self._deadline:
                self._left = -1  # What is over stays over.
                raise BudgetSpent("it takes too long")
            self._look_at = max(0, self._left - _STRIDE)
