"""The rows that a resource leaves in the index, one class for each index table.

Extraction makes them, the store keeps them, predicates ask for them: https://hl7.org/fhir/R5/search.html#ptypes
"""

from __future__ import annotations

from typing import NamedTuple


class TokenRow(NamedTuple):
    """A code with its system; `system` is empty where the element has none. Long texts are shortened by `text.key`."""

    parameter: str
    system: str
    code: str
    element: int = 0

    @property
    def table(self) -> str:
        return "token"


class StringRow(NamedTuple):
    """A text: `folded` for search without case and accents, `prefix` its indexed beginning, `exact` as written."""

    parameter: str
    prefix: str
    folded: str
    exact: str
    element: int = 0

    @property
    def table(self) -> str:
        return "string"


class DateRow(NamedTuple):
    """A span of time in microseconds, half-open."""

    parameter: str
    low: int
    high: int
    element: int = 0

    @property
    def table(self) -> str:
        return "date"


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

    @property
    def table(self) -> str:
        return "quantity"


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

    @property
    def table(self) -> str:
        return "reference"


class UriRow(NamedTuple):
    """A URI or canonical as written, and its indexed beginning."""

    parameter: str
    prefix: str
    value: str
    element: int = 0

    @property
    def table(self) -> str:
        return "uri"


class TextRow(NamedTuple):
    """A passage of the text of a parameter (`words.Passage`), for full text."""

    parameter: str
    words: str
    length: int
    element: int = 0

    @property
    def table(self) -> str:
        return "text"


class VocabularyRow(NamedTuple):
    """A word that inexact search may find. It belongs to the parameter of the type, not to one resource."""

    parameter: str
    word: str

    @property
    def table(self) -> str:
        return "vocabulary"


IndexRow = TokenRow | StringRow | DateRow | QuantityRow | ReferenceRow | UriRow | TextRow | VocabularyRow


class ContainedRow(NamedTuple):
    """A contained resource: its type, its id in the container, and what it leaves in the index itself."""

    type: str
    id: str
    rows: tuple[IndexRow, ...]


Indexed = IndexRow | ContainedRow
"""What a resource leaves in the index: rows of its own, and those of what it contains."""
