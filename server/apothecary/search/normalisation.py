"""How codes stand in the index, so that all the ways to write one code find each other.

Whether case counts is for the code system to say (https://hl7.org/fhir/R5/codesystem-definitions.html#CodeSystem.caseSensitive);
where nobody says, it does not, as the specification asks: what is found too much is less dangerous than what is missed
(https://hl7.org/fhir/R5/search.html#token). Codes of a system in `NOTATIONS` can be written in several ways besides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Protocol

from apothecary.fhir import ndc
from apothecary.fhir.caches import short_cache
from apothecary.fhir.definitions import definitions
from apothecary.fhir.hl7_terminology import hl7_terminology
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.search.predicates import Compare
from apothecary.search.text import key

# Stands before a code that was folded, so that a folded code is never taken for one written that way.
FOLDED = "~"

# Systems that say so elsewhere than in a CodeSystem resource of the specification.
_SENSITIVE = frozenset({"http://unitsofmeasure.org", "http://terminology.hl7.org/CodeSystem/special-values"})


class Notation(Protocol):
    """What a code system knows of its ways to write a code."""

    def forms(self, code: str) -> tuple[str, ...]:
        """The index values of every code that `code` may mean; none where it is not written as one."""

    def below(self, code: str) -> list[Compare]:
        """Conditions on the index, any of which a code meets that `code` contains, itself included."""

    def above(self, code: str) -> list[Compare]:
        """Conditions on the index, any of which a code meets that contains `code`, itself included."""


_NDC = f"{FOLDED}ndc "


@short_cache(16384, longest=50)
def _ndc_forms(code: str) -> tuple[str, ...]:
    """Several resources of a catalogue, and several parameters of each, have the code of one package."""
    return tuple([f"{_NDC}{one}" for one in ndc.readings(code)])


class NdcNotation:
    """National Drug Codes: packages in every form of 10 to 12 digits, and the products they are of."""

    def forms(self, code: str) -> tuple[str, ...]:
        return _ndc_forms(code)

    def below(self, code: str) -> list[Compare]:
        # A package begins with the digits of its product.
        return [Compare("code", "prefix", one) for one in self.forms(code)]

    def above(self, code: str) -> list[Compare]:
        found = [form for one in ndc.readings(code) for form in (one, one.of_product)]
        return [Compare("code", "=", f"{_NDC}{one}") for one in dict.fromkeys(found)]


NOTATIONS: Mapping[str, Notation] = {"http://hl7.org/fhir/sid/ndc": NdcNotation()}


@dataclass(frozen=True)
class Systems:
    """What is known of code systems when content is indexed: `case_sensitive` is what the content's CodeSystems say."""

    case_sensitive: Mapping[str, bool] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """Tells it from others that say something else."""
        return hashlib.sha256(dumps(dict(self.case_sensitive))).hexdigest()

    def sensitive(self, system: str) -> bool:
        """Whether codes of `system` differ by case."""
        published = _published(system)
        return self.case_sensitive.get(system, False) if published is None else published

    def forms(self, system: str, code: str) -> tuple[str, ...]:
        """`code` as searches look for it: as written where case counts, folded and marked where it does not; one form
        for each meaning where the way it is written leaves several.
        """
        notation = NOTATIONS.get(system)
        return (notation.forms(code) if notation is not None else ()) or (self._written(system, code),)

    def beginning(self, system: str, text: str) -> str:
        """How the index writes the beginning of codes of `system`."""
        return self._written(system, text)

    def _written(self, system: str, code: str) -> str:
        return key(code if self.sensitive(system) else FOLDED + code.casefold())

    def indexed(self, system: str, code: str) -> tuple[str, ...]:
        """What stands in the index for `code`: its forms, and with them the way it was written, of which a search may
        know the beginning only (`:code-text`).
        """
        written = self._written(system, code)
        notation = NOTATIONS.get(system)
        return (written,) if notation is None else (*(notation.forms(code) or (written,)), written)

    def all_forms(self, system: str, codes: Iterable[str]) -> tuple[str, ...]:
        """The forms of many codes of one system, each once."""
        return tuple(dict.fromkeys(form for code in codes for form in self.forms(system, code)))


STANDARD = Systems()


def any_forms(code: str) -> tuple[str, ...]:
    """The forms that `code` has in the index if nothing is known of its system."""
    found = [key(code), key(FOLDED + code.casefold())]
    for notation in NOTATIONS.values():
        found += notation.forms(code)
    return tuple(dict.fromkeys(found))


@short_cache(4096)
def _published(system: str) -> bool | None:
    """What HL7 says of case in `system`: its terminology, or the newest release that says anything; None where none
    does.
    """
    if system in _SENSITIVE:
        return True
    if not system:
        return None
    releases = (
        definitions(version).code_system(system) for version in (FhirVersion.R5, FhirVersion.R4B, FhirVersion.R4)
    )
    for found in chain([hl7_terminology().code_system(system)], releases):
        if found is not None and found.case_sensitive is not None:
            return found.case_sensitive
    return None


def stated(code_systems: Iterable[Mapping[str, Any]]) -> dict[str, bool]:
    """What CodeSystem resources say of case, by url; where two disagree, case does not count."""
    found: dict[str, bool] = {}
    for one in code_systems:
        url, sensitive = one.get("url"), one.get("caseSensitive")
        if isinstance(url, str) and isinstance(sensitive, bool):
            found[url] = found.get(url, True) and sensitive
    return dict(sorted(found.items()))
