"""Who sends a request, told before anything else is done about it: https://www.rfc-editor.org/rfc/rfc6750

Before the response cache, so that what is given from there is given to those only who may have it. Whoever is refused
goes on to the app, which answers as it answers every other error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.types import StartResponse, WSGIApplication

from flask import Flask, request

from apothecary.access.authorization import Authorization
from apothecary.access.discovery import PATH as DISCOVERY
from apothecary.access.grant import GRANT, SCOPES
from apothecary.errors import FhirError, InvalidToken, MethodNotAllowed, OAuthError, Unauthorized
from apothecary.fhir.json import dumps
from apothecary.interactions.service import Service
from apothecary.rest.exchange import finish
from apothecary.rest.gate import REFUSED
from apothecary.rest.responses import Answer

# What tells whether the server is there and how to get a token, is for everybody.
_PROBES = ("/healthz", "/readyz")
_OPEN = ("metadata", DISCOVERY)
TOKEN = "/fhir/token"  # noqa: S105 (an address)
# https://www.rfc-editor.org/rfc/rfc6749#section-5.1
_PRIVATE = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]
_FORM = "application/x-www-form-urlencoded"
# The largest form in bytes, and the most parameters of it.
LONGEST, MOST = 64 * 1024, 50


class Authenticated:
    """A WSGI application before another one."""

    def __init__(self, app: WSGIApplication, authorization: Authorization, bases: Iterable[str]) -> None:
        self._app = app
        self._bearers = authorization.bearers
        self._realm = authorization.settings.root
        self._open = frozenset((*_PROBES, *(f"{base}/{name}" for base in bases for name in _OPEN)))

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        given = environ.get("HTTP_AUTHORIZATION")
        refused: FhirError
        try:
            grant = self._bearers.grant(self._token(given), environ["PATH_INFO"])
        except FhirError as error:
            refused = error
        except InvalidToken as error:
            refused = self._unauthorized(str(error), "invalid_token")
        else:
            environ[GRANT], environ[SCOPES] = grant, grant.scopes
            return self._app(environ, start)
        if not self._is_open(environ):
            environ[REFUSED] = refused
        return self._app(environ, start)

    def _is_open(self, environ: dict[str, Any]) -> bool:
        method: str = environ["REQUEST_METHOD"]
        path: str = environ["PATH_INFO"]
        if method in ("GET", "HEAD") and (path in self._open or path.rstrip("/") in self._open):
            return True
        # A browser asks beforehand, without the token: https://fetch.spec.whatwg.org/#cors-preflight-fetch
        return method == "OPTIONS" or path.rstrip("/") == TOKEN

    def _token(self, given: str | None) -> str:
        """The token of the header. Raises Unauthorized."""
        if given is None:
            raise self._unauthorized("an access token is needed, in the header Authorization: Bearer")
        scheme, _, token = given.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise self._unauthorized("the header Authorization has no access token: Bearer, a space, and the token")
        return token.strip()

    def _unauthorized(self, why: str, error: str | None = None) -> Unauthorized:
        """https://www.rfc-editor.org/rfc/rfc6750#section-3"""
        told = f', error="{error}", error_description="{_quotable(why)}"' if error is not None else ""
        return Unauthorized(
            why,
            remedy=f"GET {self._realm}/{DISCOVERY} tells where to get one.",
            headers={"WWW-Authenticate": f'Bearer realm="{_quotable(self._realm)}"{told}', "Cache-Control": "no-store"},
        )


def _quotable(text: str) -> str:
    """What may stand in a parameter of the challenge."""
    return "".join(one if " " <= one <= "~" and one not in '"\\' else "'" for one in text)


def register(app: Flask, service: Service, authorization: Authorization, bases: Iterable[str]) -> None:
    """Add the addresses where clients find out how to get a token, and get one."""

    def discovery() -> Answer:
        return _discovery(service, authorization)

    for base in bases:
        app.add_url_rule(f"{base}/{DISCOVERY}", f"{base} smart-configuration", discovery, methods=["GET"])
    if authorization.tokens is not None:
        app.add_url_rule(TOKEN, "token", lambda: _token(service, authorization), methods=["POST"])
        others = ["GET", "PUT", "PATCH", "DELETE"]
        app.add_url_rule(TOKEN, "not token", _only_posted, methods=others)


def _discovery(service: Service, authorization: Authorization) -> Answer:
    """JSON, whatever form is asked for: https://hl7.org/fhir/smart-app-launch/conformance.html#using-well-known"""
    headers = [("Content-Type", "application/json"), ("Cache-Control", "max-age=60")]
    return finish(service, request.environ, Answer(dumps(authorization.discovered()), 200, headers))


def _token(service: Service, authorization: Authorization) -> Answer:
    """https://hl7.org/fhir/smart-app-launch/backend-services.html#obtain-access-token"""
    headers, status = list(_PRIVATE), 200
    try:
        given = authorization.tokens.answer(_form()) if authorization.tokens is not None else {}
        if service.recorder is not None:
            # For the record of the request: who got a token.
            request.environ[GRANT] = authorization.bearers.grant(given["access_token"])
    except OAuthError as error:
        status, given = error.status, {"error": error.error, "error_description": _quotable(error.description)}
        if status == 401:
            headers.append(("WWW-Authenticate", f'Bearer realm="{_quotable(authorization.settings.root)}"'))
    return finish(service, request.environ, Answer(dumps(given), status, headers))


def _form() -> list[tuple[str, str]]:
    """The parameters of the body. Raises OAuthError."""
    if request.mimetype != _FORM:
        raise OAuthError("invalid_request", f"the Content-Type is {_FORM}")
    if (request.content_length or 0) > LONGEST:
        raise OAuthError("invalid_request", f"the form is longer than {LONGEST} bytes")
    body = request.get_data()
    if len(body) > LONGEST:
        raise OAuthError("invalid_request", f"the form is longer than {LONGEST} bytes")
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST)
    except ValueError:
        raise OAuthError("invalid_request", "the body is no form") from None


def _only_posted() -> Answer:
    raise MethodNotAllowed(
        f"{request.method} is not offered at {request.path}",
        remedy="POST a form with an assertion.",
        headers={"Allow": "POST, OPTIONS"},
    )
