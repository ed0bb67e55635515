"""What the views of one base share: https://hl7.org/fhir/R5/http.html#root"""

from __future__ import annotations

from urllib.parse import parse_qs

from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import Service
from apothecary.rest import binary, current
from apothecary.rest.exchange import Exchange
from apothecary.rest.sender import of_sender


class BaseViews:
    """The views of one base; each kind of interaction adds its own."""

    def __init__(self, service: Service, prefix: str, version: FhirVersion | None) -> None:
        """`prefix` is the path of the base; `version` its FHIR version, None where the request chooses."""
        self._service = service
        self.prefix = prefix
        self.version = version

    @property
    def service(self) -> Service:
        """The service of whoever sent the request in hand: no view has another one."""
        return of_sender(self._service, current.environ())

    def exchange(self, *, native: bool = False) -> Exchange:
        """The request in hand; `native` where it is not about FHIR's form. Raises FhirError where it cannot be answered
        in the form that it asks for.
        """
        return Exchange(self._service, self.prefix, self.version, native=native)

    def wants_content(self, resource_type: str) -> bool:
        """Whether the request in hand wants what a Binary holds: https://hl7.org/fhir/R5/binary.html"""
        return resource_type == binary.TYPE and _wants_content()


def _wants_content() -> bool:
    environ = current.environ()
    asked = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    return binary.wants_content(environ.get("HTTP_ACCEPT", ""), asked)
