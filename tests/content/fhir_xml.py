"""Writes a resource as FHIR XML, straight from the rules of the page: the readers' tests read it back.

https://hl7.org/fhir/R5/xml.html
"""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import quoteattr

from apothecary.fhir.definitions import Definitions


def resource_xml(value: dict[str, Any], known: Definitions) -> str:
    """The document of a resource, elements in the order of the specification."""
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{_resource(value, known, ' xmlns=' + quoteattr('http://hl7.org/fhir'))}"


def _resource(value: dict[str, Any], known: Definitions, namespace: str = "") -> str:
    name = value["resourceType"]
    return f"<{name}{namespace}>\n{_children(value, name, known)}</{name}>"


def _children(value: dict[str, Any], structure: str, known: Definitions, skipped: tuple[str, ...] = ()) -> str:
    written = []
    for name, found in known.structure(structure).properties.items():
        if name in skipped:
            continue
        values, twins = (
            each if isinstance(each, list) else [each] for each in (value.get(name), value.get(f"_{name}"))
        )
        for index in range(max(len(values), len(twins))):
            item = values[index] if index < len(values) else None
            twin = twins[index] if index < len(twins) else None
            if item is not None or twin is not None:
                written.append(_element(name, found.type, found.structure, item, twin or {}, known))
    return "".join(written)


def _element(name: str, type_code: str, structure: str, item: Any, twin: dict[str, Any], known: Definitions) -> str:
    if type_code == "xhtml":
        return f"{item}\n"
    if type_code == "Resource":
        return f"<{name}>{_resource(item, known)}</{name}>\n"
    if isinstance(item, dict):
        attributes = ("id", "url") if structure == "Extension" else ("id",)
        opening = "".join(f" {key}={quoteattr(item[key])}" for key in attributes if key in item)
        return f"<{name}{opening}>\n{_children(item, structure, known, attributes)}</{name}>\n"
    literal = {True: "true", False: "false"}[item] if isinstance(item, bool) else str(item)
    opening = f" id={quoteattr(twin['id'])}" if "id" in twin else ""
    opening += f" value={quoteattr(literal)}" if item is not None else ""
    return f"<{name}{opening}>{_children(twin, structure, known, ('id',))}</{name}>\n"
