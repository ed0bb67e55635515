"""Who a label is from, and who makes, packs or tests what it is of: https://hl7.org/fhir/R5/organization.html"""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.content.xml_tree import Node
from apothecary.fhir.json import JSON
from apothecary.importers.ids import stable_id
from apothecary.importers.labels.record import Section
from apothecary.importers.labels.xhtml import element
from apothecary.importers.spl.tree import OID, Reader, child, children, value_of, words

# D-U-N-S numbers: https://terminology.hl7.org/NamingSystem-DUNS.html
_DUNS = "1.3.6.1.4.1.519.1"
_ORGANIZATION = frozenset({"id", "name", "assignedEntity"})
_ENTITY = frozenset({"assignedOrganization", "performance"})


def labeler(document: Node, reader: Reader) -> JSON | None:
    """The Organization that the label is from; None where it does not say."""
    node = child(document, "author", "assignedEntity", "representedOrganization")
    if node is None:
        return None
    reader.leftover(node, _ORGANIZATION)
    name = words(child(node, "name"))
    numbers = [
        {"system": f"urn:oid:{root}", "value": number}
        for one in children(node, "id")
        if OID.fullmatch(root := value_of(one, "root")) and (number := value_of(one, "extension"))
    ]
    if not name and not numbers:
        return None
    duns = next((one["value"] for one in numbers if one["system"] == f"urn:oid:{_DUNS}"), "")
    found: JSON = {"resourceType": "Organization", "id": stable_id("spl", *([duns] if duns else ["labeler", name]))}
    if numbers:
        found["identifier"] = numbers
    found["active"] = True
    return {**found, "name": name} if name else found


def establishments(document: Node, reader: Reader) -> Section | None:
    """The other organizations of a label, with what they do, as a section with a list: no resource has a place for
    them.
    """
    author = child(document, "author")
    node = child(author, "assignedEntity", "representedOrganization")
    items = [element("li", [one]) for one in _under(node, reader)]
    if node is None or not items:
        return None
    reader.approximated(node, f"establishments stand as text: {len(items)}")
    return Section(reader.place(node), title="Establishments", body=[element("ul", items)])


def _under(node: Node | None, reader: Reader) -> Iterator[str]:
    for entity in children(node, "assignedEntity"):
        reader.leftover(entity, _ENTITY)
        acts = []
        for performance in children(entity, "performance"):
            for act in children(performance, "actDefinition"):
                code = child(act, "code")
                said = value_of(code, "displayName") or value_of(code, "code")
                of = [
                    value_of(child(one, "manufacturedProduct", "manufacturedMaterialKind", "code"), "code")
                    for one in children(act, "product")
                ]
                acts.append(f"{said} ({', '.join(filter(None, of))})" if any(of) else said)
        for organization in children(entity, "assignedOrganization"):
            numbers = [value_of(one, "extension") for one in children(organization, "id")]
            name = words(child(organization, "name"))
            who = " ".join(filter(None, [name, *(f"({one})" for one in numbers if one)]))
            done = ", ".join(filter(None, acts))
            if who:
                yield f"{who}: {done}" if done else who
            yield from _under(organization, reader)
