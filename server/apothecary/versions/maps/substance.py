"""Substance: https://hl7.org/fhir/R5/substance.html and https://hl7.org/fhir/R4/substance.html."""

from __future__ import annotations

from apothecary.fhir.json import JSON
from apothecary.versions.rules import Derived, Map


def _is_instance(substance: JSON) -> bool:
    return bool(substance.get("instance"))


MAPS = (
    Map(
        "Substance",
        "Substance",
        older_parts=("instance",),
        derived={"instance": Derived(_is_instance, "true when R4 lists a package")},
        apart=frozenset({"instance", "instance.identifier"}),
    ),
)
