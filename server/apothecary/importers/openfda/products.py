"""A record of openFDA's NDC directory, which becomes what a row of the directory itself becomes:
https://open.fda.gov/apis/drug/ndc/searchable-fields/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.fhir.ndc import readings
from apothecary.importers.formats import Made
from apothecary.importers.ids import Ids, stable_id
from apothecary.importers.listed_applications import Applications
from apothecary.importers.listed_packages import Package, packaged_product
from apothecary.importers.listed_products import Ingredient, Product, medication_and_knowledge
from apothecary.importers.openfda.records import text, texts
from apothecary.importers.openfda.told import Told
from apothecary.importers.report import Place, Report

_KNOWN = frozenset(
    {
        *("product_id", "product_ndc", "brand_name", "brand_name_base", "brand_name_suffix", "generic_name"),
        *("labeler_name", "product_type", "dosage_form", "route", "active_ingredients", "packaging", "pharm_class"),
        *("marketing_category", "application_number", "marketing_start_date", "marketing_end_date", "dea_schedule"),
        # The document that the product was listed with is the second half of its product_id. Unfinished products have
        # a type of their own.
        *("openfda", "spl_id", "finished", "listing_expiration_date"),
    }
)


def is_product(record: JSON) -> bool:
    """Whether a record is one of a product."""
    return "product_ndc" in record


class Products:
    """The products of all files."""

    def __init__(self, report: Report, told: Told) -> None:
        self._report, self._told = report, told
        self._ids, self._package_ids = Ids(), Ids()
        self._applications = Applications()

    def resources(self, record: JSON, place: Place) -> Iterator[Made]:
        """What the product is."""
        code = text(record.get("product_ndc"))
        if not _is_code(code, 2):
            self._report.skipped(place, f"{code[:60]!r} is no NDC of a product")
            return
        listed = text(record.get("product_id")) or code
        earlier = self._told.first(f"product {listed}", place)
        if earlier is not None:
            self._report.skipped(place, f"{earlier} has the product {listed[:80]} already")
            return
        for name in sorted(record.keys() - _KNOWN):
            self._told.field(place, name)
        if "listing_expiration_date" in record:
            reason = "is not kept: a listing that ran out is not in the directory"
            self._told.elsewhere(place, "listing_expiration_date", reason)
        labeler = text(record.get("labeler_name"))
        organization = stable_id("openfda-labeler", labeler) if labeler else ""
        if labeler and self._told.first(f"Organization {organization}", place) is None:
            yield Made({"resourceType": "Organization", "id": organization, "active": True, "name": labeler}, place)
        packages = list(self._packages(record, place))
        known = record["openfda"] if isinstance(record.get("openfda"), dict) else {}
        names = (text(record.get("brand_name")), text(record.get("generic_name")))
        product = Product(
            self._ids.next("openfda", code),
            code,
            organization,
            names=list(dict.fromkeys(name for name in names if name)),
            kind=text(record.get("product_type")),
            form=text(record.get("dosage_form")),
            routes=texts(record.get("route")),
            start=text(record.get("marketing_start_date")),
            end=text(record.get("marketing_end_date")),
            category=text(record.get("marketing_category")),
            application=text(record.get("application_number")),
            ingredients=self._ingredients(record, texts(known.get("unii")), place),
            classes=", ".join(texts(record.get("pharm_class"))),
            schedule=text(record.get("dea_schedule")),
            rxcui=self._rxcui(texts(known.get("rxcui")), place),
            packages={identity: text(package.get("package_ndc")) for identity, package in packages},
        )
        self._applications.add(product.application, product.category, product.packages, place)
        for resource in medication_and_knowledge(product, self._report, place):
            yield Made(resource, place)
        for identity, package in packages:
            made = Package(
                identity,
                text(package.get("package_ndc")),
                code,
                text(package.get("description")),
                start=text(package.get("marketing_start_date")),
                end=text(package.get("marketing_end_date")),
                name=next(iter(product.names), ""),
                sample=package.get("sample") is True,
            )
            yield Made(packaged_product(made, self._report, place), place)

    def authorizations(self) -> Iterator[Made]:
        """What the products are marketed under, once all of them were read."""
        yield from self._applications.resources("openfda")

    def _packages(self, record: JSON, place: Place) -> Iterator[tuple[str, JSON]]:
        for number, one in enumerate(_list(record.get("packaging"))):
            at = place._replace(column=f"packaging[{number}]")
            code = text(one.get("package_ndc")) if isinstance(one, dict) else ""
            if not _is_code(code, 3):
                self._report.skipped(at, f"{code[:60]!r} is no NDC of a package")
            else:
                yield self._package_ids.next("openfda", code), one

    def _ingredients(self, record: JSON, unii: list[str], place: Place) -> list[Ingredient]:
        found = []
        for number, one in enumerate(_list(record.get("active_ingredients"))):
            at = place._replace(column=f"active_ingredients[{number}]")
            name = text(one.get("name")) if isinstance(one, dict) else ""
            if not name:
                self._report.skipped(at, "an ingredient without a name")
                continue
            amount, _, unit = text(one.get("strength")).partition(" ")
            found.append(Ingredient(name, strength=amount, unit=unit.strip()))
        if len(found) == len(unii) == 1:
            found[0].unii = unii[0]
        elif found and unii:
            reason = f"{len(unii)} UNIIs are left out: which of {len(found)} ingredients they are of is not said"
            self._report.approximated(place, reason)
        return found

    def _rxcui(self, codes: list[str], place: Place) -> str:
        """The RxCUI, if there is one. More are those of all products of the label."""
        if len(codes) > 1:
            reason = f"{len(codes)} RxCUIs of its label are left out: which is that of this product is not said"
            self._report.approximated(place, reason)
        return codes[0] if len(codes) == 1 and codes[0].isdecimal() and codes[0].isascii() else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_code(code: str, segments: int) -> bool:
    return code.count("-") == segments - 1 and bool(readings(code))
