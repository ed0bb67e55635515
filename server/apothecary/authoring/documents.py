"""How evidence, populations, sources and what the editors questioned stand in FHIR.

https://hl7.org/fhir/R5/evidence.html, https://hl7.org/fhir/R5/group.html, https://hl7.org/fhir/R5/documentreference.html
and https://hl7.org/fhir/R5/artifactassessment.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apothecary.authoring.lens import CONCEPT, At, Extended, Many, Mapped, Table
from apothecary.authoring.parts import Inside, characteristic
from apothecary.authoring.pen import BASIS, Pen
from apothecary.authoring.statements import ID
from apothecary.authoring.terms import OWN
from apothecary.fhir.json import JSON

_ROLES = "http://terminology.hl7.org/CodeSystem/variable-role"
_NOT_GRADED: JSON = {
    "extension": [{"url": BASIS, "valueCode": "editor"}],
    "description": "Not graded by the source, and no citation is given. No grade may be inferred.",
}
# What the claims of a source are called by, and the discrepancies of a sheet.
SOURCES = OWN + "identifier/source"
_NUMBERS = OWN + "identifier/discrepancy"


class Variables:
    """What was studied: a text for each role."""

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        node["variableDefinition"] = [
            {"description": text, "variableRole": {"coding": [pen.standard(_ROLES, role)]}}
            for role, text in sheet["variables"].items()
        ]

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        sheet["variables"] = {
            one["variableRole"]["coding"][0]["code"]: one["description"] for one in node.pop("variableDefinition")
        }


class Certainty:
    """The certainty of evidence: in the words of a source that grades it, else that it does not."""

    def build(self, sheet: Mapping[str, Any], node: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        node["certainty"] = [{"description": sheet["certainty"]} if "certainty" in sheet else _NOT_GRADED]

    def read(self, node: JSON, sheet: JSON, pen: Pen) -> None:
        """See apothecary.authoring.lens.Field."""
        (one,) = node.pop("certainty")
        if one != _NOT_GRADED:
            sheet["certainty"] = one["description"]


_NOTES = Many(Table((At("text", "text"),), short="text"))
_EVIDENCE = Table(
    (
        ID,
        At("title", "title"),
        At("assertion", "assertion"),
        At("notes", "note", _NOTES),
        Variables(),
        At("design", "studyDesign", Many(CONCEPT)),
        Certainty(),
    ),
    fixed=(("resourceType", "Evidence"), ("language", "en"), ("status", "active")),
)
_POPULATION = Table(
    (
        ID,
        At("name", "name"),
        At("description", "description"),
        At("characteristics", "characteristic", Many(characteristic(type_element="code", fixed=(("exclude", False),)))),
    ),
    fixed=(("resourceType", "Group"), ("language", "en"), ("type", "person"), ("membership", "definitional")),
)


def _key(value: str, pen: Pen) -> list[JSON]:
    return [{"system": SOURCES, "value": value}]


def _read_key(value: list[JSON], pen: Pen) -> str:
    return source_of({"identifier": value})


_SIZE = Mapped(lambda value, pen: str(value), lambda value, pen: int(value))
_SOURCE = Table(
    (
        At("id", "id"),
        At("key", "identifier", Mapped(_key, _read_key)),
        Extended("licence", "source-licence", "valueString"),
        At("doc-status", "docStatus"),
        At("type", "type", CONCEPT),
        At("description", "description"),
        Inside(
            "content",
            (
                Inside(
                    "attachment",
                    (
                        Extended("sha256", "content-sha256", "valueString"),
                        At("content-type", "contentType"),
                        At("language", "language"),
                        # An integer64 is a string in JSON.
                        At("size", "size", _SIZE),
                        At("sha1", "hash"),
                        At("title", "title"),
                        At("date", "creation"),
                    ),
                ),
            ),
            listed=True,
        ),
    ),
    founded=False,
    fixed=(("resourceType", "DocumentReference"), ("language", "en"), ("status", "current")),
)


def evidence(sheet: Mapping[str, Any], date: str, publisher: str, pen: Pen) -> JSON:
    """An Evidence, with the claims that it restates."""
    built = _EVIDENCE.build(sheet, pen)
    return {**built, "url": f"{OWN}Evidence/{built['id']}", "date": date, "publisher": publisher}


def read_evidence(resource: JSON, pen: Pen) -> JSON:
    """The part of a sheet that an Evidence was built from."""
    kept = {key: value for key, value in resource.items() if key not in ("text", "url", "date", "publisher")}
    found: JSON = _EVIDENCE.read(kept, pen)
    return found


def population(sheet: Mapping[str, Any], pen: Pen) -> JSON:
    """A Group of people who have something in common."""
    return _POPULATION.build(sheet, pen)


def read_population(resource: JSON, pen: Pen) -> JSON:
    """The part of a sheet that a Group was built from."""
    found: JSON = _POPULATION.read({key: value for key, value in resource.items() if key != "text"}, pen)
    return found


def source_of(resource: JSON) -> str:
    """What the claims of a DocumentReference are called by; empty where it does not say."""
    return str(next((one["value"] for one in resource.get("identifier", ()) if one.get("system") == SOURCES), ""))


def source(sheet: Mapping[str, Any], pen: Pen) -> JSON:
    """A DocumentReference that identifies a source by its hashes, without the text."""
    return _SOURCE.build(sheet, pen)


def read_source(resource: JSON, pen: Pen) -> JSON:
    """The part of a sheet that a DocumentReference was built from, without its claims."""
    found: JSON = _SOURCE.read({key: value for key, value in resource.items() if key != "text"}, pen)
    return found


def discrepancy(sheet: Mapping[str, Any], date: str, editors: str, pen: Pen) -> JSON:
    """An ArtifactAssessment: what differs, what it concerns, and how it is shown."""
    author = {"reference": f"Organization/{editors}"}
    comment: JSON = {
        "extension": pen.founded(sheet),
        "informationType": "comment",
        "summary": sheet["found"],
        "author": author,
    }
    if "paths" in sheet:
        comment["path"] = sheet["paths"]
    if "also" in sheet:
        comment["relatedArtifact"] = [
            {"type": "comments-on", "resourceReference": {"reference": one}} for one in sheet["also"]
        ]
    response = {
        "extension": pen.founded({"basis": "editor"}),
        "informationType": "response",
        "summary": sheet["shown"],
        "author": author,
    }
    return {
        "resourceType": "ArtifactAssessment",
        "id": discrepancy_id(sheet["id"], pen),
        "language": "en",
        "identifier": [{"system": _NUMBERS, "value": sheet["id"]}],
        "title": f"{sheet['id']}: {sheet['title']}",
        "date": sheet.get("date", date),
        "artifactReference": {"reference": sheet["about"]},
        "content": [comment, response],
        "workflowStatus": sheet["state"],
        **({"disposition": sheet["disposition"]} if "disposition" in sheet else {}),
    }


def discrepancy_id(number: str, pen: Pen) -> str:
    """The id of the ArtifactAssessment of D7."""
    return pen.full_id(f"discrepancy-{int(number[1:]):02}")


def read_discrepancy(resource: JSON, date: str, pen: Pen) -> JSON:
    """The part of a sheet that an ArtifactAssessment was built from."""
    comment, response = resource["content"]
    number = resource["identifier"][0]["value"]
    extensions = [*comment.get("extension", ())]
    sheet: JSON = {"id": number, "title": resource["title"].removeprefix(f"{number}: ")}
    if resource["date"] != date:
        sheet["date"] = resource["date"]
    sheet["about"] = resource["artifactReference"]["reference"]
    if "relatedArtifact" in comment:
        sheet["also"] = [one["resourceReference"]["reference"] for one in comment["relatedArtifact"]]
    sheet |= pen.foundation(extensions)
    sheet |= {"found": comment["summary"], "shown": response["summary"]}
    if "path" in comment:
        sheet["paths"] = comment["path"]
    sheet["state"] = resource["workflowStatus"]
    if "disposition" in resource:
        sheet["disposition"] = resource["disposition"]
    return sheet
