"""The rows that a resource leaves in the index, one class for each index table.

Extraction makes them, the store keeps them, predicates ask for them: https://hl7.org/fhir/R5/search.html#ptypes

`element` numbers the element inside a composite parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

from apothecary.terminology.stored import LargeCodeSystem


class TokenRow(NamedTuple):
    """A code with its system; `system` is empty where the element has none. Long texts are shortened by `text.key`."""

    parameter: str
    system: str
    code: str
    element: int = 0


class StringRow(NamedTuple):
    """A text: `folded` for search without case and accents, `prefix` its indexed beginning, `exact` as written."""

    parameter: str
    prefix: str
    folded: str
    exact: str
    element: int = 0


class DateRow(NamedTuple):
    """A span of time in microseconds, half-open."""

    parameter: str
    low: int
    high: int
    element: int = 0


class QuantityRow(NamedTuple):
    """A number or a range of numbers as sortable text (`decimals.sortable`), with the unit's system and code, empty for
    a plain number.
    """

    parameter: str
    system: str
    code: str
    low: str
    high: str
    element: int = 0


class ReferenceRow(NamedTuple):
    """A reference: type and id where the target is (or would be) on this server, the URL or canonical as written
    otherwise.
    """

    parameter: str
    target_type: str
    target_id: str
    url: str
    version: str
    element: int = 0


class UriRow(NamedTuple):
    """A URI or canonical as written, and its indexed beginning."""

    parameter: str
    prefix: str
    value: str
    element: int = 0


class TextRow(NamedTuple):
    """A passage of the text of a parameter (`words.Passage`), for full text."""

    parameter: str
    words: str
    length: int
    element: int = 0


class VocabularyRow(NamedTuple):
    """A word that inexact search may find. It belongs to the parameter of the type, not to one resource."""

    parameter: str
    word: str


class SpellingRow(NamedTuple):
    """A text that is found by any part of it. It belongs to no resource: those that have it have rows of their own."""

    text: str


IndexRow = TokenRow | StringRow | DateRow | QuantityRow | ReferenceRow | UriRow | TextRow | VocabularyRow | SpellingRow

TABLES: Mapping[type[IndexRow], str] = {
    TokenRow: "token",
    StringRow: "string",
    DateRow: "date",
    QuantityRow: "quantity",
    ReferenceRow: "reference",
    UriRow: "uri",
    TextRow: "text",
    VocabularyRow: "vocabulary",
    SpellingRow: "spelling",
}
"""The table of the index that holds the rows of a class."""


class ContainedRow(NamedTuple):
    """A contained resource: its type, its id in the container, and what it leaves in the index itself."""

    type: str
    id: str
    rows: tuple[IndexRow, ...]


Indexed = IndexRow | ContainedRow | LargeCodeSystem
"""What a resource leaves in the index: rows of its own, those of what it contains, and last the concepts of a large
code system.
"""


def apart(rows: Iterable[Indexed]) -> tuple[list[IndexRow | ContainedRow], LargeCodeSystem | None]:
    """What a resource leaves in the index, and its concepts where it is a large code system."""
    found = list(rows)
    concepts = found.pop() if found and isinstance(found[-1], LargeCodeSystem) else None
    return cast("list[IndexRow | ContainedRow]", found), cast("LargeCodeSystem | None", concepts)
