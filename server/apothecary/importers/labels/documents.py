"""A label as a document: a Composition of all sections, and a DocumentReference to the file that it was read from.
https://hl7.org/fhir/R5/composition.html and https://hl7.org/fhir/R5/documentreference.html

`Composition/[id]/$document` gives both products and statements along: the sections refer to them.
"""

from __future__ import annotations

from apothecary.fhir.json import JSON
from apothecary.importers.labels.record import Label, Section
from apothecary.importers.labels.sections import HEADINGS
from apothecary.importers.labels.statements import section_concept
from apothecary.importers.labels.xhtml import div, element, says_something
from apothecary.importers.report import Report

_UNKNOWN: JSON = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
}
_URI = "urn:ietf:rfc:3986"


def identifier(uuid: str) -> JSON:
    """The identifier that a UUID is."""
    return {"system": _URI, "value": f"urn:uuid:{uuid}"}


def composition(label: Label, report: Report) -> JSON | None:
    """The Composition; None for a label that has no text."""
    sections = [made for one in label.sections if (made := _section(one, label, report)) is not None]
    if not sections:
        return None
    found: JSON = {
        "resourceType": "Composition",
        "id": label.key,
        "language": label.language,
        "identifier": [identifier(label.set_id)],
    }
    if label.version:
        found["version"] = label.version
    found |= {"status": "final", "type": label.type}
    if label.products:
        found["subject"] = [{"reference": f"Medication/{one}"} for one in label.products]
    found |= {"date": label.date} if label.date else {"_date": _UNKNOWN}
    found |= {"author": [label.author or _UNKNOWN], "title": label.title, "section": sections}
    return found


def document_reference(label: Label, *, described: bool) -> JSON:
    """What the file of the label is; `described` says that there is a Composition."""
    contents: list[JSON] = [{"attachment": label.source}]
    if described:
        # https://hl7.org/fhir/R5/documents.html#content: the document is made when it is asked for.
        document = {"contentType": "application/fhir+json", "url": f"Composition/{label.key}/$document"}
        contents.append({"attachment": document})
    found: JSON = {
        "resourceType": "DocumentReference",
        "id": label.key,
        "identifier": [identifier(one) for one in dict.fromkeys((label.set_id, label.document_id)) if one],
    }
    if label.version:
        found["version"] = label.version
    found |= {"status": "current", "docStatus": "final", "type": label.type}
    if label.products:
        found["subject"] = {"reference": f"Medication/{label.products[0]}"}
    if label.author:
        found["author"] = [label.author]
    if label.related:
        found["relatesTo"] = label.related
    return {**found, "description": label.title, "content": contents}


def _section(section: Section, label: Label, report: Report) -> JSON | None:
    """A section of the Composition; None where it has nothing to say, which is told."""
    heading = HEADINGS.get(section.code)
    title = section.title or section.display or (heading.title if heading else "")
    parts = [made for one in section.sections if (made := _section(one, label, report)) is not None]
    found: JSON = {"id": section.id} if section.id else {}
    if title:
        found["title"] = title
    if section.code:
        found["code"] = section_concept(section)
    body = section.body if says_something(section.body) else []
    # A title may be all that a section says; in the narrative it can be read.
    if not body and not parts and not section.entries and not says_something(section.highlight) and section.title:
        body = [element("p", [section.title])]
    if body:
        found["text"] = {"status": "additional", "div": div(body, label.language)}
    if section.entries:
        found["entry"] = [{"reference": one} for one in section.entries]
    if says_something(section.highlight):
        summary = {"status": "additional", "div": div(section.highlight, label.language)}
        parts.insert(0, {"title": "Highlights", "text": summary})
    if parts:
        found["section"] = parts
    if not (body or parts or section.entries):
        report.skipped(section.place, f"the section {title or section.code or 'without a title'} has no text")
        return None
    return found
