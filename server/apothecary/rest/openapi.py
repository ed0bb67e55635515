"""The view of the OpenAPI documents: https://spec.openapis.org/oas/v3.1.1.html"""

from __future__ import annotations

from apothecary.errors import BadRequest
from apothecary.fhir.json import dumps, pretty
from apothecary.interactions import openapi
from apothecary.rest.responses import Answer
from apothecary.rest.views import BaseViews

_TAKEN = ("type", "schemas")


class OpenApiViews(BaseViews):
    """The documents of one base."""

    def openapi(self) -> Answer:
        """The document of the base, or with `?type=` of one resource type; `?schemas=false` leaves out what a resource
        is made of. It is no FHIR, so `Accept` is not asked.
        """
        exchange = self.exchange(native=True)
        parameters, _ = exchange.parameters(_TAKEN)
        given = parameters.get("schemas", "true")
        if given not in ("true", "false"):
            raise BadRequest(f"schemas={given}: write true or false", expression="schemas")
        kind, whole = parameters.get("type"), given == "true"
        body = dumps(openapi.document(exchange.acting, exchange.version, exchange.base, kind, schemas=whole))
        shown = pretty(body) + b"\n" if exchange.wanted.pretty else body
        return exchange.respond_lasting(shown, [("Content-Type", "application/json")], native=True)
