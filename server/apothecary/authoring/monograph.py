"""How the monograph as a whole stands in FHIR: the Composition with its sections, and the Provenance of it all.

https://hl7.org/fhir/R5/composition.html and https://hl7.org/fhir/R5/provenance.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import escape, unescape
from typing import Any

from apothecary.authoring.documents import discrepancy_id
from apothecary.authoring.pen import BASIS, Pen
from apothecary.authoring.sections import section_code
from apothecary.authoring.statements import KINDS
from apothecary.authoring.terms import OWN
from apothecary.fhir.json import JSON

_EMPTY = {
    "system": "http://terminology.hl7.org/CodeSystem/list-empty-reason",
    "code": "notstarted",
    "display": "Not Started",
}
_NOT_SUPPLIED = "Not supplied by the source. That nothing is recorded here does not mean that there is none."
_LABELS = " Product labels do have content here; read the current label."
_AUTHOR = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
            "code": "author",
            "display": "Author",
        }
    ]
}


def div(body: str, language: str = "en") -> str:
    """The XHTML `div` of a Narrative around `body`."""
    return f'<div xmlns="http://www.w3.org/1999/xhtml" lang="{language}" xml:lang="{language}">{body}</div>'


def listed(sheet: Mapping[str, Any], part: str, pen: Pen) -> list[str]:
    """The references of what stands in a part of a sheet."""
    items = sheet.get(part, ())
    if part == "discrepancies":
        return [f"ArtifactAssessment/{discrepancy_id(one['id'], pen)}" for one in items]
    if part == "products":
        return [f"MedicationKnowledge/{one['id']}" for one in items]
    kind = "Evidence" if part == "evidence" else "ClinicalUseDefinition"
    return [f"{kind}/{pen.full_id(one['id'])}" for one in items]


PARTS = (*(kind.key for kind in KINDS), "products", "evidence", "discrepancies")


def composition(sheet: Mapping[str, Any], pen: Pen) -> JSON:
    """The monograph of a drug, section by section."""
    sections = []
    for number, one in enumerate(sheet.get("sections", ())):
        with pen.at("sections", number):
            sections.append(_section(sheet, one, pen))
    id = f"{sheet['drug']}-monograph"
    return {
        "resourceType": "Composition",
        "id": id,
        "language": "en",
        "url": f"{OWN}Composition/{id}",
        "status": sheet.get("status", "preliminary"),
        "type": {
            "coding": [pen.standard(f"{OWN}CodeSystem/composition-type", "medication-monograph")],
            "text": "Medication monograph",
        },
        "subject": [{"reference": f"MedicationKnowledge/{sheet['drug']}"}],
        "date": sheet["date"],
        "author": [{"reference": f"Organization/{sheet['editors']}"}],
        "title": sheet["title"],
        "note": [{"text": sheet["note"]}],
        "relatesTo": [
            {"type": "derived-from", "resourceReference": {"reference": f"DocumentReference/{one['id']}"}}
            for one in sheet["sources"]
        ],
        "section": sections,
    }


def _section(sheet: Mapping[str, Any], one: Mapping[str, Any], pen: Pen) -> JSON:
    head: JSON = {"title": one["title"], **section_code(one["title"])}
    if len({"text", "entries", "absent"} & one.keys()) != 1:
        pen.fault("a section has one of text, entries and absent")
        return head
    if "absent" in one:
        basis = [{"url": BASIS, "valueCode": "label"}] if one["absent"] == "label" else []
        said = _NOT_SUPPLIED + (f" {one['note']}" if "note" in one else "") + (_LABELS if basis else "")
        return {
            **({"extension": basis} if basis else {}),
            **head,
            "emptyReason": {"coding": [_EMPTY], "text": said},
        }
    founded = pen.founded(one)
    head = {**({"extension": founded} if founded else {}), **head}
    if "text" in one:
        body = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in one["text"].split("\n\n"))
        return {**head, "text": {"status": "additional", "div": div(body)}}
    entries = listed(sheet, one["entries"], pen) if isinstance(one["entries"], str) else one["entries"]
    if not entries:
        with pen.at("entries"):
            pen.fault("nothing stands there: say that the section is absent")
    return {**head, "entry": [{"reference": each} for each in entries]}


_PARAGRAPH = re.compile(r"<p>([^<]*)</p>")


def read_sections(resource: JSON, sheet: Mapping[str, Any], pen: Pen) -> list[JSON]:
    """The sections of a sheet from those of a Composition; `sheet` has the other parts already."""
    return [_read_section(one, sheet, pen) for one in resource.get("section", ())]


def _read_section(one: JSON, sheet: Mapping[str, Any], pen: Pen) -> JSON:
    founded = pen.foundation([*one.get("extension", ())])
    head = {"title": one["title"]}
    if "emptyReason" in one:
        note = one["emptyReason"]["text"].removeprefix(_NOT_SUPPLIED).removesuffix(_LABELS).strip()
        return {**head, "absent": founded.get("basis", "source"), **({"note": note} if note else {})}
    if "entry" in one:
        entries = [each["reference"] for each in one["entry"]]
        whole = next((part for part in PARTS if entries == listed(sheet, part, pen)), None)
        return {**head, **founded, "entries": whole or entries}
    paragraphs = [unescape(found[1]) for found in _PARAGRAPH.finditer(one["text"]["div"])]
    return {**head, **founded, "text": "\n\n".join(paragraphs)}


def provenance(
    sheet: Mapping[str, Any], step: Mapping[str, Any], resources: Iterable[JSON], terminologies: Iterable[JSON]
) -> JSON:
    """One step on the way from the sources to `resources`. `terminologies` are entities for those in use."""
    targets = []
    for resource in resources:
        taken = step["of"] == "source-text" and resource["resourceType"] not in (
            "ArtifactAssessment",
            "DocumentReference",
        )
        if taken or (step["of"] != "source-text" and has_basis(resource, step["of"])):
            targets.append(f"{resource['resourceType']}/{resource['id']}")
    # The Composition holds all the others: it stands last.
    targets.sort(key=lambda one: (one.startswith("Composition/"), *one.split("/")))
    entities: list[JSON] = []
    if step["of"] == "source-text":
        entities = [{"what": {"reference": f"DocumentReference/{one['id']}"}} for one in sheet["sources"]]
    elif step["of"] == "terminology":
        entities = [*terminologies]
    entities += [{"what": {"display": one}} for one in step.get("from", ())]
    return {
        "resourceType": "Provenance",
        "id": step["id"],
        "language": "en",
        "target": [{"reference": one} for one in targets],
        "recorded": step["recorded"],
        "activity": {"text": step["activity"]},
        "agent": [{"type": _AUTHOR, "who": {"reference": f"Organization/{sheet['editors']}"}}],
        "entity": [{"role": "source", **one} for one in entities],
    }


def has_basis(node: Any, basis: str) -> bool:
    """Whether anything in a resource rests on `basis`."""
    if isinstance(node, dict):
        if node.get("url") == BASIS and node.get("valueCode") == basis:
            return True
        return any(has_basis(one, basis) for one in node.values())
    return isinstance(node, list) and any(has_basis(one, basis) for one in node)


def read_provenance(resource: JSON) -> JSON:
    """The step of a sheet that a Provenance tells of."""
    entities = [one["what"] for one in resource["entity"]]
    if any("reference" in one for one in entities):
        of = "source-text"
    else:
        of = "terminology" if any("identifier" in one for one in entities) else "label"
    named = [one["display"] for one in entities if one.keys() == {"display"}]
    return {
        "id": resource["id"],
        "of": of,
        "recorded": resource["recorded"],
        "activity": resource["activity"]["text"],
        **({"from": named} if named else {}),
    }
