"""A record of openFDA's drug labels: https://open.fda.gov/apis/drug/label/searchable-fields/

It has the texts of a label without their markup, and the codes of all its products together, not product by product:
so it becomes one Medication and one MedicationKnowledge, which are found by any of these codes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from apothecary.content.xml_tree import Node, Unreadable, parse_xml
from apothecary.fhir.json import JSON
from apothecary.fhir.ndc import readings
from apothecary.importers.fda import APPLICATIONS, NDC, RXNORM, UNII, day
from apothecary.importers.formats import Made
from apothecary.importers.ids import stable_id
from apothecary.importers.labels import made
from apothecary.importers.labels.markup import Markup
from apothecary.importers.labels.record import Label, Section
from apothecary.importers.labels.sections import BY_KEY, LOINC, PRODUCTS
from apothecary.importers.labels.xhtml import element
from apothecary.importers.openfda.records import text, texts
from apothecary.importers.openfda.told import Told
from apothecary.importers.report import Place, Report

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEAD = frozenset({"id", "set_id", "version", "effective_time", "openfda"})
_TABLE = "_table"
# The types of labels that are products' types, too: https://www.fda.gov/industry/structured-product-labeling-resources/document-type-including-content-labeling-type
_TYPES = {
    "HUMAN PRESCRIPTION DRUG": ("34391-3", "HUMAN PRESCRIPTION DRUG LABEL"),
    "HUMAN OTC DRUG": ("34390-5", "HUMAN OTC DRUG LABEL"),
}
_CLASSES = {"pharm_class_epc": "EPC", "pharm_class_moa": "MoA", "pharm_class_pe": "PE", "pharm_class_cs": "CS"}
# The concepts of the same classes: https://terminology.hl7.org/CodeSystem-v3-ndfrt.html
_NDFRT = "http://hl7.org/fhir/ndfrt"
_KNOWN = frozenset(
    {
        *("brand_name", "generic_name", "manufacturer_name", "product_ndc", "package_ndc", "product_type", "route"),
        *("substance_name", "rxcui", "unii", "application_number", "nui", "upc", "original_packager_product_ndc"),
        # The ids of the label once more; and who is the original packager has no other one.
        *("spl_id", "spl_set_id", "is_original_packager"),
        *_CLASSES,
    }
)
_CODES = {"rxcui": re.compile(r"\d{1,8}"), "unii": re.compile(r"[0-9A-Z]{10}"), "nui": re.compile(r"N\d{10}")}


def is_label(record: JSON) -> bool:
    """Whether a record is one of a label."""
    return "set_id" in record or "effective_time" in record


def resources(record: JSON, place: Place, report: Report, told: Told) -> Iterator[Made]:
    """What the label is."""
    set_id = text(record.get("set_id")).lower()
    if not UUID.fullmatch(set_id):
        report.skipped(place, f"the set id {set_id[:60]!r} is no UUID")
        return
    earlier = told.first(f"label {set_id}", place)
    if earlier is not None:
        report.skipped(place, f"{earlier} has the label {set_id} already")
        return
    known = record["openfda"] if isinstance(record.get("openfda"), dict) else {}
    for name in sorted(known.keys() - _KNOWN):
        told.field(place, f"openfda.{name}")
    key = stable_id("openfda", set_id)
    written = text(record.get("effective_time"))
    date = day(written) or ""
    if written and not date:
        report.skipped(place, f"the effective time {written[:40]!r} is no date")
    sections = list(_sections(record, place, report))
    product = _Product(key, known, place, report)
    holder = None
    if product.maker:
        organization: JSON = {
            "resourceType": "Organization",
            "id": stable_id("openfda-labeler", product.maker),
            "active": True,
            "name": product.maker,
        }
        holder = {"reference": f"Organization/{organization['id']}", "display": product.maker}
        if told.first(f"Organization {organization['id']}", place) is None:
            yield Made(organization, place)
    if product.named:
        for section in sections:
            if section.code == PRODUCTS:
                section.entries = [f"MedicationKnowledge/{key}"]
    else:
        report.approximated(place, "the label names no product: what it states is of none")
    document_id = text(record.get("id")).lower()
    source: JSON = {
        "contentType": "application/json",
        "url": f"https://api.fda.gov/drug/label.json?search=set_id:{set_id}",
        "title": f"openFDA drug label {document_id or set_id}",
    }
    label = Label(
        place=place,
        key=key,
        set_id=set_id,
        document_id=document_id if UUID.fullmatch(document_id) else "",
        version=text(record.get("version")),
        date=date,
        title=" / ".join(product.names) or "Drug label",
        type=product.type,
        author=holder,
        sections=sections,
        products=[key] if product.named else [],
        source={**source, "creation": date} if date else source,
    )
    yield from made.resources(label, lambda said: product.resources(holder, said), report)


class _Product:
    """What a label's record knows of its products, all of them together."""

    def __init__(self, key: str, known: JSON, place: Place, report: Report) -> None:
        self._key = key
        self._place, self._report = place, report
        self._known = {name: list(dict.fromkeys(texts(known.get(name)))) for name in _KNOWN}
        self.names = list(dict.fromkeys(self._known["brand_name"] + self._known["generic_name"]))
        self.maker = next(iter(self._known["manufacturer_name"]), "")
        self._packages = self._ndcs("package_ndc", 3)
        self.codings = self._codings()
        self.named = bool(self.names or self.codings)
        kind = next(iter(self._known["product_type"]), "")
        self.type: JSON = {"text": kind or "Drug label"}
        if kind in _TYPES:
            code, display = _TYPES[kind]
            self.type = {"coding": [{"system": LOINC, "code": code, "display": display}]}

    def resources(self, holder: JSON | None, said: JSON) -> Iterator[JSON]:
        """Its Medication, MedicationKnowledge, packages and authorizations; `said` is what the label says of it."""
        if not self.named:
            return
        code: JSON = {"coding": self.codings} if self.codings else {}
        if self.names:
            code["text"] = self.names[0]
        products = [one["code"] for one in self.codings if one["system"] == NDC and one["code"] not in self._packages]
        identifiers = [{"system": NDC, "value": one} for one in products]
        identifiers += [{"type": {"text": "UPC"}, "value": one} for one in self._known["upc"]]
        ingredients = self._ingredients()
        head: JSON = {"id": self._key, **({"identifier": identifiers} if identifiers else {}), "code": code}
        medication: JSON = {"resourceType": "Medication", **head, "status": "active"}
        if holder:
            medication["marketingAuthorizationHolder"] = holder
        if ingredients:
            medication["ingredient"] = [{**one, "isActive": True} for one in ingredients]
        yield medication
        packages = [(stable_id(self._key, one), one) for one in self._packages]
        yield self._knowledge(head, holder, said, [identity for identity, _ in packages], ingredients)
        for identity, package in packages:
            yield self._package(identity, package)
        for number in self._known["application_number"]:
            authorization: JSON = {
                "resourceType": "RegulatedAuthorization",
                "id": stable_id(self._key, number),
                "identifier": [{"system": APPLICATIONS, "value": number}],
            }
            if packages:
                references = [{"reference": f"PackagedProductDefinition/{identity}"} for identity, _ in packages]
                authorization["subject"] = references
            yield authorization

    def _knowledge(
        self, head: JSON, holder: JSON | None, said: JSON, packages: list[str], ingredients: list[JSON]
    ) -> JSON:
        found: JSON = {"resourceType": "MedicationKnowledge", **head, "status": "active"}
        if holder:
            found["author"] = holder
        if self.names:
            found["name"] = self.names
        if others := self._ndcs("original_packager_product_ndc", 2):
            references = [{"identifier": {"system": NDC, "value": one}} for one in others]
            kind = {"text": "product of the original packager"}
            found["relatedMedicationKnowledge"] = [{"type": kind, "reference": references}]
        found["associatedMedication"] = [{"reference": f"Medication/{self._key}"}]
        found["productType"] = [self.type]
        found |= {key: said[key] for key in ("monograph", "indicationGuideline") if key in said}
        classes = [
            {"type": {"text": kind}, "classification": [{"text": _class(one)} for one in self._known[name]]}
            for name, kind in _CLASSES.items()
            if self._known[name]
        ]
        if codes := self._codes("nui"):
            codings = [{"coding": [{"system": _NDFRT, "code": one}]} for one in codes]
            classes.append({"type": {"text": "NDF-RT"}, "classification": codings})
        if classes:
            found["medicineClassification"] = classes
        if packages:
            found["packaging"] = [
                {"packagedProduct": {"reference": f"PackagedProductDefinition/{one}"}} for one in packages
            ]
        found |= {key: said[key] for key in ("clinicalUseIssue", "storageGuideline") if key in said}
        definitional: JSON = {}
        if routes := self._known["route"]:
            definitional["intendedRoute"] = [{"text": one} for one in routes]
        if ingredients:
            definitional["ingredient"] = ingredients
        return {**found, "definitional": definitional} if definitional else found

    def _package(self, identity: str, code: str) -> JSON:
        found: JSON = {
            "resourceType": "PackagedProductDefinition",
            "id": identity,
            "identifier": [{"system": NDC, "value": code}],
        }
        return {**found, "name": self.names[0]} if self.names else found

    def _codings(self) -> list[JSON]:
        products = self._ndcs("product_ndc", 2)
        packages = self._packages
        drugs = self._codes("rxcui")
        if len(products) > 1:
            reason = f"the label does not say which of {len(drugs)} RxCUIs and which text is that of which product"
            self._report.approximated(self._place, f"{len(products)} products stand as one: {reason}")
        return [
            *({"system": NDC, "code": one} for one in (*products, *packages)),
            *({"system": RXNORM, "code": one} for one in drugs),
        ]

    def _ingredients(self) -> list[JSON]:
        codes, names = self._codes("unii"), self._known["substance_name"]
        if len(codes) == len(names) == 1:
            coding = {"system": UNII, "code": codes[0], "display": names[0]}
            return [{"item": {"concept": {"coding": [coding], "text": names[0]}}}]
        if codes and names:
            reason = f"{len(names)} names of substances are left out: which of {len(codes)} UNIIs is which is not said"
            self._report.approximated(self._place, reason)
        if codes:
            return [{"item": {"concept": {"coding": [{"system": UNII, "code": one}]}}} for one in codes]
        return [{"item": {"concept": {"text": one}}} for one in names]

    def _codes(self, name: str) -> list[str]:
        return self._checked(name, lambda one: _CODES[name].fullmatch(one) is not None)

    def _ndcs(self, name: str, segments: int) -> list[str]:
        return self._checked(name, lambda one: one.count("-") == segments - 1 and bool(readings(one)))

    def _checked(self, name: str, holds: Callable[[str], bool]) -> list[str]:
        found = []
        for one in self._known[name]:
            if holds(one):
                found.append(one)
            else:
                self._report.skipped(self._place, f"openfda.{name}: {one[:60]!r} is no such code")
        return found


def _class(text: str) -> str:
    """`Insulin [EPC]` without its kind, which the field says."""
    return re.sub(r"\s*\[(?:EPC|MoA|PE|CS)\]$", "", text)


def _sections(record: JSON, place: Place, report: Report) -> Iterator[Section]:
    for key, value in record.items():
        if key in _HEAD or (key.endswith(_TABLE) and key.removesuffix(_TABLE) in record):
            continue
        at = place._replace(column=key)
        if not texts(value):
            report.skipped(at, "has no text")
            continue
        heading = BY_KEY.get(key.removesuffix(_TABLE))
        section = Section(
            at,
            code=heading.code if heading else "",
            title=heading.title if heading else key.replace("_", " ").capitalize(),
        )
        for number, one in enumerate(texts(value)):
            section.body += _table(one, at, report) if key.endswith(_TABLE) else [element("p", [_allowed(one)])]
            if number == 0 and len(texts(value)) < (len(value) if isinstance(value, list) else 1):
                report.skipped(at, "what is no text is left out")
        for one in texts(record.get(f"{key}{_TABLE}")):
            section.body += _table(one, at._replace(column=f"{key}{_TABLE}"), report)
        yield section


def _table(written: str, place: Place, report: Report) -> list[Node | str]:
    """A table, which has kept its markup."""
    try:
        root = parse_xml(f'<text xmlns="urn:hl7-org:v3">{written}</text>')
    except Unreadable as error:
        report.approximated(place, f"a table stands as its text: {error.message}")
        return [element("p", [_allowed(written)])]
    return Markup(lambda node, reason: report.approximated(place, reason)).convert(root)


def _allowed(written: str) -> str:
    """Without what no XML may have: https://www.w3.org/TR/xml/#charsets"""
    return _FORBIDDEN.sub(" ", written)


_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
