"""CodeSystem resources, and the specification's tables, as code systems: https://hl7.org/fhir/R5/codesystem.html"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from apothecary.fhir import code_forms
from apothecary.fhir import terminology as tables
from apothecary.terminology.code_systems import CONCEPT_PROPERTIES, CodeSystem, standard_name
from apothecary.terminology.model import Concept, Designation, Property, PropertyDefinition, designations, objects
from apothecary.terminology.publication import publication

Parents = dict[str, dict[str, None]]


def code_system(resource: Mapping[str, Any]) -> CodeSystem:
    """A CodeSystem resource, of any FHIR version. What it nests stands below what it is nested in; of two concepts
    with one code the first counts.
    """
    properties = {one.code: one for one in _definitions(resource)}
    meaning = {
        one.code: standard_name(one.uri.removeprefix(CONCEPT_PROPERTIES))
        for one in properties.values()
        if one.uri.startswith(CONCEPT_PROPERTIES)
    }
    concepts: dict[str, Concept] = {}
    parents: Parents = {}
    for element, above in _nested(resource):
        code = element.get("code")
        if not isinstance(code, str):
            continue
        if above is not None:
            parents.setdefault(code, {})[above] = None
        kept = []
        for one in objects(element.get("property")):
            found = _property(one)
            if found is None:
                continue
            name = meaning.get(found.code) or ("" if found.code in properties else standard_name(found.code))
            if name == "parent":
                parents.setdefault(code, {})[found.text] = None
            elif name == "child":
                parents.setdefault(found.text, {})[code] = None
            else:
                kept.append(found)
        if code not in concepts:
            concepts[code] = Concept(
                code,
                _text(element, "display"),
                _text(element, "definition"),
                designations(element),
                tuple(kept),
                tuple(objects(element.get("extension"))),
            )
    url = _text(resource, "url")
    # Where nobody says what a code stands below, its form does.
    parents = {code: {above: None} for code, above in code_forms.edges(url, concepts)} | parents
    sensitive = resource.get("caseSensitive")
    return CodeSystem(
        url,
        _optional(resource, "version"),
        concepts,
        {code: tuple(above) for code, above in parents.items()},
        name=_optional(resource, "name"),
        language=_text(resource, "language"),
        case_sensitive=sensitive if isinstance(sensitive, bool) else None,
        content=_text(resource, "content") or "complete",
        properties=properties,
        value_set=_optional(resource, "valueSet"),
        supplemented=_optional(resource, "supplements"),
        publication=publication(resource),
    )


def from_tables(system: tables.CodeSystem) -> CodeSystem:
    """A code system that the specification publishes: its tables hold neither definitions nor designations."""
    said: dict[str, list[Property]] = {}
    for name, by_code in system.properties.items():
        for code, values in by_code.items():
            said.setdefault(code, []).extend(Property(name, _kind(one), _typed(one)) for one in values)
    concepts = {
        code: Concept(code, display, properties=tuple(said.get(code, ()))) for code, display in system.concepts.items()
    }
    return CodeSystem(
        system.url,
        system.version,
        concepts,
        system.parents,
        language="en",
        case_sensitive=system.case_sensitive,
        content=system.content,
    )


def supplemented(system: CodeSystem, supplement: CodeSystem) -> CodeSystem:
    """`system` with what a supplement adds: designations, properties, extensions. A supplement adds no codes and
    changes no meaning (https://hl7.org/fhir/R5/codesystem.html#supplements).
    """
    concepts = dict(system.concepts)
    for code, added in supplement.concepts.items():
        base = system.find(code)
        if base is None:
            continue
        named = (Designation(added.display, supplement.language),) if added.display else ()
        further = tuple(
            msgspec.structs.replace(one, source=supplement.canonical) for one in (*named, *added.designations)
        )
        concepts[base.code] = Concept(
            base.code,
            base.display,
            base.definition,
            base.designations + further,
            base.properties + added.properties,
            base.extensions + added.extensions,
        )
    properties = {**supplement.properties, **system.properties}
    return system.extended(concepts, properties, (*system.supplements, supplement.canonical))


def _nested(resource: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str | None]]:
    """Each concept with the code that it is nested in; a parent comes before what it holds."""
    waiting: list[tuple[Mapping[str, Any], str | None]] = [(one, None) for one in objects(resource.get("concept"))]
    waiting.reverse()
    while waiting:
        element, above = waiting.pop()
        yield element, above
        inner = [(one, element.get("code")) for one in objects(element.get("concept"))]
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


def _kind(text: str) -> str:
    return "Boolean" if text in ("true", "false") else "Code"


def _typed(text: str) -> bool | str:
    return text == "true" if text in ("true", "false") else text
