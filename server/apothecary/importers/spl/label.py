"""A Structured Product Label, head and all, as FHIR."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Set
from hashlib import sha1
from pathlib import PurePosixPath

from apothecary.content.xml_tree import Node
from apothecary.fhir.json import JSON
from apothecary.importers.fda import RXNORM
from apothecary.importers.formats import Made
from apothecary.importers.ids import Ids, stable_id
from apothecary.importers.labels import made
from apothecary.importers.labels.documents import identifier
from apothecary.importers.labels.record import Label
from apothecary.importers.labels.sections import PRODUCTS
from apothecary.importers.report import Place
from apothecary.importers.spl import products, sections
from apothecary.importers.spl.organizations import establishments, labeler
from apothecary.importers.spl.packages import definition, inactive, marketed
from apothecary.importers.spl.tree import Reader, child, children, value_of, words

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# https://hl7.org/fhir/R5/datatypes.html#language
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_KNOWN = frozenset(
    {"id", "code", "title", "effectiveTime", "setId", "versionNumber", "author", "component", "languageCode",
     "relatedDocument", "confidentialityCode", "realmCode", "typeId", "templateId"}
)  # fmt: skip
# https://hl7.org/fhir/R5/valueset-document-relationship-type.html
_RELATIONS = {"RPLC": "replaces", "APND": "appends", "XFRM": "transforms"}


def resources(
    document: Node, data: bytes, reader: Reader, organizations: set[str], rxcuis: Set[str] = frozenset()
) -> Iterator[Made]:
    """What the label `document` is, read from `data`. `organizations` are the ids of those that were made already, and
    `rxcuis` what RxNorm has of the drugs in it.
    """
    place = Place(reader.file)
    reader.leftover(document, _KNOWN)
    set_id = uuid(document, "setId")
    key = stable_id("spl", set_id or uuid(document, "id"))
    day = reader.date(child(document, "effectiveTime"), "the date of the label")
    ids = Ids()
    holder: JSON | None = None
    organization = labeler(document, reader)
    if organization is not None:
        holder = {"reference": f"Organization/{organization['id']}"}
        if "name" in organization:
            holder["display"] = organization["name"]
        if organization["id"] not in organizations:
            organizations.add(organization["id"])
            yield Made(organization, place)
    found = []
    for subject in _subjects(document, reader):
        for outer in children(subject, "manufacturedProduct"):
            product = products.read(outer, key, ids, day, reader)
            if product is not None:
                found.append(product)
    if len(rxcuis) > 1:
        reader.approximated(document, f"the label has several RxCUIs, and its products get none: {_listed(rxcuis)}")
    elif rxcuis:
        for product in found:
            product.rxcui = {"system": RXNORM, "code": next(iter(rxcuis))}
    whole = [one for product in found for one in product.all()]
    kind = reader.concept(child(document, "code")) or {"text": "Label"}
    title = words(child(document, "title")) or next((name for one in whole for name in one.names), "")
    parts = sections.read(document, reader)
    others = establishments(document, reader)
    if others is not None:
        parts.append(others)
    for section in parts:
        if section.code == PRODUCTS:
            section.entries = [f"MedicationKnowledge/{one.id}" for one in whole]
            break
    label = Label(
        place=place,
        key=key,
        set_id=set_id or uuid(document, "id"),
        document_id=uuid(document, "id"),
        version=value_of(child(document, "versionNumber"), "value"),
        date=day,
        title=title or kind.get("text") or kind["coding"][0].get("display") or kind["coding"][0]["code"],
        type=kind,
        author=holder,
        sections=parts,
        products=[one.id for one in whole],
        source=_source(reader.file, data, day),
        language=_language(document, reader),
        related=_related(document, reader),
    )

    def of_products(said: JSON) -> Iterator[JSON]:
        for one in whole:
            yield products.medication(one, holder)
            yield products.knowledge(one, holder, kind, said)
            for identity, package in one.packages:
                acts = package.levels[-1].said("marketingAct")
                states = marketed(package, one.marketing, reader)
                retired = inactive(acts, day) if acts else one.inactive
                yield definition(
                    package, identity, one.coding, one.names, one.described, states, reader, retired=retired
                )
            yield from products.authorizations(one, key, ids, reader)

    yield from made.resources(label, of_products, reader.report)


def uuid(document: Node, name: str) -> str:
    """The UUID that an element of the head has as its root, in lower case; empty where it is none."""
    written = value_of(child(document, name), "root").lower()
    return written if UUID.fullmatch(written) else ""


def _subjects(document: Node, reader: Reader) -> Iterator[Node]:
    for node in sections.everything(document):
        if node.name == "section":
            for subject in children(node, "subject"):
                reader.leftover(subject, frozenset({"manufacturedProduct"}))
                yield subject


def _source(file: str, data: bytes, day: str) -> JSON:
    """The file as an Attachment: named, and told from any other by its hash, which FHIR wants to be SHA-1."""
    found: JSON = {
        "contentType": "application/xml",
        "size": str(len(data)),
        "hash": b64encode(sha1(data, usedforsecurity=False).digest()).decode(),
        "title": PurePosixPath(file).name,
    }
    return {**found, "creation": day} if day else found


def _language(document: Node, reader: Reader) -> str:
    node = child(document, "languageCode")
    written = value_of(node, "code")
    if node is not None and not _LANGUAGE.fullmatch(written):
        reader.approximated(node, f"the language {written[:40]!r} is none that is known: English is assumed")
        return "en"
    return written or "en"


def _related(document: Node, reader: Reader) -> list[JSON]:
    found: list[JSON] = []
    for node in children(document, "relatedDocument"):
        code = _RELATIONS.get(value_of(node, "typeCode"))
        other = child(node, "relatedDocument")
        known = "" if other is None else uuid(other, "setId") or uuid(other, "id")
        if code is None or not known:
            reader.skipped(node, "a related document without a known relation or id")
            continue
        coding = {"system": "http://hl7.org/fhir/document-relationship-type", "code": code}
        found.append({"code": {"coding": [coding]}, "target": {"identifier": identifier(known)}})
    return found


def _listed(codes: Set[str]) -> str:
    return ", ".join(sorted(codes))
