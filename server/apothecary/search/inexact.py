"""Words that only resemble those of a request, offered when asked for and never without a word about it.

https://hl7.org/fhir/R5/search.html#string says nothing of misspelt words: this is the server's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from apothecary.errors import Issue
from apothecary.search.contained import marked
from apothecary.search.handling import Handling
from apothecary.search.parameter import SearchParameter
from apothecary.search.words import SIMILAR

Likeness = tuple[str, int]
"""A word, and how much it is like another, in millionths."""


class Vocabulary(Protocol):
    """The words that stand in the texts of parameters, as far as inexact search may find them."""

    def similar(self, resource_type: str, parameter: str, word: str) -> Sequence[Likeness]:
        """The words most like `word`, best first."""


class Inexact:
    """Inexact search in one request: finds words for those that were asked for, and says which they were."""

    def __init__(self, vocabulary: Vocabulary | None, handling: Handling) -> None:
        self._vocabulary = vocabulary
        self._handling = handling
        self.asked = False
        """Whether any word was asked for that only need resemble: what is looked for, the content then decides."""

    def similar(self, parameter: SearchParameter, word: str) -> Sequence[Likeness]:
        """The words in texts of a parameter that look like `word`, in contained resources too. Raises ValueError where
        only exact answers will do.
        """
        if self._vocabulary is None:
            raise ValueError(f"{word}~: an inexact match will not do here")
        self.asked = True
        kinds = parameter.resource_type, marked(parameter.resource_type)
        every = dict(one for kind in kinds for one in self._vocabulary.similar(kind, parameter.index, word))
        found = sorted(every.items(), key=lambda one: (-one[1], one[0]))[:SIMILAR]
        self._handling.tell(_told(parameter, word, found))
        return found


def _told(parameter: SearchParameter, word: str, found: Sequence[Likeness]) -> Issue:
    """What the answer says of the words that were looked for."""
    listed = ", ".join(f"{one} ({likeness / 1_000_000:.2f})" for one, likeness in found)
    return Issue(
        "warning",
        "informational",
        f"inexact: {word}~ was asked for in {parameter.code}, "
        + (f"and these words were looked for: {listed}" if found else "and no word resembles it"),
        (parameter.code,),
        remedy="Take a match for a suggestion, not for the name that was meant." if found else "",
    )
