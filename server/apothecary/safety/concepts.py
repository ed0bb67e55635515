"""Concepts and references as statements and drugs name each other by them, in the shapes of every release.

https://hl7.org/fhir/R5/datatypes.html#CodeableConcept and https://hl7.org/fhir/R5/references.html#CodeableReference
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from apothecary.fhir.json import JSON
from apothecary.fhir.references import parse_reference
from apothecary.safety.asked import Code

EXTENSION = "https://example.org/fhir/StructureDefinition/"
RELATIONSHIP = EXTENSION + "code-relationship"
MEMBER_OF = EXTENSION + "member-of"
# https://hl7.org/fhir/R5/valueset-concept-map-relationship.html, of the text to the code.
BROADER, APPROXIMATE = "source-is-narrower-than-target", "related-to"
_SAID = {
    BROADER: "the code is broader than the text",
    "source-is-broader-than-target": "the code is narrower than the text",
    APPROXIMATE: "the code is approximate",
}

Key = tuple[str, str]
"""A code as the index compares codes: its system and one of its forms."""
Node = Key | str
"""What names a drug: a code, or `Type/id` of a resource."""
Keys = Callable[[str, str], Sequence[Key]]
"""Gives the keys of a system and code: several where the way it is written leaves several."""


class Coded(msgspec.Struct, frozen=True, gc=False):
    """A coding, its keys, and what is said of how it relates to the text; empty where they are the same."""

    coding: Code
    keys: tuple[Key, ...]
    relationship: str = ""

    @property
    def label(self) -> str:
        """The display with the code."""
        return f"{self.coding.display} ({self.coding})" if self.coding.display else str(self.coding)

    @property
    def remark(self) -> str:
        """What must be said when it is used; empty where nothing must."""
        return _SAID.get(self.relationship, "")


class Concept(msgspec.Struct, frozen=True, gc=False):
    """What an element names: by codes, by a reference, as any member of a value set, or in words alone."""

    codes: tuple[Coded, ...] = ()
    text: str = ""
    reference: str = ""
    value_sets: tuple[str, ...] = ()
    """Any member of one of them is meant."""
    routes: tuple[Concept, ...] = ()
    """The routes by which it is meant; any, where there is none."""

    @property
    def label(self) -> str:
        """What to call it."""
        displays = [one.coding.display for one in self.codes if one.coding.display]
        codes = [str(one.coding) for one in self.codes]
        return next(iter([*filter(None, [self.text]), *displays, *codes, *filter(None, [self.reference])]), "")

    @property
    def nodes(self) -> list[Node]:
        """What it names by itself, the reference first."""
        keys: list[Node] = [key for one in self.codes for key in one.keys]
        return [self.reference, *keys] if self.reference else keys

    @property
    def comparable(self) -> bool:
        """Whether anything but words names it."""
        return bool(self.codes or self.reference or self.value_sets)

    def __bool__(self) -> bool:
        return self.comparable or bool(self.text)


NOTHING = Concept()


def items(value: Any) -> list[JSON]:
    """The objects of a list; nothing where it is none."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def texted(value: Any) -> str:
    """A text, empty where it is none."""
    return value.strip() if isinstance(value, str) else ""


def extensions(node: Any, url: str) -> list[Any]:
    """The values of the extensions of a url."""
    if not isinstance(node, dict) or "extension" not in node:
        return []
    found = (one for one in items(node["extension"]) if one.get("url") == url)
    return [value for one in found for name, value in one.items() if name.startswith("value")]


def codings(concept: Any, keys: Keys) -> Iterator[Coded]:
    """The codings of a CodeableConcept that have a system and a code; without a system a code means nothing."""
    for one in items(concept.get("coding") if isinstance(concept, dict) else None):
        system, code = texted(one.get("system")), texted(one.get("code"))
        if system and code:
            relationship = next((said for said in extensions(one, RELATIONSHIP) if isinstance(said, str)), "")
            yield Coded(Code(system, code, texted(one.get("display"))), tuple(keys(system, code)), relationship)


def concept(value: Any, keys: Keys) -> Concept:
    """A CodeableConcept."""
    if not isinstance(value, dict):
        return NOTHING
    sets = tuple(one for one in extensions(value, MEMBER_OF) if isinstance(one, str))
    return Concept(tuple(codings(value, keys)), texted(value.get("text")), value_sets=sets)


def pointed(value: Any) -> Concept:
    """A Reference: `Type/id` where it points to this server, else what it displays."""
    if not isinstance(value, dict):
        return NOTHING
    literal = texted(value.get("reference"))
    reference = parse_reference(literal)
    local = f"{reference.type}/{reference.id}" if reference.relative else literal
    return Concept(text=texted(value.get("display")), reference=local)


def either(node: Any, name: str, keys: Keys) -> Concept:
    """An element that is a CodeableReference in R5, and a choice of a concept and a reference in other releases."""
    if not isinstance(node, dict):
        return NOTHING
    value = node.get(name)
    if value is None and not any(one.startswith(name) for one in node):
        return NOTHING
    if isinstance(value, dict) and ("concept" in value or "reference" in value) and "coding" not in value:
        if isinstance(value.get("reference"), str):
            return pointed(value)
        said, points = concept(value.get("concept"), keys), pointed(value.get("reference"))
        return Concept(said.codes, said.text or points.text, points.reference, said.value_sets)
    if isinstance(value, dict):
        return concept(value, keys)
    for suffix in ("CodeableConcept", "Concept"):
        if isinstance(node.get(name + suffix), dict):
            return concept(node[name + suffix], keys)
    return pointed(node.get(f"{name}Reference"))
