"""A resource as FHIR XML: https://hl7.org/fhir/R5/xml.html

Elements stand in the order of the specification, digits as they are. What the element tables do not know has no place,
and is never left out without a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from apothecary.content.xhtml import numbered
from apothecary.fhir.definitions import Definitions, Property

FHIR = "http://hl7.org/fhir"

# https://www.w3.org/TR/xml/#charsets
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class NoXml(ValueError):
    """A resource has something that XML has no place for; the message says what and where."""


def resource_xml(value: dict[str, Any], known: Definitions, *, indented: bool = True) -> str:
    """The document of a resource, indented by two spaces or in one line. Raises NoXml."""
    step, end = ("  ", "\n") if indented else ("", "")
    writer = _Writer(known, step)
    lines = writer.resource(value, "", "", f" xmlns={quoteattr(FHIR)}")
    text = end.join(('<?xml version="1.0" encoding="UTF-8"?>', *lines)) + end
    if (found := _NO_CHARACTER.search(text)) is not None:
        raise NoXml(f"a text holds the character U+{ord(found[0]):04X}, which no XML may hold")
    return text


class _Writer:
    """Walks a resource beside the element tables. What is nested too deep was refused when the resource was read."""

    def __init__(self, known: Definitions, step: str) -> None:
        self.known = known
        self.step = step

    def resource(self, value: Any, path: str, indent: str, namespace: str = "") -> Iterator[str]:
        name = value.get("resourceType") if isinstance(value, dict) else None
        if not isinstance(name, str) or not self.known.is_resource_type(name):
            raise NoXml(f"{path or 'the resource'} is of no known type")
        yield f"{indent}<{name}{namespace}>"
        yield from self.children(value, name, path or name, indent + self.step, ("resourceType",))
        yield f"{indent}</{name}>"

    def children(
        self, value: dict[str, Any], structure: str, path: str, indent: str, done: tuple[str, ...]
    ) -> Iterator[str]:
        """The elements of `value` in their order, without those that are `done`. What is left then has no place."""
        left = set(value).difference(done)
        for name, found in self.known.structure(structure).properties.items():
            if not left:
                return
            if name in done or not (name in left or f"_{name}" in left):
                continue
            left.difference_update((name, f"_{name}"))
            values, companions = (
                each if isinstance(each, list) else [each] for each in (value.get(name), value.get(f"_{name}"))
            )
            for index in range(max(len(values), len(companions))):
                item = values[index] if index < len(values) else None
                companion = companions[index] if index < len(companions) else None
                if item is not None or companion is not None:
                    yield from self.element(name, found, item, companion or {}, f"{path}.{name}", indent)
        if left:
            raise NoXml(f"{path} has {', '.join(map(repr, sorted(left)))}, which its type does not have")

    def element(self, name: str, found: Property, item: Any, companion: Any, path: str, indent: str) -> Iterator[str]:
        if found.type == "xhtml" and isinstance(item, str):
            yield indent + _narrative(item, path)
        elif found.type == "Resource":
            yield f"{indent}<{name}>"
            yield from self.resource(item, path, indent + self.step)
            yield f"{indent}</{name}>"
        elif isinstance(item, dict) and found.structure:
            attributes = ("id", "url") if found.structure == "Extension" else ("id",)
            inner = self.children(item, found.structure, path, indent + self.step, attributes)
            yield from self.closed(name, _attributes(item, attributes, path), inner, indent)
        elif isinstance(item, dict | list) or not isinstance(companion, dict):
            raise NoXml(f"{path} has not the form of a {found.type}")
        else:
            literal = {True: "true", False: "false"}[item] if isinstance(item, bool) else str(item)
            opening = _attributes(companion, ("id",), path)
            opening += f" value={quoteattr(literal)}" if item is not None else ""
            inner = self.children(companion, found.structure or "Element", path, indent + self.step, ("id",))
            yield from self.closed(name, opening, inner, indent)

    def closed(self, name: str, opening: str, inner: Iterator[str], indent: str) -> Iterator[str]:
        lines = list(inner)
        if not lines:
            yield f"{indent}<{name}{opening}/>"
            return
        yield f"{indent}<{name}{opening}>"
        yield from lines
        yield f"{indent}</{name}>"


def _attributes(value: dict[str, Any], names: tuple[str, ...], path: str) -> str:
    found = ""
    for key in names:
        if key in value:
            if not isinstance(value[key], str):
                raise NoXml(f"{path}.{key} is no text")
            found += f" {key}={quoteattr(value[key])}"
    return found


def _narrative(div: str, path: str) -> str:
    """The element of a narrative, which stands in the document as it is, if it is one."""
    text = numbered(div).strip()
    try:
        expat.ParserCreate().Parse(text, True)
    except expat.ExpatError as error:
        raise NoXml(f"{path} is no XHTML: {error}") from None
    if not text.startswith("<div"):
        raise NoXml(f"{path} is no div")
    return text
