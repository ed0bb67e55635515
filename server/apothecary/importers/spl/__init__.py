"""Structured Product Labels, as DailyMed publishes them: XML files, alone, or with their images in a zip file, or in a
zip file of such zip files. "Implementation Guide for FDA Use of HL7 Structured Product Labeling":
https://www.fda.gov/industry/fda-data-standards-advisory-board/structured-product-labeling-resources

Beside them may lie DailyMed's mapping of labels to RxNorm, by which the products of a label of one drug have its
RxCUI.

A label becomes an Organization, a Medication and a MedicationKnowledge for each product and each part of a kit, a
PackagedProductDefinition for each package, a RegulatedAuthorization for each approval, a ClinicalUseDefinition for each
section that states something, a Composition of all sections, and a DocumentReference.
"""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.content.xml_tree import Node, Unreadable, parse_xml
from apothecary.importers import dailymed
from apothecary.importers.delimited import columns, rows
from apothecary.importers.formats import Given, Made
from apothecary.importers.report import Place, Report
from apothecary.importers.sources import Member, Torn, members
from apothecary.importers.spl import label, sections
from apothecary.importers.spl.heads import head
from apothecary.importers.spl.tree import V3, Reader, child, children, value_of, words

# The largest labels have some ten million bytes.
LARGEST = 32 * 1024 * 1024
# Each element and attribute takes some hundred bytes of memory, however short it is. A label of 200 kB has 5,000 tags.
MOST_TAGS, MOST_ATTRIBUTES = 500_000, 500_000
# What lies beside a label in its zip file; the label says what it shows.
_IMAGES = (".jpg", ".jpeg", ".png", ".gif", ".svg", ".bmp", ".tif", ".tiff", ".pdf", ".sdf", ".mol")


def resources(given: Given) -> Iterator[Made]:
    """See apothecary.importers.formats. Of several files of one label only that of the highest version is read."""
    newest: dict[str, tuple[int, str]] = {}
    mappings: dict[str, dict[str, set[str]]] = {}
    for member in members(given.paths, Report(lambda remark: None)):
        if member.file_name.endswith(".txt") and (mapping := _mapping(member, given.report)) is not None:
            mappings[member.name] = mapping
        found = None if member.file_name.endswith(_IMAGES) else head(member)
        if found is not None and (found.set_id not in newest or found.version > newest[found.set_id][0]):
            newest[found.set_id] = (found.version, member.name)
    organizations: set[str] = set()
    for member in members(given.paths, given.report):
        if member.file_name.endswith(_IMAGES):
            continue
        if member.name in mappings:
            continue
        if not member.file_name.endswith(".xml"):
            given.report.skipped(Place(member.name), "is neither XML nor an image")
            continue
        found = head(member)
        if found is not None and newest[found.set_id][1] != member.name:
            version, other = newest[found.set_id]
            given.report.skipped(Place(member.name), f"{other} has version {version} of this label")
            continue
        rxcuis = {one for mapping in mappings.values() for one in mapping.get(found.set_id if found else "", ())}
        yield from _label(member, given.report, organizations, rxcuis)


def _mapping(member: Member, report: Report) -> dict[str, set[str]] | None:
    """What DailyMed's mapping of labels to RxNorm says; None for another file."""
    try:
        separator, names = columns(member)
    except Torn:
        return None
    if not {name.upper() for name in names} >= dailymed.COLUMNS:
        return None
    return dailymed.rxcuis(rows(member, report, separator))


def _label(member: Member, report: Report, organizations: set[str], rxcuis: set[str]) -> Iterator[Made]:
    place = Place(member.name)
    try:
        data = member.read(LARGEST)
        if data.count(b"<") > MOST_TAGS or data.count(b"=") > MOST_ATTRIBUTES:
            report.skipped(place, f"has more than {MOST_TAGS} tags, or {MOST_ATTRIBUTES} attributes")
            return
        document = parse_xml(data.decode("utf-8-sig"))
    except Torn as error:
        report.skipped(place, f"cannot be read: {error}")
        return
    except UnicodeDecodeError as error:
        report.skipped(place, f"is not UTF-8: byte {error.start}")
        return
    except Unreadable as error:
        report.skipped(Place(member.name, error.place[0]), error.message)
        return
    reason = _no_label(document)
    if reason:
        report.skipped(place, reason)
    else:
        yield from label.resources(document, data, Reader(member.name, report), organizations, rxcuis)


def _no_label(document: Node) -> str:
    """Why this is no label; empty where it is one."""
    if document.name != "document" or document.namespace != V3:
        return f"is no Structured Product Label: its root is {document.name} of {document.namespace or 'no namespace'}"
    if not label.uuid(document, "setId") and not label.uuid(document, "id"):
        return "has neither a set id nor an id that is a UUID"
    for node in sections.everything(document):
        # Indexing files, such as those of pharmacologic classes, have sections as well.
        holds = node.name == "section" and children(node, "subject", "text", "title", "excerpt")
        if holds and child(node, "subject", "identifiedSubstance") is None:
            return ""
    code = child(document, "code")
    said = value_of(code, "displayName") or value_of(code, "code") or words(child(document, "title"))
    return f"is no label: {said or 'its type is not said'}"
