"""What the views of one base share: https://hl7.org/fhir/R5/http.html#root"""

from __future__ import annotations

from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import Service
from apothecary.rest.exchange import Exchange


class BaseViews:
    """The views of one base; each kind of interaction adds its own."""

    def __init__(self, service: Service, prefix: str, version: FhirVersion | None) -> None:
        """`prefix` is the path of the base; `version` its FHIR version, None where the request chooses."""
        self.service = service
        self.prefix = prefix
        self.version = version

    def exchange(self) -> Exchange:
        """The request in hand. Raises FhirError where it cannot be answered in the form that it asks for."""
        return Exchange(self.service, self.prefix, self.version)
