"""How long one bundle may keep a processor busy: it may hold thousands of entries, each as costly as a request.

What is over it is 503, as for a request by itself: https://hl7.org/fhir/R5/http.html#transaction-response
"""

from __future__ import annotations

import time

from apothecary.errors import Busy

# The time in which this thread had a processor: that others are busy, too, is not the bundle's fault.
clock = time.thread_time


class Turn:
    """The time of one bundle, which begins now."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = clock() + seconds

    @property
    def over(self) -> bool:
        """Whether nothing more is to be begun."""
        return clock() > self._end

    def error(self, number: int) -> Busy:
        """What the entry of that number is answered with, which is not looked at any more."""
        return Busy(
            f"the bundle took more than {self._seconds:g} seconds of work (APOTHECARY_REQUEST_SECONDS)",
            code="timeout",
            expression=f"Bundle.entry[{number}]",
            remedy="Nothing was done. Send the entry again, in a smaller bundle.",
            headers={"Retry-After": "10"},
        )
