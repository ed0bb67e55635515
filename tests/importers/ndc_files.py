"""Files of an NDC directory, written for a test, and what is made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from apothecary.fhir.json import JSON
from apothecary.importers.formats import FORMATS, Given
from apothecary.importers.report import Remark, Report

SAMPLES = Path(__file__).parents[1] / "data" / "ndc"

PRODUCT = (
    "PRODUCTID", "PRODUCTNDC", "PRODUCTTYPENAME", "PROPRIETARYNAME", "PROPRIETARYNAMESUFFIX", "NONPROPRIETARYNAME",
    "DOSAGEFORMNAME", "ROUTENAME", "STARTMARKETINGDATE", "ENDMARKETINGDATE", "MARKETINGCATEGORYNAME",
    "APPLICATIONNUMBER", "LABELERNAME", "SUBSTANCENAME", "ACTIVE_NUMERATOR_STRENGTH", "ACTIVE_INGRED_UNIT",
    "PHARM_CLASSES", "DEASCHEDULE", "NDC_EXCLUDE_FLAG", "LISTING_RECORD_CERTIFIED_THROUGH",
)  # fmt: skip
PACKAGE = (
    "PRODUCTID", "PRODUCTNDC", "NDCPACKAGECODE", "PACKAGEDESCRIPTION", "STARTMARKETINGDATE", "ENDMARKETINGDATE",
    "NDC_EXCLUDE_FLAG", "SAMPLE_PACKAGE",
)  # fmt: skip

Row = Mapping[str, str]


class Made(NamedTuple):
    """What was made, in its order, and what was told."""

    resources: list[JSON]
    told: list[Remark]

    def of(self, resource_type: str) -> list[JSON]:
        """The resources of a type."""
        return [one for one in self.resources if one["resourceType"] == resource_type]

    @property
    def remarks(self) -> list[str]:
        """What was told, with the names of files alone, but what is told of every directory."""
        said = (str(one._replace(place=one.place._replace(file=Path(one.place.file).name))) for one in self.told)
        return [one for one in said if "LISTING_RECORD_CERTIFIED_THROUGH" not in one]


def made(*paths: Path, **options: str) -> Made:
    """What the importer makes of files."""
    told: list[Remark] = []
    given = Given(paths, Report(told.append), options)
    return Made([one.resource for one in FORMATS["ndc"].resources(given)], told)


def product(code: str = "0002-1407", **columns: str) -> Row:
    """The row of a product, with the columns that matter."""
    first = {"PRODUCTID": f"{code}_14757f9d-f641-4836-acf3-229265588d1d", "PRODUCTNDC": code, "NDC_EXCLUDE_FLAG": "N"}
    return {**first, "NONPROPRIETARYNAME": "Thing", "LABELERNAME": "Eli Lilly and Company", **columns}


def package(code: str = "0002-1407-01", description: str = "10 mL in 1 VIAL (0002-1407-01)", **columns: str) -> Row:
    """The row of a package of the product whose code begins its own."""
    of = code.rpartition("-")[0]
    first = {"PRODUCTID": f"{of}_14757f9d-f641-4836-acf3-229265588d1d", "PRODUCTNDC": of, "NDCPACKAGECODE": code}
    return {**first, "PACKAGEDESCRIPTION": description, "NDC_EXCLUDE_FLAG": "N", "SAMPLE_PACKAGE": "N", **columns}


def table(names: Sequence[str], rows: Sequence[Row]) -> str:
    """A file with those columns."""
    lines = [names, *([row.get(name, "") for name in names] for row in rows)]
    return "".join("\t".join(line) + "\r\n" for line in lines)


def directory(folder: Path, products: Sequence[Row], packages: Sequence[Row] = ()) -> Path:
    """The two files of a directory, in a folder."""
    (folder / "product.txt").write_text(table(PRODUCT, products), "cp1252", newline="")
    (folder / "package.txt").write_text(table(PACKAGE, packages), "cp1252", newline="")
    return folder


def made_of(folder: Path, products: Sequence[Row], packages: Sequence[Row] = (), **options: str) -> Made:
    """What the importer makes of rows."""
    return made(directory(folder, products, packages), **options)
