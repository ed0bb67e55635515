"""The rows of a list of interactions -> statements, one a row: what two drugs, or classes of them, do to each other, as
the list says it.

https://hl7.org/fhir/R5/clinicalusedefinition.html: one side is the subject, a Medication at the level that the list
speaks of; the other is the interactant, a concept. R5 has no element for the severity of an interaction
(https://hl7.org/fhir/R5/detectedissue.html has one for what is detected), nor for the source of a statement:
extensions of the content's own hold them, see `apothecary.fhir.statements`.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Places
from dataclasses import dataclass, field
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.fhir.statements import SEVERITIES, SEVERITY, SEVERITY_EXTENSION, SOURCE_EXTENSION
from apothecary.importers.report import Place
from apothecary.importers.table.cells import Cell, Row, folded
from apothecary.importers.table.mapping import CODES, INTERACTANT, SUBJECT, Column
from apothecary.importers.table.rows import Rows

_STATUS = "http://hl7.org/fhir/publication-status"
# What the words for the status of a drug are for a statement.
_STATUSES = {"active": "active", "inactive": "retired", "entered-in-error": "retired"}
# What a statement has once.
_SINGLE = ("type", "effect", "incidence", "severity", "status")


@dataclass(slots=True)
class Interaction:
    """A statement: the texts of its row, where it stands, both sides, and what is said."""

    key: tuple[str, ...]
    place: Place
    subjects: list[JSON] = field(default_factory=list)
    interactants: list[JSON] = field(default_factory=list)
    single: dict[str, Any] = field(default_factory=dict)
    several: dict[str, list[Any]] = field(default_factory=dict)


class InteractionRows(Rows[Interaction]):
    """Makes statements of the rows of one table."""

    things = "interactions"

    def _key(self, places: Places[str, int]) -> list[int]:
        """All columns: a list that says two things of one pair says both, and the same row twice says it once."""
        return [*places.values()]

    def open(self, key: tuple[str, ...], place: Place) -> Interaction:
        """See Rows."""
        return Interaction(key, place)

    def keyless(self, key: list[Cell]) -> bool:
        """See Rows: whether there are two sides is known when the row has been read."""
        return False

    def _read(self, row: Row, item: Interaction) -> None:
        subjects: dict[int, JSON] = {}
        interactants: dict[int, JSON] = {}
        for cells in (self.filled_cells(row), self.constant_cells(row)):
            for cell, column, place in cells:
                side = subjects if column.element in SUBJECT else interactants
                for number, text in enumerate(self.reader.items(cell, column, place), column.number):
                    if column.element in SUBJECT | INTERACTANT:
                        self._side(cell, text, column, place, side.setdefault(number, {}))
                    else:
                        self._take(cell, text, column, place, item)
        for found, known in ((subjects, item.subjects), (interactants, item.interactants)):
            sides = [_ordered(one) for _, one in sorted(found.items()) if one]
            known += [one for one in sides if one not in known]
        self.nameless(row)

    def _side(self, cell: Cell, text: str, column: Column, place: Place, side: JSON) -> None:
        """One more name, or code, of a drug."""
        if column.element in CODES:
            code = self.reader.code(cell, text, column, place)
            concept: JSON | None = None if code is None else {"coding": [{"system": column.system, "code": code}]}
        else:
            concept = self.reader.concept(cell, text, column, place)
            if concept is not None:
                side.setdefault("text", concept.get("text", text))
        if concept is not None and "coding" in concept:
            known = side.setdefault("coding", [])
            known += [one for one in concept["coding"] if one not in known]

    def _take(self, cell: Cell, text: str, column: Column, place: Place, item: Interaction) -> None:
        """What is said of both."""
        reader, element = self.reader, column.element
        value: Any
        match element:
            case "status":
                value = reader.status(text, column, place)
            case "severity":
                value = self._severity(cell, text, column, place)
            case "type" | "effect" | "incidence" | "management":
                value = reader.concept(cell, text, column, place)
            case "identifier":
                code = reader.code(cell, text, column, place)
                value = None if code is None else {"system": column.system, "value": code}
            case _:
                value = reader.word(text, column, place)
        if value is not None:
            self._say(item, element, value, place)

    def _say(self, item: Interaction, element: str, value: Any, place: Place) -> None:
        if element not in _SINGLE:
            known = item.several.setdefault(element, [])
            if value not in known:
                known.append(value)
        elif item.single.setdefault(element, value) != value:
            self.report.skipped(place, f"says another {element} of the same interaction; the first is taken")

    def _severity(self, cell: Cell, text: str, column: Column, place: Place) -> JSON | None:
        """The word of the list, with the code of FHIR that the mapping gives it."""
        if column.values is None and column.system is None:
            if folded(text) in SEVERITIES:
                return {"coding": [{"system": SEVERITY, "code": folded(text)}], "text": text}
            self.report.approximated(place, f"{text!r} is not {', '.join(SEVERITIES)}: it stands as text")
            return {"text": text}
        concept = self.reader.concept(cell, text, column, place)
        if concept is not None and "coding" in concept:
            concept["coding"] = [{"system": SEVERITY, **one} for one in concept["coding"]]
            concept.setdefault("text", text)
        return concept

    def resources(self, item: Interaction) -> Iterator[JSON]:
        """The statement, and before it the Medication of each subject that is new."""
        if not item.subjects or not item.interactants:
            lacking = "subject" if not item.subjects else "interactant"
            self.report.skipped(item.place, f"has no {lacking}: an interaction has two sides")
            return
        subjects: list[JSON] = []
        names: list[str] = []
        for concept in item.subjects:
            name, codes = _name(concept), _codes(concept)
            key = (folded(name), *codes)
            identity = self.known.drugs.get(key)
            if identity is None:
                identity = self.known.drugs[key] = self.known.ids.next(self.prefix, _short(concept))
                yield {"resourceType": "Medication", "id": identity, "code": concept}
            subjects.append({"reference": f"Medication/{identity}", "display": name})
            names.append(_short(concept))
        identifiers = item.several.get("identifier", [])
        names += [_short(one) for one in item.interactants]
        parts = [identifiers[0]["value"]] if identifiers else names
        yield self._statement(item, self.known.ids.next(self.prefix, "interaction", *parts), subjects, identifiers)

    def _statement(self, item: Interaction, identity: str, subjects: list[JSON], identifiers: list[JSON]) -> JSON:
        said, extensions = item.single, []
        if "severity" in said:
            extensions.append({"url": SEVERITY_EXTENSION, "valueCodeableConcept": said["severity"]})
        extensions += [{"url": SOURCE_EXTENSION, "valueRelatedArtifact": one} for one in _sources(item.several)]
        status = {"coding": [{"system": _STATUS, "code": _STATUSES[said.get("status", "active")]}]}
        interaction: JSON = {
            "interactant": [{"itemCodeableConcept": one} for one in item.interactants],
            "type": said.get("type"),
            "effect": {"concept": said["effect"]} if "effect" in said else None,
            "incidence": said.get("incidence"),
            "management": item.several.get("management"),
        }
        made: JSON = {
            "resourceType": "ClinicalUseDefinition",
            "id": identity,
            "extension": extensions,
            "identifier": identifiers,
            "type": "interaction",
            "subject": subjects,
            "status": status,
            "interaction": {name: one for name, one in interaction.items() if one},
        }
        return {name: one for name, one in made.items() if one}


def _sources(several: dict[str, list[Any]]) -> Iterator[JSON]:
    """Where the statement comes from: the words and the address that stand in the same place belong together."""
    words, addresses = several.get("source", []), several.get("source address", [])
    for place in range(max(len(words), len(addresses))):
        made: JSON = {"type": "citation"}
        if place < len(words):
            made["citation"] = words[place]
        if place < len(addresses):
            made["document"] = {"url": addresses[place]}
        yield made


def _ordered(concept: JSON) -> JSON:
    """A concept, its codes first, wherever its columns stand."""
    return {name: concept[name] for name in ("coding", "text") if name in concept}


def _codes(concept: JSON) -> list[str]:
    return [f"{one.get('system')}|{one.get('code')}" for one in concept.get("coding", ())]


def _short(concept: JSON) -> str:
    """What an id has of a side: its first code, or its name."""
    return next((str(one["code"]) for one in concept.get("coding", ()) if "code" in one), folded(_name(concept)))


def _name(concept: JSON) -> str:
    return str(concept.get("text") or next((one.get("code") for one in concept.get("coding", ())), ""))
