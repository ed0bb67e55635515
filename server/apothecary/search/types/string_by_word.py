"""String parameters that match from the beginning of any word, for names: https://hl7.org/fhir/R5/search.html#string

A SearchParameter asks for it with the extension `search-by-word`. `:exact` and `:contains` are about the whole value.
"""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.search import advanced
from apothecary.search.predicates import And, Compare, Predicate, Row
from apothecary.search.rows import IndexRow, StringRow, VocabularyRow
from apothecary.search.text import KEY_LENGTH, fold, wanted
from apothecary.search.types import string
from apothecary.search.types.base import Request, Value
from apothecary.search.words import WORD, words

EXTENSION = "https://example.org/fhir/StructureDefinition/search-by-word"

NAME = string.NAME
TABLES: tuple[str, ...] = string.TABLES
MODIFIERS = string.MODIFIERS | {"text-advanced"}
PREFIXES = string.PREFIXES
ELEMENTS = string.ELEMENTS


def starts(parameter: str) -> str:
    """The name under which the index has the text from each word on."""
    return f"{parameter}:word"


def extract(parameter: str, value: Value) -> Iterator[IndexRow]:
    """The rows of a plain string, one for what begins at each word, and the words for inexact search."""
    for row in string.extract(parameter, value):
        yield row
        if isinstance(row, StringRow):
            # Words are told apart before the punctuation goes: both parts of `co-trimoxazole` begin one.
            folded = fold(row.exact)
            for beginning in _beginnings(folded, row.folded):
                yield StringRow(starts(parameter), beginning, beginning, "", row.element)
            for word in words(folded):
                yield VocabularyRow(parameter, word)


def _beginnings(folded: str, bare: str) -> Iterator[str]:
    """What of a text begins at each of its words, no longer than the key: the texts from every word on would grow with
    the square of the value. `bare` is `folded` without its punctuation.
    """
    # Letters and digits are in both, one for one.
    places = [place for place, character in enumerate(bare) if character.isalnum()]
    numbers = {0}
    before = counted = 0
    for match in WORD.finditer(folded):
        counted += sum(map(str.isalnum, folded[before : match.start()]))
        before = match.start()
        numbers.add(places[counted])
    for place in sorted(numbers):
        yield bare[place : place + KEY_LENGTH]


def predicate(parameter: str, modifier: str | None, text: str, request: Request) -> Predicate:
    """Without modifier: some word and what follows it begin with `text`. Raises ValueError for what is no query."""
    if modifier in ("text", "text-advanced"):
        return advanced.predicate(parameter, text, request.similar)
    if modifier is not None:
        return string.predicate(parameter, modifier, text, request)
    folded = wanted(text)
    beginning = Row("string", starts(parameter), Compare("prefix", "prefix", folded[:KEY_LENGTH]))
    if len(folded) <= KEY_LENGTH:
        return beginning
    return And((beginning, Row("string", parameter, Compare("folded", "contains", folded))))
