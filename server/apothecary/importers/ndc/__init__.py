"""The NDC directory: product.txt and package.txt as the U.S. Food and Drug Administration publishes them each day.

https://www.fda.gov/drugs/drug-approvals-and-databases/national-drug-code-directory. A product is a Medication and a
MedicationKnowledge, a package a PackagedProductDefinition, a labeler an Organization, an application (NDA, ANDA, BLA)
a RegulatedAuthorization whose subjects are the packages that are marketed under it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from apothecary.errors import StartError
from apothecary.fhir.json import JSON
from apothecary.fhir.ndc import readings
from apothecary.importers.delimited import Row
from apothecary.importers.fda import day
from apothecary.importers.formats import Given, Made
from apothecary.importers.ids import Ids, stable_id
from apothecary.importers.listed_applications import Applications
from apothecary.importers.listed_packages import Package, packaged_product
from apothecary.importers.listed_products import Product, medication_and_knowledge
from apothecary.importers.ndc.known import rxcui_by_set_id, substances, unii_by_name
from apothecary.importers.ndc.listing import Status, ingredients, split
from apothecary.importers.ndc.tables import SILENT, Tables, tables
from apothecary.importers.report import Place, Report


@dataclass(slots=True)
class _Listed:
    """What is known of a product beyond its row: the NDCs of its packages by their ids, and what these need of it."""

    packages: dict[str, str] = field(default_factory=dict)
    name: str = ""
    active: bool = True
    seen: bool = False


def resources(given: Given) -> Iterator[Made]:
    """Everything that the files list, products first. What is kept in memory are the codes, not what they stand for.
    Raises StartError where there is no file of products or packages.
    """
    status = Status(_as_of(given), given.report)
    directory = tables(given.paths, given.report)
    listed: dict[str, _Listed] = {}
    for _, row, identity in _packages(directory, SILENT):
        listed.setdefault(_key(row), _Listed()).packages[identity] = row.fields["NDCPACKAGECODE"].strip()
    applications = Applications()
    yield from _products(directory, status, listed, applications, given.report)
    for place, row, identity in _packages(directory, given.report):
        yield Made(_package(row, identity, listed[_key(row)], status, given.report, place), place)
    yield from applications.resources("ndc")


def _as_of(given: Given) -> str:
    text = str(given.options.get("as-of") or "")
    if text and day(text.replace("-", "")) != text:
        raise StartError(f"--as-of: {text} is no day such as 2019-06-28")
    return text


def _products(
    directory: Tables,
    status: Status,
    listed: dict[str, _Listed],
    applications: Applications,
    report: Report,
) -> Iterator[Made]:
    unii = unii_by_name(directory, substances(directory), report) if directory.has("unii") else {}
    rxcui = rxcui_by_set_id(directory, report) if directory.has("rxnorm") else {}
    labelers: set[str] = set()
    ids = Ids()
    for file, row in directory.rows("product", report):
        place = Place(file, row.line)
        fields = {column: value.strip() for column, value in row.fields.items()}
        code = fields.get("PRODUCTNDC", "")
        known = listed.setdefault(_key(row), _Listed())
        if not _is_code(code, 2):
            report.skipped(place._replace(column="PRODUCTNDC"), f"{code!r} is no NDC of a product")
            continue
        if known.seen:
            report.skipped(place._replace(column="PRODUCTID"), f"{_key(row)} stands in another row already")
            continue
        labeler = fields.get("LABELERNAME", "")
        organization = stable_id("ndc-labeler", labeler) if labeler else ""
        if labeler and organization not in labelers:
            labelers.add(organization)
            yield Made({"resourceType": "Organization", "id": organization, "active": True, "name": labeler}, place)
        product = _product(fields, code, ids.next("ndc", code), organization)
        product.ingredients = ingredients(fields, lambda name: unii.get(name.upper(), ""), report, place)
        product.active = status.active(fields, place)
        product.rxcui = rxcui.get(fields.get("PRODUCTID", "").partition("_")[2].lower(), "")
        product.packages = known.packages
        known.name, known.active, known.seen = next(iter(product.names), ""), product.active, True
        applications.add(product.application, product.category, known.packages, place)
        for resource in medication_and_knowledge(product, report, place):
            yield Made(resource, place)


def _product(fields: dict[str, str], code: str, identity: str, organization: str) -> Product:
    brand = f"{fields.get('PROPRIETARYNAME', '')} {fields.get('PROPRIETARYNAMESUFFIX', '')}".strip()
    names = (brand, fields.get("NONPROPRIETARYNAME", ""))
    return Product(
        identity,
        code,
        organization,
        names=list(dict.fromkeys(name for name in names if name)),
        kind=fields.get("PRODUCTTYPENAME", ""),
        form=fields.get("DOSAGEFORMNAME", ""),
        routes=[route for route in split(fields.get("ROUTENAME", "")) if route],
        start=fields.get("STARTMARKETINGDATE", ""),
        end=fields.get("ENDMARKETINGDATE", ""),
        category=fields.get("MARKETINGCATEGORYNAME", ""),
        application=fields.get("APPLICATIONNUMBER", ""),
        classes=fields.get("PHARM_CLASSES", ""),
        schedule=fields.get("DEASCHEDULE", ""),
    )


def _packages(directory: Tables, report: Report) -> Iterator[tuple[Place, Row, str]]:
    """Each row of a package, and the id of what it becomes, the same each time."""
    ids = Ids()
    # A folder may hold the zip file and what was in it.
    rows: set[int] = set()
    for file, row in directory.rows("package", report):
        place = Place(file, row.line)
        code = row.fields["NDCPACKAGECODE"].strip()
        whole = hash(tuple(row.fields.values()))
        if not _is_code(code, 3):
            report.skipped(place._replace(column="NDCPACKAGECODE"), f"{code!r} is no NDC of a package")
        elif whole in rows:
            report.skipped(place, "the same row was there before")
        else:
            rows.add(whole)
            yield place, row, ids.next("ndc", code)


def _package(row: Row, identity: str, known: _Listed, status: Status, report: Report, place: Place) -> JSON:
    fields = {column: value.strip() for column, value in row.fields.items()}
    code = fields["NDCPACKAGECODE"]
    product = fields.get("PRODUCTNDC", "")
    if not _is_code(product, 2):
        report.approximated(
            place._replace(column="PRODUCTNDC"), f"{product!r} is no NDC of a product: that of the package"
        )
        product = code.rpartition("-")[0]
    if not known.seen:
        report.approximated(place._replace(column="PRODUCTID"), "no row of a product has it: the package has no name")
    package = Package(
        identity,
        code,
        product,
        fields.get("PACKAGEDESCRIPTION", ""),
        start=fields.get("STARTMARKETINGDATE", ""),
        end=fields.get("ENDMARKETINGDATE", ""),
        name=known.name,
        sample=fields.get("SAMPLE_PACKAGE", "") == "Y",
        active=status.active(fields, place) and known.active,
    )
    return packaged_product(package, report, place)


def _key(row: Row) -> str:
    """What joins products and packages."""
    return row.fields.get("PRODUCTID", "").strip() or row.fields.get("PRODUCTNDC", "").strip()


def _is_code(text: str, segments: int) -> bool:
    return text.count("-") == segments - 1 and bool(readings(text))
