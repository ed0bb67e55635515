"""openFDA's drug labels and NDC directory as they are offered for download: JSON files of many records, in parts, each
in a zip file. https://open.fda.gov/data/downloads/
"""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.importers.formats import Given, Made
from apothecary.importers.openfda import labels, products
from apothecary.importers.openfda.records import records
from apothecary.importers.openfda.told import Told
from apothecary.importers.report import Place
from apothecary.importers.sources import members


def resources(given: Given) -> Iterator[Made]:
    """See apothecary.importers.formats. What a record is, is seen by its fields."""
    told = Told(given.report)
    listed = products.Products(given.report, told)
    for member in members(given.paths, given.report):
        if not member.file_name.endswith(".json"):
            given.report.skipped(Place(member.name), "is no JSON file")
            continue
        for place, record in records(member, given.report):
            if products.is_product(record):
                yield from listed.resources(record, place)
            elif labels.is_label(record):
                yield from labels.resources(record, place, given.report, told)
            else:
                given.report.skipped(place, "is a record of neither a label nor a product")
    yield from listed.authorizations()
