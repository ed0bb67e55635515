"""FHIR XML -> the JSON form, with positions: https://hl7.org/fhir/R5/xml.html

The element tables say what is a list, a primitive or a resource. What XML alone can get wrong (order, namespaces,
attributes, text) is told here; everything else stays in the value, for validation to judge.
"""

from __future__ import annotations

from typing import Any

from apothecary.content.documents import Document, PlacedIssue, Pointer, RecordedPositions, reading_issue
from apothecary.content.literals import typed
from apothecary.content.xhtml import XHTML, xhtml_text
from apothecary.content.xml_tree import Node, Unreadable, parse_xml
from apothecary.fhir.definitions import Definitions, Property, definitions
from apothecary.fhir.releases import FhirVersion

FHIR = "http://hl7.org/fhir"
_SCHEMA_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"


def read_xml(file: str, text: str, version: FhirVersion = FhirVersion.R5) -> Document:
    """The document that `text` writes. Never raises: what is wrong with the text becomes issues."""
    try:
        root = parse_xml(text)
    except Unreadable as error:
        placed = PlacedIssue(reading_issue(error.rule, error.message, error.remedy), *error.place)
        return Document(file, text, "xml", None, RecordedPositions({(): error.place}), (placed,), False)
    converter = _Converter(definitions(version))
    value = converter.resource(root, ())
    issues = sorted(converter.issues, key=lambda placed: (placed.line, placed.column))
    return Document(file, text, "xml", value, RecordedPositions(converter.places), tuple(issues))


class _Converter:
    """Walks the tree beside the element tables; the depth of the tree is limited, so it may recurse."""

    def __init__(self, known: Definitions) -> None:
        self.known = known
        self.places: dict[Pointer, tuple[int, int]] = {}
        self.issues: list[PlacedIssue] = []

    def resource(self, node: Node, pointer: Pointer) -> dict[str, Any]:
        """A resource, whose element is named by its type."""
        self.places.setdefault(pointer, node.place)
        self.check_namespace(node)
        structure = node.name if self.known.is_resource_type(node.name) else None
        value = {"resourceType": node.name}
        self.attributes(node, ())
        self.children(node, structure, pointer, value)
        return value

    def children(self, node: Node, structure: str | None, pointer: Pointer, value: dict[str, Any]) -> None:
        """Put the child elements of `node` into `value`; those of one name form a list where the tables say so."""
        properties = self.known.structure(structure).properties if structure else {}
        attributes = () if structure is None or structure == node.name else _attributes_of(structure)
        self.check_order(node, properties)
        for child in self.elements(node):
            found = properties.get(child.name)
            if found is not None and found.type == "xhtml":
                self.places[(*pointer, child.name)] = child.place
                self.check_namespace(child, XHTML)
                value[child.name] = xhtml_text(child)
                continue
            self.check_namespace(child)
            if found is None:
                self.unknown(child, pointer, value)
            elif child.name in attributes:
                said = f"{child.name!r} is an attribute in XML, not an element."
                self.report("xml-unexpected", said, child, f'Write {child.name}="…" on <{node.name}>.')
            else:
                self.element(child, found, pointer, value)

    def element(self, node: Node, found: Property, pointer: Pointer, value: dict[str, Any]) -> None:
        """Put one known element into `value`."""
        name = node.name
        earlier = value.get(name, value.get(f"_{name}"))
        at: Pointer = (*pointer, name)
        if found.element.is_list:
            at = (*at, len(earlier) if earlier else 0)
        elif earlier is not None:
            said = f"The element <{name}> stands twice, and may stand once."
            self.report("xml-repeated-element", said, node, "Keep one of the two.")
        self.places.setdefault((*pointer, name), node.place)
        self.places[at] = node.place
        if self.known.structure(found.structure).kind == "primitive-type":
            self.primitive(node, found, at, value)
            return
        if found.type == "Resource":
            converted = self.wrapped(node, at)
        else:
            converted = self.attributes(node, _attributes_of(found.structure))
            self.children(node, found.structure, at, converted)
        if found.element.is_list:
            value.setdefault(name, []).append(converted)
        else:
            value[name] = converted

    def primitive(self, node: Node, found: Property, at: Pointer, value: dict[str, Any]) -> None:
        """Put the value under its name, and its id and extensions under `_name`.

        In lists nulls keep the two aligned.
        """
        companion = self.attributes(node, ("id", "value"))
        literal = companion.pop("value", None)
        converted = None if literal is None else typed(literal, found.type)
        self.children(node, found.structure, at, companion)
        name, twin = node.name, f"_{node.name}"
        # An element with neither value nor children becomes a null, which validation refuses: it is not dropped.
        empty = converted is None and not companion
        if not found.element.is_list:
            if converted is not None or empty:
                value[name] = converted
            if companion:
                value[twin] = companion
                self.places[(*at[:-1], twin)] = node.place
            return
        index = len(value.get(name, value.get(twin, ())))
        _align(value, name, index, converted, start=empty)
        _align(value, twin, index, companion or None)
        if companion:
            self.places[(*at[:-2], twin, index)] = node.place

    def wrapped(self, node: Node, at: Pointer) -> dict[str, Any]:
        """The resource in `contained`, `Bundle.entry.resource` and their like."""
        self.attributes(node, ())
        children = self.elements(node)
        for extra in children[1:]:
            self.report("xml-repeated-element", f"The element <{node.name}> holds one resource.", extra, "Repeat it.")
        return self.resource(children[0], at) if children else {}

    def unknown(self, node: Node, pointer: Pointer, value: dict[str, Any]) -> None:
        """Keep an element that the tables do not know, in the likeliest shape: validation refuses it at its place."""
        at = (*pointer, node.name)
        self.places.setdefault(at, node.place)
        literals = [text for namespace, name, text in node.attributes if name == "value" and not namespace]
        if literals:
            value[node.name] = literals[0]
        else:
            inner: dict[str, Any] = {}
            self.children(node, None, at, inner)
            value[node.name] = inner

    def attributes(self, node: Node, allowed: tuple[str, ...]) -> dict[str, Any]:
        """The attributes that FHIR gives a meaning; any other is reported."""
        found = {}
        for namespace, name, text in node.attributes:
            if not namespace and name in allowed:
                found[name] = text
            elif namespace != _SCHEMA_INSTANCE:
                said = f"The attribute {name!r} means nothing on the element <{node.name}>."
                self.report("xml-unexpected", said, node, "Remove it; values of complex types stand in child elements.")
        return found

    def elements(self, node: Node) -> list[Node]:
        """The child elements; text between them is reported."""
        for part in node.content:
            if isinstance(part, str) and part.strip():
                said = f"The element <{node.name}> holds the text {part.strip()[:40]!r}."
                self.report("xml-unexpected", said, node, 'Values stand in an attribute: value="…".')
        return [part for part in node.content if not isinstance(part, str)]

    def check_order(self, node: Node, properties: Any) -> None:
        """Report the first child that stands after one that should follow it."""
        ranks = {name: rank for rank, name in enumerate(properties)}
        highest, highest_name = -1, ""
        for child in node.content:
            if isinstance(child, str) or child.name not in ranks:
                continue
            if ranks[child.name] < highest:
                said = f"The element <{child.name}> comes after <{highest_name}>, which should follow it."
                self.report("xml-element-order", said, child, "XML wants the order of the specification.")
                return
            highest, highest_name = ranks[child.name], child.name

    def check_namespace(self, node: Node, expected: str = FHIR) -> None:
        if node.namespace != expected:
            found = f"the namespace {node.namespace!r}" if node.namespace else "no namespace"
            said = f"The element <{node.name}> is in {found}."
            self.report("xml-namespace", said, node, f'It belongs into xmlns="{expected}".')

    def report(self, rule: str, message: str, node: Node, remedy: str) -> None:
        self.issues.append(PlacedIssue(reading_issue(rule, message, remedy, fatal=False), *node.place))


def _attributes_of(structure: str) -> tuple[str, ...]:
    """What XML writes as attributes of an element with that structure; a resource has none."""
    return ("id", "url") if structure == "Extension" else ("id",)


def _align(value: dict[str, Any], name: str, index: int, item: Any, *, start: bool = False) -> None:
    """Append `item` as number `index` to the list `name`, made at its first item that is not null, or by `start`."""
    if name in value:
        value[name].append(item)
    elif item is not None or start:
        value[name] = [None] * index + [item]
