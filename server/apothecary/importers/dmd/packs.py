"""Packs of dm+d: PackagedProductDefinition, https://hl7.org/fhir/R5/packagedproductdefinition.html

A combination pack holds other packs. A GTIN that stood on a pack for a while says when it did.
"""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.fhir.json import JSON
from apothecary.importers.dmd.files import Record
from apothecary.importers.dmd.products import resource_id
from apothecary.importers.dmd.terms import (
    APPLIANCE_SAYS,
    DMD,
    PACK_SAYS,
    PRESCRIBING_SAYS,
    REIMBURSEMENT_SAYS,
    SNOMED,
    Terms,
    characteristics,
)
from apothecary.importers.report import Place

# https://terminology.hl7.org/NamingSystem-gtin.html
_GTIN = "https://www.gs1.org/gtin"
_LENGTHS = (8, 12, 13, 14)
_PUBLICATION = "http://hl7.org/fhir/publication-status"
_COMBINATION = "0001"


def virtual_pack(record: Record, terms: Terms) -> Iterator[JSON]:
    """A virtual medicinal product pack."""
    pack = _pack(record, terms, record.fields, "VMP", record.fields.get("VPID", ""))
    _combine(pack, record, "VMPP", "CHLDVPPID", terms)
    yield _filled(pack)


def actual_pack(record: Record, terms: Terms) -> Iterator[JSON]:
    """An actual medicinal product pack."""
    fields, place = record.fields, record.place
    generic = terms.held.about("VMPP", fields.get("VPPID", ""))
    if "VPPID" in fields and not generic:
        terms.missing("the virtual pack", fields["VPPID"], "VMPP", place._replace(column="VPPID"))
    product = fields.get("APID", "")
    pack = _pack(record, terms, generic, "AMP", product)
    pack["identifier"] += [*_gtins(record, terms)]
    pack["description"] = fields.get("SUBP")
    if "LEGAL_CATCD" in fields:
        legal = terms.coded("LEGAL_CATEGORY", fields["LEGAL_CATCD"], place._replace(column="LEGAL_CATCD"))
        pack["legalStatusOfSupply"] = [{"code": legal}]
    if "DISCCD" in fields:
        pack["marketingStatus"] = [_marketing(fields, terms, place)]
    elif "DISCDT" in fields:
        terms.report.skipped(place._replace(column="DISCDT"), "a date of discontinuation without what happened then")
    supplier = terms.held.about("AMP", product).get("SUPPCD", "")
    if name := terms.held.lookups.get("SUPPLIER", {}).get(supplier):
        pack["manufacturer"] = [{"reference": f"Organization/{resource_id(supplier)}", "display": name}]
        told = "the supplier stands as PackagedProductDefinition.manufacturer, which it need not be"
        terms.tally.add("approximated", told, place)
    if "VPPID" in fields:
        coding = [{"system": system, "code": fields["VPPID"]} for system in (SNOMED, DMD)]
        said = {"type": {"text": "Virtual Medicinal Product Pack"}, "valueCodeableConcept": {"coding": coding}}
        pack["characteristic"].append(said)
    for part, kinds in (
        ("PACK_INFO", APPLIANCE_SAYS),
        ("PRESCRIB_INFO", PRESCRIBING_SAYS),
        ("REIMB_INFO", REIMBURSEMENT_SAYS),
    ):
        for one in terms.held.of(part, record.code):
            pack["characteristic"] += characteristics(terms, one, kinds, place, of_pack=True)
    _combine(pack, record, "AMPP", "CHLDAPPID", terms)
    yield _filled(pack)


def _pack(record: Record, terms: Terms, sized: dict[str, str], concept: str, product: str) -> JSON:
    fields, place = record.fields, record.place
    quantity = None
    if "QTYVAL" in sized:
        quantity = terms.quantity(sized["QTYVAL"], sized.get("QTY_UOMCD", ""), place._replace(column="QTYVAL"))
    item = {"coding": [{"system": system, "code": product} for system in (SNOMED, DMD)]}
    contained: JSON = {"item": {"concept": item}} | ({"amount": quantity} if quantity else {})
    if product and product not in terms.held.concepts[concept]:
        terms.missing("the product", product, concept, place._replace(column="VPID" if concept == "VMP" else "APID"))
    status = "retired" if fields.get("INVALID") == "1" else "active"
    return {
        "resourceType": "PackagedProductDefinition",
        "id": resource_id(record.code),
        "identifier": [{"system": DMD, "value": record.code}],
        "name": fields.get("NM"),
        "type": {"text": _KINDS[record.name]},
        "status": {"coding": [{"system": _PUBLICATION, "code": status}]},
        "containedItemQuantity": [quantity] if quantity else [],
        "packaging": {"containedItem": [contained]} if product else {},
        "characteristic": characteristics(terms, fields, PACK_SAYS, place, of_pack=True),
    }


_KINDS = {"VMPP": "Virtual Medicinal Product Pack", "AMPP": "Actual Medicinal Product Pack"}


def _combine(pack: JSON, record: Record, concept: str, key: str, terms: Terms) -> None:
    """Put the packs of a combination pack into it."""
    parts: list[JSON] = []
    for one in terms.held.of(f"{concept} CCONTENT", record.code):
        code = one.get(key, "")
        if code in terms.held.concepts[concept]:
            parts.append({"item": {"reference": {"reference": f"PackagedProductDefinition/{resource_id(code)}"}}})
        elif code:
            terms.missing("the pack", code, concept, record.place._replace(column=key))
            target: JSON = {"type": "PackagedProductDefinition", "identifier": {"system": DMD, "value": code}}
            parts.append({"item": {"reference": target}})
    if parts:
        pack["packaging"] = {"containedItem": [*pack["packaging"].get("containedItem", ()), *parts]}
    if parts or record.fields.get("COMBPACKCD") == _COMBINATION:
        pack["copackagedIndicator"] = True


def _gtins(record: Record, terms: Terms) -> Iterator[JSON]:
    for one in terms.held.of("GTINDATA", record.code):
        gtin = one.get("GTIN", "")
        if not gtin:
            terms.report.skipped(record.place._replace(column="GTIN"), "a GTIN without digits")
            continue
        if not _is_gtin(gtin):
            place = record.place._replace(column="GTIN")
            terms.report.approximated(place, f"{gtin} stands as it is, but is no GTIN: its length or check digit")
        period = {
            key: date
            for key, name in (("start", "STARTDT"), ("end", "ENDDT"))
            if name in one and (date := terms.date(one[name], record.place._replace(column=name)))
        }
        yield {"system": _GTIN, "value": gtin} | ({"period": period} if period else {})


def _is_gtin(digits: str) -> bool:
    """Whether the last digit is the check digit: https://www.gs1.org/services/how-calculate-check-digit-manually"""
    if len(digits) not in _LENGTHS or not (digits.isascii() and digits.isdigit()):
        return False
    total = sum(int(one) * (3 if place % 2 else 1) for place, one in enumerate(reversed(digits)))
    return total % 10 == 0


def _marketing(fields: dict[str, str], terms: Terms, place: Place) -> JSON:
    status: JSON = {"status": terms.coded("DISCONTINUED_IND", fields["DISCCD"], place._replace(column="DISCCD"))}
    if "DISCDT" in fields and (date := terms.date(fields["DISCDT"], place._replace(column="DISCDT"))):
        status |= {"dateRange": {"end": date}} if fields["DISCCD"] == "0001" else {"restoreDate": date}
    return status


def _filled(resource: JSON) -> JSON:
    return {name: value for name, value in resource.items() if value not in (None, [], {})}
