"""Value sets that no resource defines: code systems say by the form of a url what they hold.

https://hl7.org/fhir/R5/snomedct.html#implicit, https://hl7.org/fhir/R4/loinc.html, https://hl7.org/fhir/R4/ucum.html
and https://hl7.org/fhir/R4/rxnorm.html
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from apothecary.fhir import ucum
from apothecary.fhir.references import split_canonical
from apothecary.terminology.sources import ValueSet
from apothecary.terminology.systems import LOINC, RXNORM, SNOMED

_SNOMED = re.compile(
    rf"{re.escape(SNOMED)}(?P<edition>/[0-9]{{1,18}}(?:/version/[0-9]{{1,8}})?)?\?fhir_vs"
    r"(?:=(?:isa/(?P<above>[0-9]{1,18})|(?P<sets>refset)(?:/(?P<set>[0-9]{1,18}))?|ecl/(?P<ecl>.+)))?",
    re.ASCII | re.DOTALL,
)
# An answer list, or a part, below which codes stand.
_LOINC = re.compile(rf"{re.escape(LOINC)}/vs/(?P<code>(?P<kind>LL|LP)[0-9]+-[0-9])", re.ASCII)
_EVERY = {f"{LOINC}/vs": LOINC, f"{RXNORM}/vs": RXNORM}
_COMPARABLE = f"{ucum.SYSTEM}/vs/"


def implicit(canonical: str, version: str | None = None) -> ValueSet | None:
    """The value set that a url defines by its form, None for any other url. `version` is the one that a request wants
    of it: that of its code system. Whether its codes can be told is seen when somebody asks for them.
    """
    match = _SNOMED.fullmatch(canonical)
    if match is not None:
        edition = f"{SNOMED}{match['edition']}" if match["edition"] else None
        return _value_set(canonical, SNOMED, edition, _snomed(match))
    url, _ = split_canonical(canonical)
    if url in _EVERY:
        return _value_set(url, _EVERY[url], version, None)
    match = _LOINC.fullmatch(url)
    if match is not None:
        name = "LIST" if match["kind"] == "LL" else "ancestor"
        return _value_set(url, LOINC, version, (name, "=", match["code"]))
    if url.startswith(_COMPARABLE) and url != _COMPARABLE:
        return _value_set(url, ucum.SYSTEM, version, ("canonical", "=", unquote(url.removeprefix(_COMPARABLE))))
    return None


def _snomed(match: re.Match[str]) -> tuple[str, str, str] | None:
    """The filter, in the words of https://hl7.org/fhir/R5/snomedct.html#filters"""
    if match["above"]:
        return "concept", "is-a", match["above"]
    if match["sets"]:
        return "concept", "in", match["set"] or "*"
    return ("constraint", "=", unquote(match["ecl"])) if match["ecl"] else None


def _value_set(url: str, system: str, version: str | None, chosen: tuple[str, str, str] | None) -> ValueSet:
    include: dict[str, Any] = {"system": system}
    if version is not None:
        include["version"] = version
    if chosen is not None:
        include["filter"] = [dict(zip(("property", "op", "value"), chosen, strict=True))]
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": [include]}}
