"""What HL7 Terminology (THO) publishes for all releases: https://terminology.hl7.org

The code systems of HL7's own that FHIR had in R4 and R4B moved there and went on; R5 holds none of them.
`make definitions` writes the tables. Nothing is read before it is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from apothecary.fhir.lines import Lines
from apothecary.fhir.terminology import CodeSystem

_FOLDER = Path(__file__).parent / "data" / "terminology"


class NamedSystem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A code system by its preferred URI: what else it is called. `others` are URIs and OIDs (as `urn:oid:`) that its
    publisher or HL7 gave it, `names` what people call it.
    """

    others: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


_CODE_SYSTEM = msgspec.json.Decoder(CodeSystem)
_VALUE_SET = msgspec.json.Decoder(dict[str, Any])
_NAMED = msgspec.json.Decoder(dict[str, NamedSystem])


class HL7Terminology:
    """The tables. Get them by `hl7_terminology()`; only tests give a folder of their own."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._folder = folder
        self._code_systems = Lines(folder / "codesystems.json", _CODE_SYSTEM)
        self._value_sets = Lines(folder / "valuesets.json", _VALUE_SET)

    def code_system(self, url: str) -> CodeSystem | None:
        """The code system of that url; None when there is none."""
        return self._code_systems.get(url)

    def code_system_urls(self) -> tuple[str, ...]:
        """The urls of all code systems, sorted."""
        return self._code_systems.names()

    def has_code_system(self, url: str) -> bool:
        """Whether there is a code system of that url; cheaper than reading it."""
        return url in self._code_systems

    def value_set(self, url: str) -> Mapping[str, Any] | None:
        """The ValueSet resource of that url, as far as it says what is in it; None when there is none."""
        return self._value_sets.get(url)

    def has_value_set(self, url: str) -> bool:
        """Whether there is a value set of that url; cheaper than reading it."""
        return url in self._value_sets

    def value_set_urls(self) -> tuple[str, ...]:
        """The urls of all value sets, sorted."""
        return self._value_sets.names()

    def named_systems(self) -> Mapping[str, NamedSystem]:
        """All code systems that have a NamingSystem or are published there, by the URI that FHIR wants; whoever asks
        keeps what it needs.
        """
        return _NAMED.decode((self._folder / "systems.json").read_bytes())


@cache
def hl7_terminology() -> HL7Terminology:
    """The tables, shared by the whole process."""
    return HL7Terminology()
