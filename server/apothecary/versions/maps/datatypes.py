"""Data types: https://hl7.org/fhir/R5/datatypes.html and https://hl7.org/fhir/R5/dosage.html."""

from __future__ import annotations

from apothecary.versions.rules import Map

MAPS = (
    # asNeededBoolean is R5's asNeeded by name.
    Map("Dosage", "Dosage", renames={"asNeededCodeableConcept": "asNeededFor"}),
)
