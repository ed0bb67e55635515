"""Filters that a code system defines for itself, beside those of every code system.

https://hl7.org/fhir/R5/snomedct.html#filters, https://hl7.org/fhir/R4/loinc.html#filters and
https://hl7.org/fhir/R4/ucum.html#filters
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from apothecary.errors import NotEnumerable
from apothecary.fhir import ucum

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"

# One concept with what stands above or below it; a term may follow between bars (https://docs.snomed.org/ecl).
_ECL = re.compile(r"\s*(?P<op><<|<!|<|>>|)\s*(?P<code>[0-9]{1,18}|\*)\s*(?:\|[^|]*\|\s*)?", re.ASCII)
_ECL_OPERATORS: Mapping[str, str] = {"": "=", "<<": "is-a", "<": "descendent-of", "<!": "child-of", ">>": "generalizes"}
_CONSTRAINTS = frozenset({"constraint", "expression"})


class Filter(NamedTuple):
    """A filter in the words that every code system understands."""

    name: str
    operator: str
    value: str


def filter_of(system: str, name: str, operator: str, value: str) -> Filter:
    """A filter as it is for all code systems, where `system` defines one of its own; else as it was. Raises
    NotEnumerable for one that the code system defines and that cannot be told here.
    """
    asked = Filter(name, operator, value)
    if system == SNOMED:
        if name == "concept" and operator == "in":
            raise NotEnumerable(f"the members of the reference sets of {system} are not held here: concept in {value}")
        return _constraint(value) if name in _CONSTRAINTS and operator == "=" else asked
    if system == LOINC and name == "ancestor" and operator == "=":
        return Filter("concept", "descendent-of", value)
    return asked


def _constraint(text: str) -> Filter:
    match = _ECL.fullmatch(text)
    if match is None or (match["code"] == "*" and match["op"] not in ("", "<<", ">>")):
        raise NotEnumerable(
            f"of SNOMED CT's expression constraints those of one concept are understood here, not {text[:200]!r}",
            remedy="Write * or a concept, with <, <<, <! or >> before it; or compose a ValueSet of several.",
        )
    if match["code"] == "*":
        return Filter("code", "exists", "true")
    return Filter("code", _ECL_OPERATORS[match["op"]], match["code"])


def comparable(unit: str, other: str) -> bool:
    """Whether quantities in two UCUM units can be compared. Raises UcumError for what is no unit."""
    one, two = ucum.parse_unit(unit), ucum.parse_unit(other)
    return one.code == two.code or (one.convertible and two.convertible and one.dimension == two.dimension)
