"""The formats that `apothecary import` reads, one module each, loaded when it is asked for.

A module has a function `resources(given) -> Iterator[Made]`: what the files state, as FHIR R5, resource by resource, in
an order in which what is referred to may come later. It reads as a stream: what it keeps in memory grows with the
number of things that are named, not with the size of the files. The same files give the same resources, ids and all,
so that importing them again changes nothing.

It may have more functions: `edition(given)` says which edition of its catalogue the files are, where they say so, and
`catalogue(given)` which catalogue, where the format has none of its own; each option of the format that `prints` is a
function that gives a text, and then nothing is imported.
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
    """A resource, and where it comes from. `dated` is the day, as `2025-11-27`, on which the source says that it was
    changed last; where the format is not `dated` nobody asks for it.
    """

    resource: JSON
    place: Place
    dated: str = ""


class Option(NamedTuple):
    """An option that a format has on the command line: `name` without its hyphens, and what it means in a sentence.
    Without a `metavar` it is a flag. One that `prints` is a flag, and a function of the module has its name.
    """

    name: str
    said: str
    metavar: str | None = None
    prints: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """What an importer is given. `options` are those of the format (`Format.options`), as they were written."""

    paths: Sequence[Path]
    report: Report
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Format:
    """A format. `said` is what it takes, in a sentence; `publisher` and `page` say whose files these are; `catalogue`
    is the uri that its resources have in `meta.source`, in each edition.
    """

    name: str
    title: str
    said: str
    publisher: str
    page: str
    catalogue: str | None
    whole: bool
    """Whether the files are the whole of a catalogue, so that what is not in them is withdrawn."""
    dated: bool = False
    """Whether the source dates the changes of what it holds: see `Made.dated`."""
    options: Sequence[Option] = ()

    @property
    def resources(self) -> Callable[[Given], Iterator[Made]]:
        """What reads it."""
        return self._module.resources  # type: ignore[no-any-return]  # a module found by its name

    def edition(self, given: Given) -> str | None:
        """The edition that the files say they are."""
        return self._module.edition(given) if hasattr(self._module, "edition") else None

    def catalogue_of(self, given: Given) -> str | None:
        """The catalogue that the files are of."""
        return self._module.catalogue(given) if hasattr(self._module, "catalogue") else self.catalogue

    def printed(self, option: Option, given: Given) -> str:
        """What one of the options that print gives."""
        return str(getattr(self._module, option.name)(given))

    @property
    def _module(self) -> Any:
        return import_module(f"apothecary.importers.{self.name}")


FORMATS: Mapping[str, Format] = {
    one.name: one
    for one in (
        Format(
            "ndc",
            "National Drug Code Directory",
            "The NDC directory: product.txt and package.txt, or the zip file that holds them.",
            "U.S. Food and Drug Administration",
            "https://www.fda.gov/drugs/drug-approvals-and-databases/national-drug-code-directory",
            "https://www.fda.gov/#ndc",
            whole=True,
            options=(Option("as-of", "What is not marketed any more on that day is inactive.", "DATE"),),
        ),
        Format(
            "rxnorm",
            "RxNorm",
            "RxNorm: RXNCONSO.RRF, RXNREL.RRF and RXNSAT.RRF, or the zip file that holds them.",
            "U.S. National Library of Medicine",
            "https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html",
            "https://www.nlm.nih.gov/#rxnorm",
            whole=True,
        ),
        Format(
            "spl",
            "Structured Product Labels",
            "Structured Product Labels: XML files, or zip files of them, as DailyMed publishes them.",
            "U.S. Food and Drug Administration",
            "https://dailymed.nlm.nih.gov/dailymed/spl-resources.cfm",
            "https://dailymed.nlm.nih.gov/#spl",
            whole=False,
            dated=True,
        ),
        Format(
            "openfda",
            "openFDA",
            "openFDA's drug labels and NDC directory: JSON files, or zip files of them.",
            "U.S. Food and Drug Administration",
            "https://open.fda.gov/data/downloads/",
            "https://open.fda.gov/#openfda",
            whole=False,
            dated=True,
        ),
        Format(
            "dmd",
            "NHS dictionary of medicines and devices (dm+d)",
            "dm+d: the XML files of VTM, VMP, VMPP, AMP, AMPP, ingredients, lookups and GTIN, or a zip file of them.",
            "NHS Business Services Authority",
            "https://www.nhsbsa.nhs.uk/pharmacies-gp-practices-and-appliance-contractors/dictionary-medicines-and-devices-dmd",
            "https://www.nhsbsa.nhs.uk/#dmd",
            whole=True,
        ),
        Format(
            "table",
            "Table of drugs",
            "Any table of drugs or interactions: CSV, TSV or XLSX, with a mapping file that says what the columns are.",
            "whoever wrote the table",
            "https://hl7.org/fhir/R5/medicationknowledge.html",
            None,
            whole=True,
            options=(
                Option("mapping", "The mapping file, YAML, which says what each column is.", "FILE"),
                Option("guess", "Print a mapping that the table seems to ask for, and import nothing.", prints=True),
            ),
        ),
    )
}
