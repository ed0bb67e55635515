"""What files beside an NDC directory know of it: the UNIIs of substances, by name, and the RxCUIs of labels."""

from __future__ import annotations

from collections.abc import Mapping, Set

from apothecary.importers.dailymed import rxcuis
from apothecary.importers.ndc.tables import SILENT, Tables
from apothecary.importers.report import Place, Report


def unii_by_name(tables: Tables, names: Set[str], report: Report) -> Mapping[str, str]:
    """The UNII of each of `names`, in capital letters. A name that two substances have is told, and has none."""
    found: dict[str, set[str]] = {}
    for _, row in tables.rows("unii", report):
        fields = {column.upper(): value.strip() for column, value in row.fields.items()}
        if (name := fields["NAME"].upper()) in names and fields["UNII"]:
            found.setdefault(name, set()).add(fields["UNII"])
    for name, codes in found.items():
        if len(codes) > 1:
            report.approximated(_file(tables, "unii"), f"{name} has several UNIIs, and gets none: {_listed(codes)}")
    return {name: next(iter(codes)) for name, codes in found.items() if len(codes) == 1}


def rxcui_by_set_id(tables: Tables, report: Report) -> Mapping[str, str]:
    """The RxCUI of the only drug in a label, by the label's set id. Those of a label with more cannot be told apart by
    product.
    """
    found = rxcuis(row for _, row in tables.rows("rxnorm", report))
    for label, codes in found.items():
        if len(codes) > 1:
            report.approximated(_file(tables, "rxnorm"), f"label {label} has several RxCUIs: {_listed(codes)}")
    return {label: next(iter(codes)) for label, codes in found.items() if len(codes) == 1}


def substances(tables: Tables) -> Set[str]:
    """The names of substances in the products, in capital letters."""
    names: set[str] = set()
    for _, row in tables.rows("product", SILENT):
        names.update(name.strip() for name in row.fields.get("SUBSTANCENAME", "").upper().split(";"))
        names.add(row.fields.get("SUBSTANCENAME", "").strip().upper())
    return names


def _file(tables: Tables, kind: str) -> Place:
    return Place(next(name for name, (one, _) in tables.kinds.items() if one == kind))


def _listed(codes: Set[str]) -> str:
    return ", ".join(sorted(codes))
