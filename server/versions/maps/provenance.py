"""Provenance: https://hl7.org/fhir/R5/provenance.html and https://hl7.org/fhir/R4/provenance.html."""

from __future__ import annotations

from server.versions.rules import Codes, Map

MAPS = (
    Map("Provenance", "Provenance", renames={"reason": "authorization"}),
    Map(
        "Provenance.entity",
        "Provenance.entity",
        # PROV-DM calls revision, quotation and primary source the kinds of derivation; to say "source" claims the least of the three.
        codes={"role": Codes(newer={"derivation": "source"}, older={"instantiates": "derivation"})},
    ),
)
