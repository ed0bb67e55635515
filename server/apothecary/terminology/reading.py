"""CodeSystem resources, and the specification's tables, as code systems: https://hl7.org/fhir/R5/codesystem.html"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, ValuesView
from typing import Any

import msgspec

from apothecary.fhir import code_forms
from apothecary.fhir import terminology as tables
from apothecary.terminology.code_systems import CONCEPT_PROPERTIES, CodeSystem, standard_name
from apothecary.terminology.model import Concept, Designation, Property, PropertyDefinition, designations, objects
from apothecary.terminology.publication import publication

Parents = dict[str, dict[str, None]]
# What the tables name by its code only: https://hl7.org/fhir/R5/valueset-designation-use.html
_USES = {
    code: {"system": system, "code": code}
    for system, code in (
        ("http://snomed.info/sct", "900000000000013009"),
        ("http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra", "preferredForLanguage"),
    )
}


def code_system(resource: Mapping[str, Any]) -> CodeSystem:
    """A CodeSystem resource, of any FHIR version. What it nests stands below what it is nested in; of two concepts
    with one code the first counts.
    """
    elements, parents = read(resource)
    reading = Elements(resource)
    concepts = {code: reading.concept(element) for code, element in elements.items()}
    return CodeSystem(_text(resource, "url"), _optional(resource, "version"), concepts, parents, **head(resource))


def head(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What a CodeSystem resource says besides its url, version and concepts, as `CodeSystem` takes it."""
    sensitive = resource.get("caseSensitive")
    return {
        "name": _optional(resource, "name"),
        "language": _text(resource, "language"),
        "case_sensitive": sensitive if isinstance(sensitive, bool) else None,
        "content": _text(resource, "content") or "complete",
        "properties": {one.code: one for one in _definitions(resource)},
        "value_set": _optional(resource, "valueSet"),
        "supplemented": _optional(resource, "supplements"),
        "publication": publication(resource),
    }


def read(resource: Mapping[str, Any]) -> tuple[dict[str, Mapping[str, Any]], dict[str, tuple[str, ...]]]:
    """The concepts of a CodeSystem resource as they were written, by code, and the parents of each code."""
    reading = Elements(resource)
    elements: dict[str, Mapping[str, Any]] = {}
    parents: Parents = {}
    for element, above in _nested(resource):
        code = element.get("code")
        if not isinstance(code, str):
            continue
        if above is not None:
            parents.setdefault(code, {})[above] = None
        for below, other in reading.edges(code, element):
            parents.setdefault(below, {})[other] = None
        elements.setdefault(code, element)
    # Where nobody says what a code stands below, its form does.
    edges = code_forms.edges(_text(resource, "url"), elements)
    parents = {code: {above: None} for code, above in edges} | parents
    return elements, {code: tuple(above) for code, above in parents.items()}


class Elements:
    """Reads the concept elements of one CodeSystem resource, which declares what its properties mean."""

    def __init__(self, resource: Mapping[str, Any]) -> None:
        self._properties = {one.code: one for one in _definitions(resource)}
        self._meaning = {
            one.code: standard_name(one.uri.removeprefix(CONCEPT_PROPERTIES))
            for one in self._properties.values()
            if one.uri.startswith(CONCEPT_PROPERTIES)
        }

    def _of_hierarchy(self, code: str) -> str | None:
        """`parent` or `child`, where a property means that."""
        name = self._meaning.get(code) or ("" if code in self._properties else standard_name(code))
        return name if name in ("parent", "child") else None

    def edges(self, code: str, element: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What the properties of a concept say of the hierarchy: a code, and one that it stands below."""
        for one in objects(element.get("property")):
            found = _property(one)
            name = None if found is None else self._of_hierarchy(found.code)
            if found is not None and name is not None:
                yield (code, found.text) if name == "parent" else (found.text, code)

    def concept(self, element: Mapping[str, Any]) -> Concept:
        """A concept without what it says of the hierarchy."""
        found = (_property(one) for one in objects(element.get("property")))
        kept = tuple(one for one in found if one is not None and self._of_hierarchy(one.code) is None)
        return Concept(
            element["code"],
            _text(element, "display"),
            _text(element, "definition"),
            designations(element),
            kept,
            tuple(objects(element.get("extension"))),
        )


def from_tables(system: tables.CodeSystem) -> CodeSystem:
    """A code system that the specification publishes: its tables hold no definitions."""
    said: dict[str, list[Property]] = {}
    for name, by_code in system.properties.items():
        for code, values in by_code.items():
            said.setdefault(code, []).extend(Property(name, _kind(one), _typed(one)) for one in values)
    concepts = {
        code: Concept(
            code,
            display,
            designations=tuple(_designation(one) for one in system.names.get(code, ())),
            properties=tuple(said.get(code, ())),
        )
        for code, display in system.concepts.items()
    }
    return CodeSystem(
        system.url,
        system.version,
        concepts,
        system.parents,
        language="en",
        case_sensitive=system.case_sensitive,
        content=system.content,
        value_set=system.value_set,
    )


def supplemented(system: CodeSystem, supplement: CodeSystem) -> CodeSystem:
    """`system` with what a supplement adds: designations, properties, extensions. A supplement adds no codes and
    changes no meaning (https://hl7.org/fhir/R5/codesystem.html#supplements).
    """
    properties = {**supplement.properties, **system.properties}
    names = (*system.supplements, supplement.canonical)
    return system.extended(_Laid(system, supplement), properties, names, supplement.used)


class _Laid(Mapping[str, Concept]):
    """The concepts of a code system with what a supplement says of them. Of a supplement that is held in a store each
    is looked up when it is asked for, by the code as the code system writes it.
    """

    def __init__(self, system: CodeSystem, supplement: CodeSystem) -> None:
        self._system = system
        self._supplement = supplement
        self._added: Mapping[str, Concept] = supplement.concepts
        if isinstance(supplement.concepts, dict):
            found = system.find_many(supplement.concepts)
            self._added = {one.code: supplement.concepts[code] for code, one in found if one is not None}

    def _merged(self, base: Concept) -> Concept:
        added = self._added.get(base.code)
        if added is None:
            return base
        named = (Designation(added.display, self._supplement.language),) if added.display else ()
        source = self._supplement.canonical
        further = tuple(msgspec.structs.replace(one, source=source) for one in (*named, *added.designations))
        return Concept(
            base.code,
            base.display,
            base.definition,
            base.designations + further,
            base.properties + added.properties,
            base.extensions + added.extensions,
        )

    def __getitem__(self, code: str) -> Concept:
        return self._merged(self._system.concepts[code])

    def __iter__(self) -> Iterator[str]:
        return iter(self._system.concepts)

    def __len__(self) -> int:
        return self._system.size

    def values(self) -> ValuesView[Concept]:
        return _LaidValues(self)

    def all(self) -> Iterator[Concept]:
        """All concepts in their order."""
        return map(self._merged, self._system.codes())


class _LaidValues(ValuesView[Concept]):
    """The concepts one after the other: to look each of them up would take longer."""

    def __init__(self, laid: _Laid) -> None:
        super().__init__(laid)
        self._laid = laid

    def __iter__(self) -> Iterator[Concept]:
        return self._laid.all()


def _nested(resource: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """Each concept with the code that it is nested in; a parent comes before what it holds."""
    waiting: list[tuple[Mapping[str, Any], str | None]] = [(one, None) for one in objects(resource.get("concept"))]
    waiting.reverse()
    while waiting:
        element, above = waiting.pop()
        yield element, above
        inner = [(one, _optional(element, "code")) for one in objects(element.get("concept"))]
        waiting.extend(reversed(inner))


def _definitions(resource: Mapping[str, Any]) -> Iterator[PropertyDefinition]:
    for one in objects(resource.get("property")):
        if isinstance(one.get("code"), str):
            yield PropertyDefinition(one["code"], _text(one, "uri"), _text(one, "type"))


def _property(element: Mapping[str, Any]) -> Property | None:
    code = element.get("code")
    for name, value in element.items():
        if name.startswith("value") and isinstance(code, str):
            return Property(code, name.removeprefix("value"), value)
    return None


def _text(owner: Mapping[str, Any], name: str) -> str:
    found = owner.get(name)
    return found if isinstance(found, str) else ""


def _optional(owner: Mapping[str, Any], name: str) -> str | None:
    return _text(owner, name) or None


def _designation(name: tables.Name) -> Designation:
    use = None if name.use is None else _USES.get(name.use, {"code": name.use})
    element = {"language": name.language or None, "use": use, "value": name.value}
    return Designation(name.value, name.language, use, {key: one for key, one in element.items() if one})


def _kind(text: str) -> str:
    return "Boolean" if text in ("true", "false") else "Code"


def _typed(text: str) -> bool | str:
    return text == "true" if text in ("true", "false") else text
