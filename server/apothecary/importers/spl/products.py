"""The products of a label, their packages and authorizations, as they stand in its product data, and as FHIR.

https://hl7.org/fhir/R5/medication.html, https://hl7.org/fhir/R5/medicationknowledge.html,
https://hl7.org/fhir/R5/regulatedauthorization.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from apothecary.content.xml_tree import Node
from apothecary.fhir.json import JSON
from apothecary.importers.fda import DEA
from apothecary.importers.ids import Ids
from apothecary.importers.spl.characteristics import characteristic
from apothecary.importers.spl.ingredients import ELEMENTS, Ingredient, ingredients
from apothecary.importers.spl.packages import Package, counted, inactive, marketing, packages
from apothecary.importers.spl.tree import OID, Reader, child, children, value_of, words

_INNER = ("manufacturedProduct", "manufacturedMedicine", "partProduct", "partMedicine")
_OUTER_KNOWN = frozenset({*_INNER, "subjectOf", "consumedIn", "quantity"})
_KNOWN = frozenset(
    {"code", "name", "desc", "formCode", "asEntityWithGeneric", "asEquivalentEntity", "asContent", "part", *ELEMENTS}
)
_SUBJECT_OF = frozenset({"approval", "marketingAct", "characteristic", "policy"})


@dataclass(slots=True)
class Product:
    """A product, or a part of a kit, as a label has it."""

    id: str
    node: Node
    coding: JSON | None
    brand: str
    generics: list[str]
    described: str
    forms: list[JSON]
    routes: list[JSON]
    ingredients: list[Ingredient]
    characteristics: list[JSON]
    schedules: list[JSON]
    approvals: list[Node]
    marketing: list[JSON]
    """MarketingStatus of each act of marketing."""
    equivalents: list[tuple[JSON, JSON]]
    """Products that this one is the same as: the kind of sameness, and the Coding of the other."""
    packages: list[tuple[str, Package]] = field(default_factory=list)
    """With their ids."""
    package_codes: list[JSON] = field(default_factory=list)
    parts: list[tuple[JSON | None, Product]] = field(default_factory=list)
    """With how much of each is in it, as a Ratio."""
    rxcui: JSON | None = None
    """What it is in RxNorm, as a Coding."""
    inactive: bool = False

    @property
    def names(self) -> list[str]:
        """Its names, that of the brand first."""
        return list(dict.fromkeys(one for one in (self.brand, *self.generics) if one))

    @property
    def concept(self) -> JSON | None:
        """What it is called by, and coded with. The codes of its packages mean this product, too, and are asked for
        more often than its own.
        """
        codings = [*(one for one in (self.coding, self.rxcui) if one), *self.package_codes]
        found: JSON = {"coding": codings} if codings else {}
        if self.names:
            found["text"] = self.names[0]
        return found or None

    @property
    def identifier(self) -> JSON | None:
        """Its code, with the time in which it is marketed under it."""
        if self.coding is None:
            return None
        periods = [one["dateRange"] for one in self.marketing if "dateRange" in one]
        return {**identifier(self.coding), **({"period": periods[0]} if len(periods) == 1 else {})}

    def all(self) -> Iterator[Product]:
        """Itself, and its parts."""
        yield self
        for _, part in self.parts:
            yield from part.all()


def read(outer: Node, key: str, ids: Ids, day: str, reader: Reader) -> Product | None:
    """The product in `outer`, a `manufacturedProduct` or `part` with what is said of it; None where there is none,
    which is told. `day` is that of the label. The depth of a tree is limited, so this may recurse.
    """
    reader.leftover(outer, _OUTER_KNOWN)
    node = next(iter(children(outer, *_INNER)), None)
    if node is None:
        reader.skipped(outer, "a product without its data")
        return None
    reader.leftover(node, _KNOWN)
    coding = reader.coding(child(node, "code"))
    said = [one for subject in children(outer, "subjectOf") for one in children(subject)]
    for subject in children(outer, "subjectOf"):
        reader.leftover(subject, _SUBJECT_OF)
    acts = [one for one in said if one.name == "marketingAct"]
    name = child(node, "name")
    suffix = words(child(name, "suffix"))
    routes = [
        route
        for one in children(outer, "consumedIn")
        for administration in children(one, "substanceAdministration")
        for route in map(reader.concept, children(administration, "routeCode"))
        if route is not None
    ]
    forms = [form for form in map(reader.concept, children(node, "formCode")) if form is not None]
    if len(forms) > 1:
        reader.approximated(node, f"of {len(forms)} dose forms the first is taken")
    found = Product(
        id=ids.next(key, coding["code"] if coding else "product"),
        node=node,
        coding=coding,
        brand=" ".join(filter(None, (words(name, without="suffix"), suffix))),
        generics=[
            generic
            for one in children(node, "asEntityWithGeneric")
            for medicine in children(one, "genericMedicine")
            for generic in map(words, children(medicine, "name"))
            if generic
        ],
        described=words(child(node, "desc")),
        forms=forms,
        routes=routes,
        ingredients=ingredients(node, reader),
        characteristics=[
            made for one in said if one.name == "characteristic" and (made := characteristic(one, reader)) is not None
        ],
        schedules=[
            made for one in said if one.name == "policy" and (made := reader.concept(child(one, "code"))) is not None
        ],
        approvals=[one for one in said if one.name == "approval"],
        marketing=marketing(acts, reader),
        equivalents=_equivalents(node, reader),
        inactive=inactive(acts, day),
    )
    for package in packages(node, reader):
        codes = package.codes(reader)
        known = codes[0]["code"] if codes else f"{found.id[len(key) + 1 :]}-package"
        found.packages.append((ids.next(key, known), package))
        found.package_codes += [one for one in codes if one not in found.package_codes]
    for part in children(node, "part"):
        inner = read(part, key, ids, day, reader)
        if inner is not None:
            found.parts.append((counted(child(part, "quantity"), reader), inner))
    return found


def _equivalents(node: Node, reader: Reader) -> list[tuple[JSON, JSON]]:
    found = []
    for one in children(node, "asEquivalentEntity"):
        other = reader.coding(child(one, "definingMaterialKind", "code"))
        kind = reader.concept(child(one, "code"))
        if other is None:
            reader.skipped(one, "a product that is the same, without its code")
        else:
            found.append((kind or {"text": "equivalent"}, other))
    return found


def medication(product: Product, holder: JSON | None) -> JSON:
    """The Medication."""
    found: JSON = {"resourceType": "Medication", "id": product.id}
    if product.identifier:
        found["identifier"] = [product.identifier]
    if product.concept:
        found["code"] = product.concept
    found["status"] = "inactive" if product.inactive else "active"
    if holder:
        found["marketingAuthorizationHolder"] = holder
    if product.forms:
        found["doseForm"] = product.forms[0]
    contents = [one.of_medication() for one in product.ingredients]
    for amount, part in product.parts:
        one: JSON = {"item": {"reference": {"reference": f"Medication/{part.id}"}}}
        contents.append({**one, **({"strengthRatio": amount} if amount else {})})
    if contents:
        found["ingredient"] = contents
    return found


def knowledge(product: Product, holder: JSON | None, label_type: JSON, label: JSON) -> JSON:
    """The MedicationKnowledge; `label` are the elements that say what the label says of all its products."""
    found: JSON = {"resourceType": "MedicationKnowledge", "id": product.id}
    if product.identifier:
        found["identifier"] = [product.identifier]
    if product.concept:
        found["code"] = product.concept
    found["status"] = "inactive" if product.inactive else "active"
    if holder:
        found["author"] = holder
    if product.names:
        found["name"] = product.names
    related = [
        {
            "type": {"text": "has part"},
            "reference": [{"reference": f"MedicationKnowledge/{part.id}"}],
        }
        for _, part in product.parts
    ]
    related += [{"type": kind, "reference": [{"identifier": identifier(other)}]} for kind, other in product.equivalents]
    if related:
        found["relatedMedicationKnowledge"] = related
    found["associatedMedication"] = [{"reference": f"Medication/{product.id}"}]
    found["productType"] = [label_type]
    found |= {key: value for key, value in label.items() if key in ("monograph", "preparationInstruction")}
    if "indicationGuideline" in label:
        found["indicationGuideline"] = label["indicationGuideline"]
    if product.packages:
        found["packaging"] = [
            {"packagedProduct": {"reference": f"PackagedProductDefinition/{one}"}} for one, _ in product.packages
        ]
    found |= {key: value for key, value in label.items() if key in ("clinicalUseIssue", "storageGuideline")}
    if product.schedules:
        found["regulatory"] = [
            {"regulatoryAuthority": {"display": DEA}, "schedule": product.schedules},
        ]
    definitional: JSON = {}
    if product.forms:
        definitional["doseForm"] = product.forms[0]
    if product.routes:
        definitional["intendedRoute"] = product.routes
    if product.ingredients:
        definitional["ingredient"] = [one.of_knowledge() for one in product.ingredients]
    if product.characteristics:
        definitional["drugCharacteristic"] = product.characteristics
    return {**found, "definitional": definitional} if definitional else found


def identifier(coding: JSON) -> JSON:
    """A code as an Identifier."""
    return {**({"system": coding["system"]} if "system" in coding else {}), "value": coding["code"]}


def authorizations(product: Product, key: str, ids: Ids, reader: Reader) -> Iterator[JSON]:
    """A RegulatedAuthorization for each approval of a product. Who holds it is not said: a label may be that of
    somebody who packs what another one makes.
    """
    for node in product.approvals:
        reader.leftover(node, frozenset({"id", "code", "author"}))
        root, extension = value_of(child(node, "id"), "root"), value_of(child(node, "id"), "extension")
        concept = reader.concept(child(node, "code"))
        region = reader.concept(child(node, "author", "territorialAuthority", "territory", "code"))
        if concept is None and not extension:
            reader.skipped(node, "an approval without code and number")
            continue
        found: JSON = {
            "resourceType": "RegulatedAuthorization",
            "id": ids.next(key, extension or "approval", product.id[len(key) + 1 :]),
        }
        if extension:
            system = {"system": f"urn:oid:{root}"} if OID.fullmatch(root) else {}
            found["identifier"] = [{**system, "value": extension}]
        if product.packages:
            found["subject"] = [{"reference": f"PackagedProductDefinition/{one}"} for one, _ in product.packages]
        if concept:
            found["type"] = concept
        if region:
            found["region"] = [region]
        yield found
