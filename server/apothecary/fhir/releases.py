"""The FHIR releases that Apothecary speaks: https://hl7.org/fhir/R5/versions.html and http.html#version-parameter."""

from __future__ import annotations

from enum import StrEnum


class FhirVersion(StrEnum):
    """A FHIR release. The value is the name used in options and messages."""

    R4 = "R4"
    R4B = "R4B"
    R5 = "R5"

    # That of an Enum is written in Python, and much is looked up by a release.
    __hash__ = str.__hash__

    @property
    def number(self) -> str:
        """The full version, as in `CapabilityStatement.fhirVersion`: `4.0.1`."""
        return _NUMBER[self]

    @property
    def mime(self) -> str:
        """The value of the `fhirVersion` MIME-type parameter: `4.0`."""
        return _NUMBER[self].rpartition(".")[0]

    @property
    def segment(self) -> str:
        """The path segment of this release's base and the folder of its data: `r4`."""
        return self.value.lower()


_NUMBER = {FhirVersion.R4: "4.0.1", FhirVersion.R4B: "4.3.0", FhirVersion.R5: "5.0.0"}


def parse_version(text: str) -> FhirVersion | None:
    """The release that `text` names (`R4B`, `r4b`, `4.3`, `4.3.0`), or None."""
    wanted = text.strip().upper()
    for version in FhirVersion:
        if wanted in (version.value, version.mime, version.number):
            return version
    return None
