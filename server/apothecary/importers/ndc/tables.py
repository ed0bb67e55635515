"""The files of an NDC directory, told apart by the names of their columns, and what stands beside them.

https://www.fda.gov/drugs/drug-approvals-and-databases/ndc-product-file-definitions and
https://www.fda.gov/drugs/drug-approvals-and-databases/ndc-package-file-definitions: finished drugs have more columns
than unfinished ones, and later years have more than earlier ones. UNIIs by name:
https://precision.fda.gov/uniisearch; RxCUIs by set id of a label:
https://dailymed.nlm.nih.gov/dailymed/app-support-mapping-files.cfm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from apothecary.errors import StartError
from apothecary.importers.dailymed import COLUMNS
from apothecary.importers.delimited import Row, columns, rows
from apothecary.importers.report import Place, Report
from apothecary.importers.sources import Member, Torn, members

Kind = Literal["product", "package", "unii", "rxnorm"]

# Each file is read more than once: what is wrong with it is told the first time.
SILENT = Report(lambda remark: None)

# The columns that every edition has, and those that some have.
_ALWAYS: dict[Kind, tuple[str, ...]] = {
    "product": (
        "PRODUCTID", "PRODUCTNDC", "PRODUCTTYPENAME", "NONPROPRIETARYNAME", "DOSAGEFORMNAME", "STARTMARKETINGDATE",
        "ENDMARKETINGDATE", "MARKETINGCATEGORYNAME", "LABELERNAME", "SUBSTANCENAME", "ACTIVE_NUMERATOR_STRENGTH",
        "ACTIVE_INGRED_UNIT", "DEASCHEDULE",
    ),
    "package": ("PRODUCTID", "PRODUCTNDC", "NDCPACKAGECODE", "PACKAGEDESCRIPTION"),
    "unii": ("NAME", "UNII"),
    "rxnorm": ("SETID", "RXCUI"),
}  # fmt: skip
_SOMETIMES: dict[Kind, tuple[str, ...]] = {
    "product": (
        "PROPRIETARYNAME", "PROPRIETARYNAMESUFFIX", "ROUTENAME", "APPLICATIONNUMBER", "PHARM_CLASSES",
        "NDC_EXCLUDE_FLAG",
    ),
    "package": ("STARTMARKETINGDATE", "ENDMARKETINGDATE", "NDC_EXCLUDE_FLAG", "SAMPLE_PACKAGE"),
}  # fmt: skip
_CERTIFIED = "LISTING_RECORD_CERTIFIED_THROUGH"


@dataclass(frozen=True, slots=True)
class Tables:
    """The files of one kind or another in what was given."""

    paths: Sequence[Path]
    kinds: dict[str, tuple[Kind, str]]
    """By the name of a file: its kind, and what separates its columns."""

    def rows(self, kind: Kind, report: Report) -> Iterator[tuple[str, Row]]:
        """Each row of each file of a kind, with the name of the file."""
        # What cannot be opened was told before.
        quiet = Report(lambda remark: None)
        quiet.reading = report.reading
        for member in members(self.paths, quiet):
            found = self.kinds.get(member.name)
            if found is not None and found[0] == kind:
                for row in rows(member, report, found[1]):
                    yield member.name, row

    def has(self, kind: Kind) -> bool:
        """Whether there is a file of the kind."""
        return any(one == kind for one, _ in self.kinds.values())


def tables(paths: Sequence[Path], report: Report) -> Tables:
    """The files of an NDC directory in `paths`. Others are told and passed over; so are columns that are missing, or
    unknown. Raises StartError where there is none of products or packages.
    """
    kinds: dict[str, tuple[Kind, str]] = {}
    for member in members(paths, report):
        try:
            separator, names = columns(member)
        except Torn as error:
            report.skipped(Place(member.name), f"cannot be read: {error}")
            continue
        kind = _kind({name.upper() for name in names})
        if kind is None:
            report.skipped(Place(member.name), "is no file of an NDC directory, by the columns in its first line")
        elif member.name in kinds:
            report.skipped(Place(member.name), "was given twice")
        else:
            kinds[member.name] = kind, separator
            _tell_columns(kind, names, member, report)
    if not {"product", "package"} & {kind for kind, _ in kinds.values()}:
        raise StartError("product.txt and package.txt of an NDC directory are not in what was given")
    return Tables(paths, kinds)


def _kind(names: Set[str]) -> Kind | None:
    if "NDCPACKAGECODE" in names:
        return "package"
    if {"PRODUCTNDC", "LABELERNAME"} <= names:
        return "product"
    if {"NAME", "UNII"} <= names:
        return "unii"
    return "rxnorm" if names >= COLUMNS else None


def _tell_columns(kind: Kind, names: Sequence[str], member: Member, report: Report) -> None:
    for column in _ALWAYS[kind]:
        if column not in names and kind in _SOMETIMES:
            report.approximated(Place(member.name, 1, column), "the column is missing")
    for column in names if kind in _SOMETIMES else ():
        if column == _CERTIFIED:
            report.approximated(
                Place(member.name, 1, column),
                "is not kept: where a listing ran out, NDC_EXCLUDE_FLAG is E, and the product inactive",
            )
        elif column and column not in _ALWAYS[kind] and column not in _SOMETIMES[kind]:
            report.skipped(Place(member.name, 1, column), "the column is not known here")
