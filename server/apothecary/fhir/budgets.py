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
    """`steps` that may be taken and, where given, `seconds` that may pass. One step is about a microsecond of work.

    Several evaluations may share one: `begin` says what the next of them may take.
    """

    __slots__ = ("_clock", "_deadline", "_floor", "_left", "_look_at", "_seconds")

    def __init__(self, steps: int, seconds: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._left = steps
        self._clock = clock
        self._seconds = seconds
        self.begin(steps)

    def begin(self, steps: int, earned: int = 0) -> Budget:
        """Let the evaluation that follows take `steps`, as far as there are as many left, and all the seconds.

        It earns some steps itself: many small evaluations do not use up what is meant for a few great ones.
        """
        self._left += earned
        self._floor = max(0, self._left - steps)
        self._deadline = None if self._seconds is None else self._clock() + self._seconds
        self._look_at = self._next_look()
        return self

    def spend(self, steps: int) -> None:
        """Take `steps`. Raises BudgetSpent when there are not as many left, or the time is over."""
        self._left -= steps
        if self._left < self._look_at:
            self._look()

    def _look(self) -> None:
        if self._left < self._floor:
            # What was not taken stays for the next evaluation; one that goes on all the same takes nothing more.
            self._left = self._floor
            self._look_at = self._floor + 1
            raise BudgetSpent("it takes too many steps")
        if self._deadline is not None and self._clock() > self._deadline:
            self._left, self._look_at = self._floor, self._floor + 1
            raise BudgetSpent("it takes too long")
        self._look_at = self._next_look()

    def _next_look(self) -> int:
        return self._floor if self._deadline is None else max(self._floor, self._left - _STRIDE)
