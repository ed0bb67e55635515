"""A release of dm+d as FHIR: every file is read twice, for what others refer to and for the resources."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from apothecary.errors import StartError
from apothecary.fhir.json import JSON
from apothecary.importers.dmd import packs, products
from apothecary.importers.dmd.files import CONCEPTS, PARTS, Held, Record, Tally, read
from apothecary.importers.dmd.terms import Terms
from apothecary.importers.formats import Given, Made
from apothecary.importers.report import Place, Report
from apothecary.importers.sources import members

_MAKERS: Mapping[str, Callable[[Record, Terms], Iterator[JSON]]] = {
    "VTM": products.moiety,
    "ING": products.substance,
    "VMP": products.virtual,
    "AMP": products.actual,
    "VMPP": packs.virtual_pack,
    "AMPP": packs.actual_pack,
}
# Whatever they say, lookups stand as codes where they are used; only this one becomes resources.
_SUPPLIERS = "SUPPLIER"
_SUFFIX = ".xml"
_DATED = re.compile(r"f_[a-z]+[0-9]?_[0-9](0[1-9]|[12][0-9]|3[01])(0[1-9]|1[0-2])([0-9]{2})\.xml")


def resources(given: Given) -> Iterator[Made]:
    """What the files state. Raises StartError where none of them is of dm+d."""
    report, tally, held = given.report, Tally(), Held()
    found = False
    for member in members(given.paths, report):
        if not member.file_name.endswith(_SUFFIX):
            # Notes and schemas that come with a release: no drug is missing without them.
            report.approximated(Place(member.name), "is not XML by its name, and passed over")
            continue
        for record in read(member, report, tally):
            found = True
            if record.name == "INFO":
                # Suppliers are referred to, and so have to have a code.
                if record.table != _SUPPLIERS or _is_code(record.fields.get("CD", "")):
                    held.take(record)
            elif _is_code(record.code):
                held.take(record)
    tally.tell(report)
    if not found:
        raise StartError("there is no file of dm+d among them, such as f_vmp2_3010419.xml")
    yield from _made(given, held)


def edition(given: Given) -> str | None:
    """The day of the release, as `2019-04-01`, which stands in the names of its files: `f_vmp2_3010419.xml`."""
    for member in members(given.paths, Report(lambda _: None)):
        if (named := _DATED.fullmatch(member.file_name)) is not None:
            day, month, year = named.groups()
            return f"20{year}-{month}-{day}"
    return None


def _made(given: Given, held: Held) -> Iterator[Made]:
    report, tally = given.report, Tally()
    terms = Terms(held, report, tally)
    # What is wrong with the files was told when they were read first.
    silent = Report(lambda _: None)
    seen: dict[str, set[str]] = {name: set() for name in (*CONCEPTS, _SUPPLIERS)}
    for member in members(given.paths, silent):
        if not member.file_name.endswith(_SUFFIX):
            continue
        for record in read(member, silent, Tally()):
            kind = record.name
            code = record.fields.get("CD", "") if kind == "INFO" else record.code
            if kind == "INFO" and record.table != _SUPPLIERS:
                if "CDPREV" in record.fields:
                    said = f"what codes of the lookup {record.table} were before is left out"
                    tally.add("approximated", said, record.place._replace(column="CDPREV"))
                continue
            if not _is_code(code):
                report.skipped(
                    record.place, f"<{kind}> without a code: {code!r}" if code else f"<{kind}> without a code"
                )
            elif kind in PARTS:
                owner = PARTS[kind][0]
                if not held.concepts[owner]:
                    tally.add("skipped", f"<{kind}>: there is no file with <{owner}>", record.place)
                elif code not in held.concepts[owner]:
                    report.skipped(record.place, f"<{kind}> belongs to {code}, which is not in the files")
            elif code in seen[_SUPPLIERS if kind == "INFO" else kind]:
                report.skipped(record.place, f"{code} stands in the files before; the first is taken")
            else:
                seen[_SUPPLIERS if kind == "INFO" else kind].add(code)
                make = products.supplier if kind == "INFO" else _MAKERS[kind]
                for resource in make(record, terms):
                    yield Made(resource, record.place)
    tally.tell(report)


def _is_code(text: str) -> bool:
    """Whether a text has the form of a SNOMED CT identifier: https://terminology.hl7.org/SNOMEDCT.html"""
    return 6 <= len(text) <= 18 and text.isascii() and text.isdigit()
