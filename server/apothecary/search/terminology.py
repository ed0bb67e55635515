"""What search asks of the value sets and code systems that the server holds: https://hl7.org/fhir/R5/terminologies.html

Search does no reading of its own: whoever starts one hands in something that keeps this promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Terminology(Protocol):
    """Codes come by system, and as the index holds them (see `apothecary.search.normalisation`).

    All raise UnknownTerminology where what they are asked about is not held, NotEnumerable where its codes cannot be
    listed here: an answer from a list that is not complete would lack matches in silence.
    """

    def members(self, value_set: str) -> Mapping[str, tuple[str, ...]]:
        """The codes of a value set, named by canonical URL (`|version`) or as `ValueSet/id`."""

    def below(self, system: str, code: str) -> Mapping[str, tuple[str, ...]]:
        """`code` and all codes that it subsumes."""

    def above(self, system: str, code: str) -> Mapping[str, tuple[str, ...]]:
        """`code` and all codes that subsume it."""
