"""What the files of the U.S. Food and Drug Administration have in common: code systems, dates, schedules, classes."""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Final

from apothecary.fhir.json import JSON
from apothecary.importers.report import Place, Report

NDC: Final = "http://hl7.org/fhir/sid/ndc"
UNII: Final = "http://fdasis.nlm.nih.gov"
RXNORM: Final = "http://www.nlm.nih.gov/research/umls/rxnorm"
NCIT: Final = "http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl"
# The root of the identifiers of applications in labels: https://www.fda.gov/media/84201/download.
APPLICATIONS: Final = "urn:oid:2.16.840.1.113883.3.150"

# Controlled substances by https://www.deadiversion.usdoj.gov/schedules/ as labels code them:
# https://www.fda.gov/industry/structured-product-labeling-resources/dea-schedule.
DEA_SCHEDULES: Final = {"CI": "C48672", "CII": "C48675", "CIII": "C48676", "CIV": "C48677", "CV": "C48679"}
DEA: Final = "U.S. Drug Enforcement Administration"
FDA: Final = "U.S. Food and Drug Administration"

_DAY = re.compile(r"(\d{4})(\d\d)(\d\d)", re.ASCII)
# Names of classes have commas, and brackets of their own; the kind in brackets is what ends one.
_CLASS_END = re.compile(r"(?<=\]),\s*")
_CLASS = re.compile(r"(.*?)\s*\[([^\[\]]+)\]", re.DOTALL)


@lru_cache(8192)
def day(text: str) -> str | None:
    """`20190628` as a FHIR date; None for what is no day of the calendar."""
    found = _DAY.fullmatch(text)
    if found is None:
        return None
    try:
        return date(*map(int, found.groups())).isoformat()
    except ValueError:
        return None


def schedule(text: str) -> JSON:
    """A DEA schedule, `CII`; one that is not known has its text alone."""
    code = DEA_SCHEDULES.get(text)
    return {"coding": [{"system": NCIT, "code": code, "display": text}], "text": text} if code else {"text": text}


def classes(text: str) -> list[tuple[str, str]]:
    """The pharmacologic classes in `Insulin [CS], Insulin Analog [EPC]`, each with its kind, which is empty for one
    that has none.
    """
    found = []
    for one in _CLASS_END.split(text.strip()):
        match = _CLASS.fullmatch(one)
        if match is not None and match[1]:
            found.append((match[1], match[2]))
        elif one.strip():
            found.append((one.strip(), ""))
    return found


def period(start: str, end: str, report: Report, place: Place) -> JSON:
    """The Period from one day to another, of which either may be blank: https://hl7.org/fhir/R5/datatypes.html#Period.
    What is no day, and an end before the start, is told and left out.
    """
    found: JSON = {}
    for name, column, text in (("start", "STARTMARKETINGDATE", start), ("end", "ENDMARKETINGDATE", end)):
        if not text:
            continue
        if (written := day(text)) is None:
            report.approximated(place._replace(column=column), f"{text} is no day: left out")
        else:
            found[name] = written
    if "start" in found and "end" in found and found["end"] < found["start"]:
        said = f"{found.pop('end')} is before the start, {found['start']}: left out"
        report.approximated(place._replace(column="ENDMARKETINGDATE"), said)
    return found
