"""Ids of what is made from a catalogue: the same for the same thing in every edition.

https://hl7.org/fhir/R5/datatypes.html#id: 1 to 64 letters, digits, hyphens and points.
"""

from __future__ import annotations

import re
from hashlib import sha256

_SAFE = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")
_LONGEST_BEGINNING = 51


def stable_id(*parts: str) -> str:
    """The parts, joined by hyphens: `ndc-0002-1433`. What is too long, or has other characters than an id may have, is
    shortened and told apart by a hash of the whole.
    """
    text = "-".join(parts)
    if _SAFE.fullmatch(text):
        return text
    beginning = _UNSAFE.sub("-", text)[:_LONGEST_BEGINNING].strip("-")
    return f"{beginning}-{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


class Ids:
    """The ids that were given: what comes again is told apart by its number, in the order in which it comes."""

    def __init__(self) -> None:
        self._times: dict[str, int] = {}

    def next(self, *parts: str) -> str:
        """`ndc-0002-1433`, then `ndc-0002-1433.2`, then `.3`."""
        first = stable_id(*parts)
        times = self._times.get(first, 0) + 1
        candidate = first
        while times > 1 and (candidate := stable_id(f"{first}.{times}")) in self._times:
            times += 1
        self._times[first] = times
        if candidate != first:
            self._times[candidate] = 1
        return candidate
