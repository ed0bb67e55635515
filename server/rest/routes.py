"""Every address of the server, and the view that answers it. Views only translate: what an interaction means is in
`interactions`.
"""

from __future__ import annotations

from flask import Flask, request

from server.errors import BadRequest, FhirError
from server.fhir.json import dumps
from server.fhir.releases import FhirVersion
from server.interactions import capabilities, history, read, search, subset
from server.interactions.service import Service
from server.rest import pages
from server.rest.exchange import Exchange, entity_headers, finish, origin_allowed
from server.rest.negotiation import check_content_type
from server.rest.responses import Answer

FORM = frozenset({"application/x-www-form-urlencoded"})
REQUEST_HEADERS = (
    "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, "
    "X-Request-Id"
)
READ_PARAMETERS = ("_summary", "_elements")


def bases(service: Service) -> dict[str, FhirVersion | None]:
    """The path of every base and its version: `/fhir` chooses by request, `/fhir/r5` and its like are fixed."""
    return {"/fhir": None, **{f"/fhir/{version.segment}": version for version in service.registries}}


def register(app: Flask, service: Service) -> None:
    """Add all routes to the app."""
    for prefix, version in bases(service).items():
        views = Views(service, prefix, version)
        app.add_url_rule(f"{prefix}/metadata", f"{prefix} capabilities", views.capabilities, methods=["GET"])
        by_route: dict[tuple[str, str], str] = {}
        for one in capabilities.INTERACTIONS:
            by_route.setdefault((one.path, one.method), one.code)
        for (path, method), code in by_route.items():
            view = getattr(views, code.replace("-", "_"))
            app.add_url_rule(prefix + path, f"{prefix} {method} {code} {path}", view, methods=[method])
    app.add_url_rule("/", "index", lambda: _index(service), methods=["GET"])
    app.add_url_rule("/healthz", "healthz", lambda: _plain(service, {"status": "ok"}), methods=["GET"])
    app.add_url_rule("/readyz", "readyz", lambda: _ready(service), methods=["GET"])


class Views:
    """The views of one base."""

    def __init__(self, service: Service, prefix: str, version: FhirVersion | None) -> None:
        self.service = service
        self.prefix = prefix
        self.version = version

    def exchange(self) -> Exchange:
        return Exchange(self.service, self.prefix, self.version)

    # -- https://hl7.org/fhir/R5/http.html#capabilities

    def capabilities(self) -> Answer:
        exchange = self.exchange()
        mode = dict(exchange.pairs).get("mode", "full")
        if mode not in ("full", "normative"):
            raise BadRequest(
                f"mode={mode} is not offered", expression="mode", code="not-supported", remedy="Use mode=full."
            )
        body, tag = capabilities.capabilities(self.service, exchange.version, exchange.base)
        headers = [("ETag", tag), ("Cache-Control", "no-cache")]
        return (
            exchange.respond(b"", headers, 304) if exchange.not_modified(tag, None) else exchange.respond(body, headers)
        )

    # -- https://hl7.org/fhir/R5/http.html#read

    def read(self, resource_type: str, resource_id: str) -> Answer:
        exchange = self.exchange()
        found = read.read(self.service, exchange.version, resource_type, resource_id)
        return self._resource(exchange, found.version, found.updated, found.body or b"")

    def vread(self, resource_type: str, resource_id: str, version_id: str) -> Answer:
        exchange = self.exchange()
        found = read.vread(self.service, exchange.version, resource_type, resource_id, version_id)
        return self._resource(exchange, found.version, found.updated, found.body or b"")

    def _resource(self, exchange: Exchange, version: int, updated: int, body: bytes) -> Answer:
        headers = entity_headers(version, updated)
        if exchange.pairs:
            parameters, ignored = exchange.parameters(READ_PARAMETERS)
            body = _subset(exchange, body, parameters)
            headers += [
                ("Warning", f'299 - "{name} is not a parameter of read and was ignored"')
                for name in ignored
                if name.isidentifier()
            ]
        if exchange.not_modified(version, updated):
            return exchange.respond(b"", headers, 304)
        return exchange.respond(body, headers)

    # -- https://hl7.org/fhir/R5/http.html#history

    def history_instance(self, resource_type: str, resource_id: str) -> Answer:
        exchange = self.exchange()
        return exchange.respond(
            history.history(
                self.service,
                exchange.version,
                exchange.base,
                resource_type,
                resource_id,
                exchange.pairs,
                strict=exchange.strict,
            ),
            [],
        )

    # -- https://hl7.org/fhir/R5/http.html#search

    def search_type(self, resource_type: str) -> Answer:
        exchange = self.exchange()
        text = None if request.method == "POST" else exchange.text
        if text is None:
            _read_form(exchange)
        body = search.search(
            self.service,
            exchange.version,
            exchange.base,
            resource_type,
            exchange.pairs,
            strict=exchange.strict,
            text=text,
        )
        return exchange.respond(body, [])

    def search_system(self) -> Answer:
        exchange = self.exchange()
        if request.method == "POST":
            _read_form(exchange)
        return exchange.respond(
            search.search(self.service, exchange.version, exchange.base, None, exchange.pairs, strict=exchange.strict),
            [],
        )


def _subset(exchange: Exchange, body: bytes, parameters: dict[str, str]) -> bytes:
    summary = parameters.get("_summary", "false")
    elements = [one.strip() for one in parameters.get("_elements", "").split(",") if one.strip()]
    if summary not in ("true", "text", "data", "false"):
        raise BadRequest(f"_summary={summary}: write true, text, data or false", expression="_summary")
    return body if summary == "false" and not elements else subset.subset(body, exchange.version, summary, elements)


def _read_form(exchange: Exchange) -> None:
    """The parameters in the body of a search by POST: https://hl7.org/fhir/R5/http.html#search"""
    check_content_type(request.headers.get("Content-Type", ""), exchange.version, FORM)
    limit = exchange.service.settings.body_limit
    try:
        exchange.add(request.get_data(cache=False).decode("utf-8"))
    except UnicodeDecodeError:
        raise BadRequest("the form is not UTF-8 text") from None
    if limit and (request.content_length or 0) > limit:
        raise BadRequest(f"the form is longer than {limit} bytes")


def _index(service: Service) -> Answer:
    """What a person finds at the root, in a browser or with curl."""
    held = [one for one in service.store.types() if service.registry(service.settings.fhir_version).serves(one)]
    if "text/html" in request.environ.get("HTTP_ACCEPT", ""):
        body = pages.index(list(bases(service)), held, capabilities.DESCRIPTION).encode()
        headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"), ("Vary", "Accept")]
        return finish(service, request.environ, Answer(body, 200, headers))
    start = {"metadata": "/fhir/metadata"} | {one: f"/fhir/{one}" for one in sorted(held)}
    return _plain(service, {"name": "Apothecary", "about": pages.ABOUT, "bases": list(bases(service)), "start": start})


def _ready(service: Service) -> Answer:
    """200 where the database answers, 503 where it does not."""
    try:
        service.store.state("schema")
    except FhirError as error:
        return _plain(service, {"status": "not ready", "reason": str(error)}, 503)
    return _plain(service, {"status": "ready"})


def _plain(service: Service, value: dict[str, object], status: int = 200) -> Answer:
    response = Answer(dumps(value), status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return finish(service, request.environ, response)


def preflight(service: Service, allowed: list[str]) -> Answer:
    """The answer to a browser that asks whether it may call: https://hl7.org/fhir/R5/security.html#cors"""
    headers = [("Allow", ", ".join(sorted(allowed)))]
    origin = request.environ.get("HTTP_ORIGIN")
    permitted = origin_allowed(service.settings.cors_origins, origin) if origin else None
    if permitted:
        headers += [
            ("Access-Control-Allow-Methods", ", ".join(sorted(allowed))),
            (
                "Access-Control-Allow-Headers",
                request.environ.get(
                    "HTTP_ACCESS_CONTROL_REQUEST_HEADERS",
                    REQUEST_HEADERS,
                ),
            ),
            ("Access-Control-Max-Age", "86400"),
        ]
    return finish(service, request.environ, Answer(b"", 204, headers))
