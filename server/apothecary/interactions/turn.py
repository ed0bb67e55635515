"""How long one bundle may keep a processor busy: it may hold thousands of entries, each as costly as a request.

What is over it is 503, as for a request by itself: https://hl7.org/fhir/R5/http.html#transaction-response
"""

from __future__ import annotations

from threading import get_ident

from apothecary.errors import Busy
from apothecary.store.writers import own_time

# The time in which this thread had a processor: that others are busy, too, is not the bundle's fault.
clock = own_time


class Turn:
    """The time of one bundle, which begins now."""

    def __init__(self, seconds: float) -> None:
        self._seconds = self._left = seconds
        self._thread, self._seen = get_ident(), clock()

    @property
    def over(self) -> bool:
        """Whether nothing more is to be begun."""
        thread, now = get_ident(), clock()
        # A short bundle may be written by the thread of another (`apothecary.store.writers`), whose clock is its own.
        if thread == self._thread:
            self._left -= max(0.0, now - self._seen)
        self._thread, self._seen = thread, now
        return self._left < 0

    def go_on(self) -> None:
        """Stands before each piece of work for an entry. Raises Busy, which does not name the entry, when the time is
        over.
        """
        if self.over:
            raise self.error()

    def error(self, expression: str = "") -> Busy:
        """What the entry at `expression` is answered with, which is not looked at any more."""
        return Busy(
            f"the bundle took more than {self._seconds:g} seconds of work (APOTHECARY_REQUEST_SECONDS)",
            code="timeout",
            expression=expression or (),
            remedy="Nothing was done. Send the entry again, in a smaller bundle.",
            headers={"Retry-After": "10"},
        )
