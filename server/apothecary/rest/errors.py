"""The one place where an error becomes an HTTP answer: status, headers, OperationOutcome.
https://hl7.org/fhir/R5/http.html#Status-Codes
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, parse_qsl

from flask import Flask
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.exceptions import MethodNotAllowed as RoutingMethodNotAllowed
from werkzeug.exceptions import NotFound as RoutingNotFound

from apothecary.errors import BadRequest, FhirError, Issue, MethodNotAllowed, NotAcceptable, NotFound, whence
from apothecary.fhir.json import dumps, pretty
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import Service
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.rest import addresses, current, pages
from apothecary.rest.exchange import CHOSEN, CONTENT_TYPE, finish, request_id, too_large
from apothecary.rest.forms import FHIR_JSON, HTML, NDJSON, Form, written
from apothecary.rest.headers import VARY
from apothecary.rest.negotiation import READERS, form_of
from apothecary.rest.responses import Answer

log = logging.getLogger("apothecary")

# So much of a request is looked at for the form of an error.
_LOOKED_AT = 2000


def register(app: Flask, service: Service) -> None:
    """Answer every error of the app with an OperationOutcome."""
    app.register_error_handler(Exception, lambda error: answer_to(service, error))


def answer_to(service: Service, error: Exception) -> Answer:
    """What the request in hand is answered with, if it ended in `error`."""
    if isinstance(error, FhirError):
        return _answer(service, error.status, _with_pointer(service, error), dict(error.headers))
    if isinstance(error, HTTPException):
        translated = too_large(service) if isinstance(error, RequestEntityTooLarge) else _translate(error)
        status = error.code if error.code and error.code >= 400 else translated.status
        return _answer(service, status, _with_pointer(service, translated), dict(translated.headers))
    environ = current.environ()
    number = request_id(environ) or secrets.token_hex(8)
    # `finish` sends it back.
    environ["HTTP_X_REQUEST_ID"] = number
    log.error("request %s failed: %s %r\n%s", number, environ["REQUEST_METHOD"], current.path(), whence(error))
    issue = Issue("fatal", "exception", f"The server failed; the error is in its log under {number}.")
    return _answer(service, 500, (issue,), {})


def failed() -> Answer:
    """The answer where not even an error of the app could be answered."""
    body = dumps(operation_outcome((Issue("fatal", "exception", "The server failed."),)))
    return Answer(body, 500, [("Content-Type", CONTENT_TYPE[FhirVersion.R5])])


def refusal(service: Service, environ: dict[str, Any], error: FhirError) -> Answer:
    """The answer to a request that does not come as far as the app, or whose answer is kept back."""
    headers = [*error.headers.items(), ("Content-Type", CONTENT_TYPE[service.settings.fhir_version])]
    return finish(service, environ, Answer(dumps(operation_outcome(error.issues)), error.status, headers))


def _with_pointer(service: Service, error: FhirError) -> tuple[Issue, ...]:
    """The issues of an error; where the address is the fault, the first says which one was probably meant."""
    if not isinstance(error, NotFound | MethodNotAllowed):
        return error.issues
    address = addresses.meant(service, current.path())
    if address is None:
        return error.issues
    first, *others = error.issues
    return replace(first, remedy=f"Did you mean {address}?"), *others


def _translate(error: HTTPException) -> FhirError:
    """What Flask's routing and request parsing complain about, in our words."""
    if isinstance(error, RoutingNotFound):
        return NotFound(
            f"there is nothing at {current.path()}",
            remedy="Addresses are [base]/[type], [base]/[type]/[id] and those below; GET /fhir/metadata lists all.",
        )
    if isinstance(error, RoutingMethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return MethodNotAllowed(
            f"{current.environ()['REQUEST_METHOD']} is not offered at {current.path()}",
            remedy=f"Allowed here: {allowed}.",
            headers={"Allow": allowed},
        )
    return BadRequest(error.description or error.name, code="processing")


def _version(service: Service) -> FhirVersion:
    """The FHIR version of the base that was asked, or that the request chose: an OperationOutcome is written alike in
    all of them.
    """
    segment = current.path().removeprefix("/fhir/").partition("/")[0]
    base = next((one for one in service.registries if one.segment == segment), None)
    if base is not None:
        return base
    chosen: FhirVersion = current.environ().get(CHOSEN, service.settings.fhir_version)
    return chosen


def _answer(service: Service, status: int, issues: tuple[Issue, ...], headers: dict[str, str]) -> Answer:
    environ: dict[str, Any] = current.environ()
    if form_asked(environ) is HTML:
        base = _base(service)
        view = pages.view(service, _version(service), base, environ, parse_qsl(environ.get("QUERY_STRING", "")), status)
        page = pages.page(view, dumps(operation_outcome(issues)))
        return finish(service, environ, pages.respond(page, status, list(headers.items())))
    version, indented = _version(service), environ.get("HTTP_USER_AGENT", "").startswith(READERS)
    body, form = dumps(operation_outcome(issues)), form_asked(environ)
    if form is not FHIR_JSON:
        try:
            body = written(form, body, version, indented=indented)
        except NotAcceptable:
            form = FHIR_JSON
    if form is FHIR_JSON and indented:
        body = pretty(body) + b"\n"
    headers |= {"Content-Type": form.content_type(version), "Vary": VARY}
    return finish(service, environ, Answer(body, status, list(headers.items())))


def form_asked(environ: dict[str, Any]) -> Form:
    """The form that a request asks for, as far as that can be told, whatever else is wrong with it."""
    asked = parse_qs(environ.get("QUERY_STRING", "")[:_LOOKED_AT]).get("_format", [None])[-1]
    form = form_of(environ.get("HTTP_ACCEPT", "")[:_LOOKED_AT], asked)
    return FHIR_JSON if form is NDJSON else form


def _base(service: Service) -> str:
    """The path of the base that was asked, whatever the request says of its host."""
    version = current.path().removeprefix("/fhir/").partition("/")[0]
    return next((f"/fhir/{one.segment}" for one in service.registries if one.segment == version), "/fhir")
