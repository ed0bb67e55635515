"""The views of $export and $bulk-publish: https://hl7.org/fhir/uv/bulkdata/

An export is begun by a GET, too, and makes work. So no page of a foreign origin may begin one, and only so many are
kept. It writes nothing that the server serves, so a read-only server offers it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from flask import Flask, Response, request

from apothecary.access.grant import GRANT, Grant
from apothecary.access.scopes import Scopes
from apothecary.bulk import manifest
from apothecary.bulk.exports import Asking, Exports, Status, failure
from apothecary.bulk.job import File
from apothecary.errors import BadRequest, Forbidden, Issue, NotFound, Unreachable
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import http_date, now
from apothecary.interactions.service import Service
from apothecary.operations.base import Call
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.rest.admission import closed_for, from_own_page
from apothecary.rest.encoding import accepts_gzip
from apothecary.rest.exchange import Exchange, finish
from apothecary.rest.headers import harden
from apothecary.rest.responses import Answer
from apothecary.rest.seen import FILE
from apothecary.rest.views import BaseViews
from apothecary.rest.writing import body

NDJSON = "application/fhir+ndjson"
JSON_TYPE = ("Content-Type", "application/json")

# A client is asked to wait a tenth of what it has waited already, in these bounds of seconds.
SOONEST, LATEST = 1, 60

# The first edition of a small catalogue is there at once: so long, in seconds, it is waited for.
PATIENCE = 2.0

_PATIENTS = (
    "it is for the records of patients, and this server holds what is known of medications: there is no patient whose "
    "compartment it could export"
)


def register(app: Flask, service: Service, bases: dict[str, FhirVersion | None], exports: Exports) -> None:
    """Add the routes of every base."""
    for prefix, version in bases.items():
        views = BulkViews(service, prefix, version, exports)
        for path, name, methods in (
            ("/$export", "kick_off", ["GET", "POST"]),
            ("/$export/<job>", "status", ["GET"]),
            ("/$export/<job>", "cancel", ["DELETE"]),
            ("/$export/<job>/<int:number>.ndjson", "file", ["GET"]),
            ("/$bulk-publish", "publication", ["GET"]),
            ("/$bulk-publish/<digest>.ndjson", "published", ["GET"]),
            ("/Patient/$export", "of_patients", ["GET", "POST"]),
            ("/Patient/<resource_id>/$export", "of_patients", ["GET", "POST"]),
            ("/Group/<resource_id>/$export", "of_patients", ["GET", "POST"]),
        ):
            endpoint = f"{prefix} {methods[0]} bulk_{name} {path}"
            app.add_url_rule(prefix + path, endpoint, getattr(views, name), methods=methods)


class BulkViews(BaseViews):
    """The views of one base."""

    def __init__(self, service: Service, prefix: str, version: FhirVersion | None, exports: Exports) -> None:
        super().__init__(service, prefix, version)
        self._exports = exports

    # -- https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-kick-off-request

    def kick_off(self) -> Answer:
        exchange = self.exchange()
        if not from_own_page(self.service.settings, exchange.environ):
            closed = closed_for(self.service.settings, exchange.environ | {"REQUEST_METHOD": "POST"})
            raise Forbidden(
                "an export makes work, and a page of another origin may read only",
                remedy=closed.remedy if closed else None,
            )
        if exchange.preference("respond-async") is None:
            raise BadRequest(
                "$export answers later, and has to be asked to",
                expression="Prefer",
                code="required",
                remedy="Send the header Prefer: respond-async.",
            )
        identity = self._exports.kick_off(
            _asking(exchange),
            exchange.version,
            exchange.base,
            f"{exchange.base}/$export{f'?{exchange.text}' if exchange.text else ''}",
            _given(exchange),
            lenient=exchange.preference("handling") == "lenient",
        )
        where = _address(exchange, identity)
        begun = Issue(
            "information", "informational", "The export has begun.", remedy=f"GET {where} tells how far it is."
        )
        return exchange.respond(dumps(operation_outcome([begun])), [("Content-Location", where), _NOT_KEPT], 202)

    def of_patients(self, **_: str) -> Answer:
        self.exchange()
        raise NotFound(
            f"$export is offered for the whole system; {_PATIENTS}",
            code="not-supported",
            remedy="GET [base]/$export; _type and _typeFilter choose from it.",
        )

    # -- https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-status-request

    def status(self, job: str) -> Answer:
        exchange = self.exchange(native=True)
        found = self._exports.status(job, _asking(exchange))
        page = _page(found, dict(exchange.pairs).get("page"))
        if found.job.failed:
            raise failure(found.job)
        told = manifest.exported(found.job, _address(exchange, job), page)
        headers = [JSON_TYPE, _NOT_KEPT]
        if found.job.done:
            headers.append(("Expires", http_date(found.expires)))
        elif "link" not in told:
            waited = (now() - found.job.created) // 1_000_000
            headers.append(("X-Progress", _progress(found)))
            headers.append(("Retry-After", str(max(SOONEST, min(LATEST, waited // 10)))))
            return exchange.respond_native(dumps(told) if page else b"", headers if page else headers[1:], 202)
        return exchange.respond_native(dumps(told), headers)

    def cancel(self, job: str) -> Answer:
        exchange = self.exchange(native=True)
        if not from_own_page(self.service.settings, exchange.environ):
            raise Forbidden("a page of another origin may read only")
        self._exports.cancel(job, _asking(exchange).owner)
        return exchange.respond(b"", [], 202)

    # -- https://hl7.org/fhir/uv/bulkdata/STU2/export.html#bulk-data-output-file-request

    def file(self, job: str, number: int) -> Response:
        exchange = self.exchange(native=True)
        file = self._exports.file(job, number, _asking(exchange))
        return self._file(exchange, file, [("Cache-Control", "no-store")])

    # -- https://hl7.org/fhir/uv/bulkdata/4.0.0-202609-ballot/en/publish.html

    def publication(self) -> Answer:
        exchange = self.exchange(native=True)
        exchange.service.permit_all("rs")
        version = exchange.version
        end = time.monotonic() + PATIENCE
        while (found := self._exports.publication(version)) is None:
            if time.monotonic() > end:
                raise Unreachable("the first edition is being made; try again", headers={"Retry-After": "5"})
            # Meanwhile others have its turn.
            with self._exports.aside():
                time.sleep(0.05)
        seconds = self.service.settings.publish_seconds
        protected = self.service.settings.authorized
        told = manifest.published(found[1], f"{exchange.base}/$bulk-publish", seconds, protected=protected)
        headers = [JSON_TYPE]
        return exchange.respond_lasting(dumps(told), headers, native=True, lasting=False)

    def published(self, digest: str) -> Response:
        exchange = self.exchange(native=True)
        exchange.service.permit_all("rs")
        file = self._exports.published(exchange.version, digest)
        tag = f'"{digest}"'
        headers = [("Cache-Control", "public, max-age=31536000, immutable"), ("ETag", tag)]
        if exchange.not_modified(tag, None):
            return exchange.respond_native(b"", headers, 304)
        return self._file(exchange, file, headers)

    def _file(self, exchange: Exchange, file: File, headers: list[tuple[str, str]]) -> Response:
        """A file, piece by piece, without a turn: what it takes is one piece at a time."""
        environ = exchange.environ
        environ[FILE] = file.type, file.count
        gzip = accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        content = self._exports.content(file, gzip=gzip)
        headers += [("Content-Type", NDJSON), ("Content-Length", str(content.size))]
        headers += [("Content-Encoding", "gzip")] if gzip else []
        told = finish(self.service, environ, Answer(b"", 200, [*headers, ("Vary", "Accept-Encoding")]))
        listed = list(told.headers.items())
        harden(listed)
        return Response(content.parts, 200, listed, direct_passthrough=True)


def _asking(exchange: Exchange) -> Asking:
    """Who sent the request."""
    grant: Grant | None = exchange.environ.get(GRANT)
    if grant is None:
        return Asking(exchange.service)
    owner = json.dumps([grant.issuer, grant.client, grant.subject])

    def sees(scopes: Sequence[str]) -> bool:
        return Scopes.known(grant.scopes).find_all_of(Scopes.known(scopes))

    return Asking(exchange.service, owner, grant.scopes, sees)


_NOT_KEPT = ("Cache-Control", "no-store")


def _address(exchange: Exchange, job: str) -> str:
    return f"{exchange.base}/$export/{job}"


def _given(exchange: Exchange) -> list[tuple[str, str]]:
    """The parameters of the address, and those that were posted."""
    if request.method != "POST" or not exchange.body():
        return exchange.pairs
    posted = body(exchange)
    if not isinstance(posted, dict) or posted.get("resourceType") != "Parameters":
        raise BadRequest("the body of a kick-off is a Parameters resource", expression="Parameters", code="structure")
    call = Call(exchange.service, exchange.version, exchange.base, None, None, tuple(exchange.pairs), posted)
    return [*exchange.pairs, *(_value(one) for one in call.listed)]


def _value(one: dict[str, Any]) -> tuple[str, str]:
    name = one.get("name")
    values = [value for key, value in one.items() if key.startswith("value")]
    if not isinstance(name, str) or len(values) != 1:
        raise BadRequest(f"the parameter {name!r} has one value", expression="Parameters.parameter", code="structure")
    value = values[0]
    if isinstance(value, dict) and name == "patient":
        value = value.get("reference", "")
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str):
        raise BadRequest(f"{name} is a string", expression=name, code="value")
    return name, value


def _page(found: Status, text: str | None) -> int | None:
    """Which manifest is asked for, of those that the client allowed to be several."""
    if not found.job.wanted.partial:
        return None
    number = text or "1"
    if not number.isascii() or not number.isdigit() or int(number[:9]) < 1:
        raise BadRequest(f"page={number}: write a number", expression="page", code="value")
    return int(number[:9])


def _progress(found: Status) -> str:
    """Less than 100 characters, as the specification asks; no number first, which clients take for a percentage."""
    job = found.job
    if job.selecting:
        return "asking the filters"
    return f"in progress: {job.resources} resources, {job.at} of {len(job.wanted.types)} types"
