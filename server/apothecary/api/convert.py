"""Conversion between FHIR releases: https://hl7.org/fhir/R5/versions.html#extensions"""

from __future__ import annotations

from apothecary.api.given import Given, release, resource_in
from apothecary.errors import BadRequest
from apothecary.fhir.releases import FhirVersion
from apothecary.versions import Conversion
from apothecary.versions import convert as _convert


def convert(resource: Given, to: FhirVersion | str, from_: FhirVersion | str | None = None) -> Conversion:
    """A resource as another release writes it, in `.resource`; what of it is only approximate, in `.issues`.

    Nothing is lost: what the other release has no element for stands in HL7's cross-version extensions, and so does the
    original of each approximation, so that the way back restores it. `from_` is the release that the resource is
    written in: by default the one that it claims, or else R5.

    >>> from apothecary import convert
    >>> priced = {"resourceType": "MedicationKnowledge", "cost": [{"costCodeableConcept": {"text": "cheap"}}]}
    >>> conversion = convert(priced, to="R4", from_="R5")
    >>> conversion.issues[0].diagnostics
    'MedicationKnowledge.cost.cost: the other release cannot say this value; the original is in its extension'
    >>> convert(conversion.resource, to="R5", from_="R4").resource == priced
    True

    Raises NotSupported where the other release has no such type, InvalidContent where the resource cannot be read or is
    not built as its release defines it, BadRequest for another release, TypeError for what cannot be a resource.
    """
    target = release(to, "to")
    if target is None:
        raise BadRequest("to: write R4, R4B or R5", expression="to", code="required")
    value, source = resource_in(resource, release(from_, "from_"))
    return _convert(value, source, target)
