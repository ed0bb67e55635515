"""Keeps a client from asking more often than it may: https://www.rfc-editor.org/rfc/rfc6585#section-4

The step stands behind authentication, so that it knows the client, and before the response cache. Requests that were
refused, and those for tokens, count for their address.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from apothecary.access.grant import GRANT
from apothecary.access.rates import Rates, key_of
from apothecary.errors import TooManyRequests
from apothecary.interactions.service import Service
from apothecary.rest import forwarded
from apothecary.rest.errors import refusal

# Whoever looks after the server must not be kept from it by others at the same address.
PROBES = frozenset({"/healthz", "/readyz"})


class Limited:
    """A WSGI application before another one."""

    def __init__(self, app: WSGIApplication, service: Service) -> None:
        """Raises StartError where the settings make no sense."""
        self._app, self._service = app, service
        self._rates = Rates(service.settings)
        self._trusting = service.settings.trust_forwarded

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] in PROBES:
            return self._app(environ, start)
        grant = environ.get(GRANT)
        address = forwarded.client(environ) if self._trusting else environ.get("REMOTE_ADDR", "")
        seconds = self._rates.wait(key_of(None if grant is None else f"{grant.issuer} {grant.client}", address))
        if seconds is None:
            return self._app(environ, start)
        error = TooManyRequests(
            "this client asks more often than it may",
            remedy=f"Ask again in {seconds} second{'s' if seconds > 1 else ''}.",
            headers={"Retry-After": str(seconds), "Cache-Control": "no-store"},
        )
        return refusal(self._service, environ, error)(environ, start)
