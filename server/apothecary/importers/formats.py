"""The formats that `apothecary import` reads, one module each, loaded when it is asked for.

A module has a function `resources(given) -> Iterator[Made]`: what the files state, as FHIR R5, resource by resource, in
an order in which what is referred to may come later. It reads as a stream: what it keeps in memory grows with the
number of things that are named, not with the size of the files. The same files give the same resources, ids and all,
so that importing them again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from apothecary.fhir.json import JSON
from apothecary.importers.report import Place, Report


class Made(NamedTuple):
    """A resource, and where it comes from."""

    resource: JSON
    place: Place


@dataclass(frozen=True, slots=True)
class Given:
    """What an importer is given. `options` are those of the format (`Format.options`), as they were written."""

    paths: Sequence[Path]
    report: Report
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """A format. `said` is what it takes, in a sentence; `publisher` and `page` say whose files these are."""

    name: str
    said: str
    publisher: str
    page: str

    @property
    def resources(self) -> Callable[[Given], Iterator[Made]]:
        """What reads it."""
        return import_module(f"apothecary.importers.{self.name}").resources  # type: ignore[no-any-return]


FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format(
            "ndc",
            "The NDC directory: product.txt and package.txt, or the zip file that holds them.",
            "U.S. Food and Drug Administration",
            "https://www.fda.gov/drugs/drug-approvals-and-databases/national-drug-code-directory",
        ),
        Format(
            "rxnorm",
            "RxNorm: RXNCONSO.RRF, RXNREL.RRF and RXNSAT.RRF, or the zip file that holds them.",
            "U.S. National Library of Medicine",
            "https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html",
        ),
        Format(
            "spl",
            "Structured Product Labels: XML files, or zip files of them, as DailyMed publishes them.",
            "U.S. Food and Drug Administration",
            "https://dailymed.nlm.nih.gov/dailymed/spl-resources.cfm",
        ),
        Format(
            "openfda",
            "openFDA's drug labels and NDC directory: JSON files, or zip files of them.",
            "U.S. Food and Drug Administration",
            "https://open.fda.gov/data/downloads/",
        ),
        Format(
            "dmd",
            "dm+d: the XML files of VTM, VMP, VMPP, AMP, AMPP, ingredients, lookups and GTIN, or a zip file of them.",
            "NHS Business Services Authority",
            "https://www.nhsbsa.nhs.uk/pharmacies-gp-practices-and-appliance-contractors/dictionary-medicines-and-devices-dmd",
        ),
        Format(
            "table",
            "Any table: CSV, TSV or XLSX, with a mapping file that says which column is which element.",
            "whoever wrote the table",
            "https://hl7.org/fhir/R5/medicationknowledge.html",
        ),
    )
}
