"""A drug label as it was read, before it is FHIR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from apothecary.content.xml_tree import Node
from apothecary.fhir.json import JSON
from apothecary.importers.report import Place


@dataclass(slots=True)
class Section:
    """A part of a label. `body` is XHTML, `highlight` what the label's summary says of it; `entries` are references."""

    place: Place
    code: str = ""
    display: str = ""
    title: str = ""
    body: list[Node | str] = field(default_factory=list)
    highlight: list[Node | str] = field(default_factory=list)
    sections: list[Section] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    id: str = ""
    """Where links of the label lead to."""


@dataclass(slots=True)
class Label:
    """A label: its head, its sections, and the ids of the products that it is of. `key` is what ids begin with."""

    place: Place
    key: str
    set_id: str
    document_id: str
    version: str
    date: str
    title: str
    type: JSON
    author: JSON | None
    sections: list[Section]
    products: Sequence[str]
    """The ids of the products: of each there are a Medication and a MedicationKnowledge."""
    source: JSON
    """The file, as an Attachment."""
    language: str = "en"
    related: list[JSON] = field(default_factory=list)
    """DocumentReference.relatesTo."""
