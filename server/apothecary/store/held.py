"""Large code systems as a store gives them back: https://hl7.org/fhir/R5/codesystem.html"""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """The concepts of a CodeSystem of that id, in one state, by the numbers of the first and the last."""

    id: str
    first: int
    last: int


class HeldCodeSystem(NamedTuple):
    """A large code system, whose concepts are held one by one: `head` is the rest of it
    (`apothecary.terminology.stored.Head` as JSON).
    """

    id: str
    span: Span
    updated: int
    head: bytes


class HeldConcept(NamedTuple):
    """A concept: its element and the codes of its parents as JSON."""

    number: int
    element: bytes
    parents: str | None
