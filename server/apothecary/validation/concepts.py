"""What code systems say of their codes, as the check of codes asks it: https://hl7.org/fhir/R5/codesystem.html#concepts"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

# The standard properties that say that a code should not be used any more:
# https://hl7.org/fhir/R5/codesystem-concept-properties.html
WITHDRAWN = frozenset({"deprecated", "withdrawn", "retired", "inactive"})


class Said(NamedTuple):
    """What a code system says of one of its codes: names with their languages, the display first; a status if it is
    one that speaks against it.
    """

    names: tuple[tuple[str, str], ...]
    status: str | None = None
    abstract: bool = False


class System(Protocol):
    """A code system that was read."""

    @property
    def version(self) -> str | None: ...
    @property
    def complete(self) -> bool: ...
    def codes(self) -> Iterable[str]: ...
    def said(self, code: str) -> Said | None: ...
