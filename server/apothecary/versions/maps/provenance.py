"""Provenance: https://hl7.org/fhir/R5/provenance.html and https://hl7.org/fhir/R4/provenance.html."""

from __future__ import annotations

from apothecary.versions.rules import Codes, Map

MAPS = (
    Map("Provenance", "Provenance", renames={"reason": "authorization"}),
    Map(
        "Provenance.entity",
        "Provenance.entity",
        # PROV-DM: revision, quotation and primary source are the kinds of derivation; "source" claims least of them.
        codes={"role": Codes(newer={"derivation": "source"}, older={"instantiates": "derivation"})},
    ),
)
