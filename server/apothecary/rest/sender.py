"""Who sent a request, and what of the service is his: https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html"""

from __future__ import annotations

from typing import Any

from apothecary.access.grant import GRANT, Grant
from apothecary.interactions.service import Service

# Where the WSGI environment holds the service of whoever sent the request.
_SERVICE = "apothecary.service"


def of_sender(service: Service, environ: dict[str, Any]) -> Service:
    """What of `service` those see who sent a request: all of it where nobody is asked who he is."""
    if service.guards is None:
        return service
    found: Service | None = environ.get(_SERVICE)
    if found is None:
        grant: Grant | None = environ.get(GRANT)
        found = environ[_SERVICE] = service.guards.of(grant.scopes if grant is not None else ())
    return found
