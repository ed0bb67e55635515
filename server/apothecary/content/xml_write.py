"""A resource as FHIR XML: https://hl7.org/fhir/R5/xml.html

Elements stand in the order of the specification, digits as they are. What the element tables do not know has no place:
whoever writes a file reads it back and compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import quoteattr

from apothecary.content.xhtml import numbered
from apothecary.fhir.definitions import Definitions

FHIR = "http://hl7.org/fhir"
_STEP = "  "


def resource_xml(value: dict[str, Any], known: Definitions) -> str:
    """The document of a resource, indented by two spaces."""
    lines = _resource(value, known, "", f" xmlns={quoteattr(FHIR)}")
    return "\n".join(('<?xml version="1.0" encoding="UTF-8"?>', *lines)) + "\n"


def _resource(value: dict[str, Any], known: Definitions, indent: str, namespace: str = "") -> Iterator[str]:
    name = value["resourceType"]
    yield f"{indent}<{name}{namespace}>"
    yield from _children(value, name, known, indent + _STEP)
    yield f"{indent}</{name}>"


def _children(
    value: dict[str, Any], structure: str, known: Definitions, indent: str, attributes: tuple[str, ...] = ()
) -> Iterator[str]:
    for name, found in known.structure(structure).properties.items():
        if name in attributes:
            continue
        values, companions = (
            each if isinstance(each, list) else [each] for each in (value.get(name), value.get(f"_{name}"))
        )
        for index in range(max(len(values), len(companions))):
            item = values[index] if index < len(values) else None
            companion = companions[index] if index < len(companions) else None
            if item is not None or companion is not None:
                yield from _element(name, found.type, found.structure, item, companion or {}, known, indent)


def _element(
    name: str, type_code: str, structure: str, item: Any, companion: dict[str, Any], known: Definitions, indent: str
) -> Iterator[str]:
    if type_code == "xhtml":
        yield indent + numbered(item)
    elif type_code == "Resource":
        yield f"{indent}<{name}>"
        yield from _resource(item, known, indent + _STEP)
        yield f"{indent}</{name}>"
    elif isinstance(item, dict):
        attributes = ("id", "url") if structure == "Extension" else ("id",)
        opening = "".join(f" {key}={quoteattr(item[key])}" for key in attributes if key in item)
        yield from _closed(name, opening, _children(item, structure, known, indent + _STEP, attributes), indent)
    else:
        literal = {True: "true", False: "false"}[item] if isinstance(item, bool) else str(item)
        opening = f" id={quoteattr(companion['id'])}" if "id" in companion else ""
        opening += f" value={quoteattr(literal)}" if item is not None else ""
        yield from _closed(name, opening, _children(companion, structure, known, indent + _STEP, ("id",)), indent)


def _closed(name: str, opening: str, inner: Iterator[str], indent: str) -> Iterator[str]:
    lines = list(inner)
    if not lines:
        yield f"{indent}<{name}{opening}/>"
        return
    yield f"{indent}<{name}{opening}>"
    yield from lines
    yield f"{indent}</{name}>"
