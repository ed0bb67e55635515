"""Substances, suppliers and products of dm+d: Substance, Organization, Medication and MedicationKnowledge.

https://hl7.org/fhir/R5/medicationknowledge.html and https://hl7.org/fhir/R5/medication.html; what is more general is
related to: the actual product (AMP) to the virtual one (VMP), and that to the therapeutic moiety (VTM).
"""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.fhir.json import JSON
from apothecary.importers.dmd.files import Record
from apothecary.importers.dmd.terms import (
    AMP_SAYS,
    CONTROL_SAYS,
    DMD,
    INFORMATION_SAYS,
    VMP_SAYS,
    Terms,
    characteristics,
    identifiers,
)
from apothecary.importers.ids import stable_id
from apothecary.importers.report import Place

_ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleClass"
# https://terminology.hl7.org/ValueSet-v3-RoleClassIngredientEntity.html: what the strength is that of.
_OF_ITSELF, _OF_ANOTHER, _ACTIVE, _INACTIVE = "ACTIB", "ACTIR", "ACTI", "IACT"
_BASES = {"0001": _OF_ITSELF, "0002": _OF_ANOTHER}
# Of the lookup DF_INDICATOR.
_DISCRETE = "1"
_KINDS = {"VTM": "Virtual Therapeutic Moiety", "VMP": "Virtual Medicinal Product", "AMP": "Actual Medicinal Product"}


def resource_id(code: str) -> str:
    """The id of what has this code."""
    return stable_id("dmd", code)


def substance(record: Record, terms: Terms) -> Iterator[JSON]:
    """An ingredient."""
    fields = record.fields
    yield {
        "resourceType": "Substance",
        "id": resource_id(record.code),
        "identifier": _identifiers(record, "ISIDPREV", "ISIDDT", terms),
        "instance": False,
        "status": _status(fields),
        "code": {"concept": terms.concept(record.code, fields.get("NM", ""))},
    }


def supplier(record: Record, terms: Terms) -> Iterator[JSON]:
    """A supplier, of the lookup."""
    fields = record.fields
    code = fields["CD"]
    until = terms.date(fields["CDDT"], record.place) if "CDDT" in fields else None
    yield {
        "resourceType": "Organization",
        "id": resource_id(code),
        "identifier": identifiers(code, fields.get("CDPREV"), until),
        "active": fields.get("INVALID") != "1",
        "name": fields.get("DESC", code),
    }


def moiety(record: Record, terms: Terms) -> Iterator[JSON]:
    """A virtual therapeutic moiety."""
    yield _filled(_knowledge(record, terms, [record.fields.get("ABBREVNM")], "VTMIDPREV", "VTMIDDT"))


def virtual(record: Record, terms: Terms) -> Iterator[JSON]:
    """A virtual medicinal product."""
    fields, place = record.fields, record.place
    knowledge = _knowledge(record, terms, [fields.get("ABBREVNM"), fields.get("NMPREV")], "VPIDPREV", "VPIDDT")
    _relate(knowledge, "VTM", fields.get("VTMID"), record, terms)
    says = characteristics(terms, fields, VMP_SAYS, place)
    if "UDFS" in fields:
        size = terms.quantity(fields["UDFS"], fields.get("UDFS_UOMCD", ""), place._replace(column="UDFS"))
        says += [{"type": {"text": "unit dose form size"}, "valueQuantity": size}] if size else []
    if "UNIT_DOSE_UOMCD" in fields:
        unit = terms.snomed("UNIT_OF_MEASURE", fields["UNIT_DOSE_UOMCD"], place._replace(column="UNIT_DOSE_UOMCD"))
        says.append({"type": {"text": "unit dose form units"}, "valueCodeableConcept": unit})
    active = _active(record.code, terms, place)
    yield from _product(record, knowledge, record.code, active, says, terms)


def actual(record: Record, terms: Terms) -> Iterator[JSON]:
    """An actual medicinal product."""
    fields, place = record.fields, record.place
    names = [fields.get(name) for name in ("NM", "ABBREVNM", "NM_PREV")]
    knowledge = _knowledge(record, terms, names, "", "")
    virtual = fields.get("VPID", "")
    _relate(knowledge, "VMP", virtual, record, terms)
    says = characteristics(terms, fields, AMP_SAYS, place)
    for information in terms.held.of("AP_INFO", record.code):
        says += characteristics(terms, information, INFORMATION_SAYS, place)
    ingredients = _active(virtual, terms, place)
    for one in terms.held.of("AP_ING", record.code):
        if "ISID" not in one:
            terms.report.skipped(place, "an excipient without the code of a substance")
            continue
        item = _item(one["ISID"], terms, place)
        strength = {}
        if "STRNTH" in one and (amount := terms.quantity(one["STRNTH"], one.get("UOMCD", ""), place)):
            strength = {"strengthQuantity": amount}
        ingredients.append(({"item": item, **strength}, _role(_INACTIVE), False))
    holder: JSON | None = None
    if supplier := fields.get("SUPPCD"):
        holder = {"reference": f"Organization/{resource_id(supplier)}"}
        name = terms.held.lookups.get("SUPPLIER", {}).get(supplier)
        if name:
            holder["display"] = name
            told = "the supplier stands as Medication.marketingAuthorizationHolder, which it need not be"
            terms.tally.add("approximated", told, place._replace(column="SUPPCD"))
        else:
            holder = {"type": "Organization", "identifier": {"system": DMD, "value": supplier}}
            terms.coded("SUPPLIER", supplier, place._replace(column="SUPPCD"))
    yield from _product(record, knowledge, virtual, ingredients, says, terms, holder)


def _knowledge(record: Record, terms: Terms, names: list[str | None], previous: str, until: str) -> JSON:
    fields = record.fields
    name = fields.get("DESC") or fields.get("NM", "")
    if not name:
        terms.report.approximated(record.place, f"the {record.name} {record.code} has no name")
    return {
        "resourceType": "MedicationKnowledge",
        "id": resource_id(record.code),
        "identifier": _identifiers(record, previous, until, terms),
        "code": terms.concept(record.code, name),
        "status": _status(fields),
        "name": list(dict.fromkeys(one for one in (name, *names) if one)),
        "productType": [{"text": _KINDS[record.name]}],
    }


def _product(
    record: Record,
    knowledge: JSON,
    virtual: str,
    ingredients: list[tuple[JSON, JSON | None, bool]],
    says: list[JSON],
    terms: Terms,
    holder: JSON | None = None,
) -> Iterator[JSON]:
    """A product as both resources. What the virtual product says of form, routes and control holds for the actual one,
    whose own licensed routes come first.
    """
    held, place = terms.held, record.place
    forms = [terms.snomed("FORM", one["FORMCD"], place) for one in held.of("DFORM", virtual) if "FORMCD" in one]
    routes = held.of("LIC_ROUTE", record.code) or held.of("DROUTE", virtual)
    schedules: list[JSON] = []
    for control in held.of("CONTROL_INFO", virtual):
        if "CATCD" in control:
            schedules.append(terms.coded("CONTROL_DRUG_CATEGORY", control["CATCD"], place))
        says += characteristics(terms, control, CONTROL_SAYS, place)
    for ontology in held.of("ONT", virtual):
        if "FORMCD" in ontology:
            said = terms.coded("ONT_FORM_ROUTE", ontology["FORMCD"], place)
            says.append({"type": {"text": "form and route"}, "valueCodeableConcept": said})
    for number, form in enumerate(forms[1:]):
        if not number:
            terms.report.approximated(place, "has more than one form: the others stand as characteristics")
        says.append({"type": {"text": "form"}, "valueCodeableConcept": form})
    definitional = {
        "doseForm": forms[0] if forms else None,
        "intendedRoute": [terms.snomed("ROUTE", one["ROUTECD"], place) for one in routes if "ROUTECD" in one],
        "ingredient": [{"item": one["item"], "type": role, **_strength(one)} for one, role, _ in ingredients],
        "drugCharacteristic": says,
    }
    knowledge["associatedMedication"] = [{"reference": f"Medication/{resource_id(record.code)}"}]
    knowledge["medicineClassification"] = _classified(record, terms)
    knowledge["packaging"] = [*_packs(record, terms)]
    if schedules:
        authority = {"display": "Misuse of Drugs Regulations (United Kingdom)"}
        knowledge["regulatory"] = [{"regulatoryAuthority": authority, "schedule": schedules}]
    knowledge["definitional"] = _filled(definitional)
    yield _filled(knowledge)
    yield _filled(
        {
            "resourceType": "Medication",
            "id": resource_id(record.code),
            "identifier": knowledge["identifier"],
            "code": knowledge["code"],
            "status": knowledge["status"],
            "marketingAuthorizationHolder": holder,
            "doseForm": definitional["doseForm"],
            "ingredient": [one | {"isActive": active} for one, _, active in ingredients],
            "definition": {"reference": f"MedicationKnowledge/{resource_id(record.code)}"},
        }
    )


def _active(virtual: str, terms: Terms, place: Place) -> list[tuple[JSON, JSON | None, bool]]:
    found: list[tuple[JSON, JSON | None, bool]] = []
    for one in terms.held.of("VPI", virtual):
        if "ISID" not in one:
            terms.report.skipped(place, "an ingredient without the code of a substance")
            continue
        item = _item(one["ISID"], terms, place)
        basis = one.get("BASIS_STRNTCD")
        role = _role(_BASES.get(basis or "", _ACTIVE))
        if basis:
            said = terms.coded("BASIS_OF_STRNTH", basis, place)
            role["coding"] += said["coding"]
            role["text"] = said.get("text", basis)
        if other := one.get("BS_SUBID"):
            base = terms.substance(other, place)
            # The amount is that of another substance: whoever reads the name of the ingredient must read this, too.
            role["text"] = f"{role.get('text', 'Based on')}: {base.get('text', other)}"
            role["coding"] += base["coding"]
            item["concept"]["text"] = (
                f"{item['concept'].get('text', one['ISID'])} (strength as {base.get('text', other)})"
            )
        ingredient = {"item": item}
        numerator = denominator = None
        if "STRNT_NMRTR_VAL" in one:
            numerator = terms.quantity(one["STRNT_NMRTR_VAL"], one.get("STRNT_NMRTR_UOMCD", ""), place)
        if "STRNT_DNMTR_VAL" in one:
            denominator = terms.quantity(one["STRNT_DNMTR_VAL"], one.get("STRNT_DNMTR_UOMCD", ""), place)
        if numerator and denominator:
            ingredient["strengthRatio"] = {"numerator": numerator, "denominator": denominator}
        elif numerator and "STRNT_DNMTR_VAL" not in one:
            ingredient |= _of_one_dose(numerator, virtual, terms, place)
        elif numerator or denominator:
            terms.report.skipped(place, f"the strength of {one['ISID']} is not whole")
        found.append((ingredient, role, True))
    return found


def _of_one_dose(numerator: JSON, virtual: str, terms: Terms, place: Place) -> JSON:
    """A strength without a denominator: that of one unit dose, where the product is made of such (a tablet, a vial)."""
    product = terms.held.about("VMP", virtual)
    unit = product.get("UNIT_DOSE_UOMCD")
    if product.get("DF_INDCD") != _DISCRETE or unit is None:
        return {"strengthQuantity": numerator}
    denominator = terms.quantity("1", unit, place)
    return {"strengthRatio": {"numerator": numerator, "denominator": denominator}}


def _item(code: str, terms: Terms, place: Place) -> JSON:
    concept = terms.substance(code, place)
    held = code in terms.held.concepts["ING"]
    return {"concept": concept} | ({"reference": {"reference": f"Substance/{resource_id(code)}"}} if held else {})


def _role(code: str) -> JSON:
    return {"coding": [{"system": _ROLES, "code": code}]}


def _strength(ingredient: JSON) -> JSON:
    return {name: value for name, value in ingredient.items() if name.startswith("strength")}


def _relate(knowledge: JSON, concept: str, code: str | None, record: Record, terms: Terms) -> None:
    if not code:
        return
    target: JSON = {"reference": f"MedicationKnowledge/{resource_id(code)}"}
    if code in terms.held.concepts[concept]:
        if name := terms.held.about(concept, code).get("NM"):
            target["display"] = name
    else:
        target = {"type": "MedicationKnowledge", "identifier": {"system": DMD, "value": code}}
        key = "VTMID" if concept == "VTM" else "VPID"
        terms.missing(f"the {_KINDS[concept]}", code, concept, record.place._replace(column=key))
    knowledge["relatedMedicationKnowledge"] = [{"type": {"text": _KINDS[concept]}, "reference": [target]}]


def _classified(record: Record, terms: Terms) -> list[JSON]:
    found = []
    for name, label, table in (
        ("PRES_STATCD", "prescribing status", "VIRTUAL_PRODUCT_PRES_STATUS"),
        ("LIC_AUTHCD", "licensing authority", "LICENSING_AUTHORITY"),
        ("AVAIL_RESTRICTCD", "availability restriction", "AVAILABILITY_RESTRICTION"),
    ):
        if code := record.fields.get(name):
            said = terms.coded(table, code, record.place._replace(column=name))
            found.append({"type": {"text": label}, "classification": [said]})
    for one in terms.held.of(f"BNF {record.name}", record.code):
        for name, label, system in (
            ("ATC", "ATC", "http://www.whocc.no/atc"),
            ("BNF", "BNF", "https://fhir.hl7.org.uk/Id/bnf-drug-codes"),
        ):
            # "n/a" stands where there is no class.
            if (code := one.get(name)) and code.lower() != "n/a":
                said = {"coding": [{"system": system, "code": code}]}
                found.append({"type": {"text": label}, "classification": [said]})
        if "DDD" in one and (ddd := terms.quantity(one["DDD"], one.get("DDD_UOMCD", ""), record.place)):
            said = {"text": f"{ddd['value']} {ddd.get('unit', one.get('DDD_UOMCD', ''))}".strip()}
            found.append({"type": {"text": "defined daily dose"}, "classification": [said]})
    return found


def _packs(record: Record, terms: Terms) -> Iterator[JSON]:
    place = record.place
    for code in terms.held.packs.get(record.code, ()):
        costs: list[JSON] = []
        for one in terms.held.of("DTINFO", code):
            source = terms.coded("DT_PAYMENT_CATEGORY", one["PAY_CATCD"], place) if "PAY_CATCD" in one else {}
            costs += _costs("Drug Tariff", one, ("PRICE", "PREVPRICE", "DT"), None, terms, place)
            for cost in costs if source else ():
                cost["source"] = source.get("text", one["PAY_CATCD"])
            if source and not costs:
                costs.append({"type": {"text": "Drug Tariff payment category"}, "costCodeableConcept": source})
        for one in terms.held.of("PRICE_INFO", code):
            basis = terms.coded("PRICE_BASIS", one["PRICE_BASISCD"], place) if "PRICE_BASISCD" in one else None
            costs += _costs("NHS", one, ("PRICE", "PRICE_PREV", "PRICEDT"), basis, terms, place)
        cost = {"cost": costs} if costs else {}
        yield {**cost, "packagedProduct": {"reference": f"PackagedProductDefinition/{resource_id(code)}"}}


# The price bases of the lookup that say that there is no price; the files then have a price of 0.
_NO_PRICE = frozenset({"0002", "0003", "0004"})


def _costs(
    label: str, fields: dict[str, str], names: tuple[str, str, str], basis: JSON | None, terms: Terms, place: Place
) -> list[JSON]:
    now, before, since = names
    date = terms.date(fields[since], place._replace(column=since)) if since in fields else None
    kind = {"text": f"{label} price"} if basis is None else basis
    found: list[JSON] = []
    if basis is not None and fields.get("PRICE_BASISCD") in _NO_PRICE:
        dated = {"effectiveDate": [{"start": date}]} if date else {}
        found.append({**dated, "type": {"text": f"{label} price"}, "costCodeableConcept": basis})
    elif now in fields and (price := terms.pence(fields[now], place._replace(column=now))):
        found.append({**({"effectiveDate": [{"start": date}]} if date else {}), "type": kind, "costMoney": price})
    if before in fields and (price := terms.pence(fields[before], place._replace(column=before))):
        ended = {"effectiveDate": [{"end": date}]} if date else {}
        found.append({**ended, "type": {"text": f"previous {label} price"}, "costMoney": price})
    return found


def _identifiers(record: Record, previous: str, until: str, terms: Terms) -> list[JSON]:
    fields = record.fields
    ended = terms.date(fields[until], record.place._replace(column=until)) if until in fields else None
    return identifiers(record.code, fields.get(previous), ended)


def _status(fields: dict[str, str]) -> str:
    return "inactive" if fields.get("INVALID") == "1" else "active"


def _filled(resource: JSON) -> JSON:
    return {name: value for name, value in resource.items() if value not in (None, [], {})}
