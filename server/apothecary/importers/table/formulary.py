"""A formulary: the tables that were given, as FHIR, and the mapping that is proposed for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from apothecary.errors import StartError
from apothecary.importers.formats import Given, Made
from apothecary.importers.report import Place, Report
from apothecary.importers.sources import Member, Torn, members
from apothecary.importers.table import delimited, workbook
from apothecary.importers.table.cells import Sheet
from apothecary.importers.table.drug_rows import DrugRows
from apothecary.importers.table.guess import proposed
from apothecary.importers.table.header import found, places
from apothecary.importers.table.interactions import InteractionRows
from apothecary.importers.table.mapping import Mapping, read_mapping
from apothecary.importers.table.rows import Known

# What lies beside tables and is none; and what would be tables in another format.
_BESIDE = (".yaml", ".yml", ".md")
_OTHERS = {".xls": "Excel 97", ".xlsb": "Excel's binary format", ".ods": "OpenDocument", ".numbers": "Numbers"}


def resources(given: Given) -> Iterator[Made]:
    """The drugs, or the interactions, of the tables. Raises StartError without a mapping, or where none of them fits
    it.
    """
    mapping = _mapping(given)
    if mapping is None:
        raise StartError(
            "--mapping FILE says what the columns are; `apothecary import table --guess TABLE` proposes such a file"
        )
    kind = InteractionRows if mapping.of_interactions() else DrugRows
    known = Known()
    fitting, refused = 0, ""
    for member in members(given.paths, given.report, whole=workbook.SUFFIXES):
        if member.file_name.endswith(_BESIDE):
            continue
        try:
            with _sheet(member, given.report, mapping) as sheet:
                name = f"{member.name}[{sheet.name}]" if sheet.name else member.name
                columns = mapping.specified()
                header, first = found(sheet.rows, mapping.header, list(columns))
                where = places(header, list(columns), mapping.ignore, name, given.report)
                fitting += 1
                rows = kind(name, mapping, header, where, given.report, known)
                for resource, place in rows.made(chain(first, sheet.rows)):
                    yield Made(resource, place)
        except Torn as error:
            refused = refused or f"{member.name}: {error}"
            given.report.skipped(Place(member.name), str(error))
    if not fitting:
        raise StartError(refused or "there is no table among the files")


def catalogue(given: Given) -> str | None:
    """What names the table in each edition: the mapping says it."""
    mapping = _mapping(given)
    return None if mapping is None else mapping.catalogue


def guess(given: Given) -> str:
    """A mapping for the first of the tables, as the text of a file. Raises StartError where none can be read."""
    for member in members(given.paths, given.report, whole=workbook.SUFFIXES):
        if member.file_name.endswith(_BESIDE):
            continue
        try:
            with _sheet(member, Report(lambda _: None), None) as sheet:
                return proposed(member.name, sheet)
        except Torn as error:
            raise StartError(f"{member.name}: {error}") from error
    raise StartError("there is no table among the files")


def _mapping(given: Given) -> Mapping | None:
    path = given.options.get("mapping")
    return None if path is None else read_mapping(Path(path))


@contextmanager
def _sheet(member: Member, report: Report, mapping: Mapping | None) -> Iterator[Sheet]:
    """The table in a file, as the mapping says that it is to be read. Raises Torn."""
    wanted = mapping.sheet if mapping is not None else None
    suffix = Path(member.file_name).suffix
    if suffix in _OTHERS:
        raise Torn(f"is a file of {_OTHERS[suffix]}: save it as .xlsx or .csv")
    if suffix in workbook.SUFFIXES:
        with workbook.sheet(member, report, wanted) as sheet:
            yield sheet
        return
    with member.open() as stream:
        start = stream.read(1024)
    if (b"\0" in start and not start.startswith((b"\xff\xfe", b"\xfe\xff"))) or start.startswith(b"%PDF"):
        raise Torn("is no table of text")
    if wanted is not None:
        raise Torn(f"has no sheets, and so none that is called {wanted!r}")
    if mapping is None:
        yield Sheet("", delimited.rows(member, report, None, None))
    else:
        columns = list(mapping.columns)
        yield Sheet("", delimited.rows(member, report, mapping.separator, mapping.encoding, columns))
