"""Every address of the server, and the view that answers it. Views only translate: what an interaction means is in
`interactions`.
"""

from __future__ import annotations

from flask import Flask, request
from werkzeug.exceptions import NotFound as NoSuchAddress
from werkzeug.routing import MapAdapter

from apothecary.errors import MethodNotAllowed, NotFound
from apothecary.fhir.json import dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import capabilities
from apothecary.interactions.openapi import DOCUMENT
from apothecary.interactions.service import Service
from apothecary.rest import pages
from apothecary.rest.admission import SAFE, from_own_page, shared_with
from apothecary.rest.exchange import finish
from apothecary.rest.forms import HTML
from apothecary.rest.headers import PAGE, TRIED, VARY
from apothecary.rest.metrics import CONTENT_TYPE, Metrics
from apothecary.rest.observe import interaction_of
from apothecary.rest.openapi import OpenApiViews
from apothecary.rest.operating import OperationViews
from apothecary.rest.reading import ReadingViews, form_text
from apothecary.rest.responses import Answer
from apothecary.rest.sender import of_sender
from apothecary.rest.writing import WritingViews

ABOUT = "A FHIR server for medication knowledge."

REQUEST_HEADERS = (
    "Accept, Authorization, Content-Encoding, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, "
    "Prefer, X-Request-Id, X-Security-Context"
)


# What is POSTed, and changes nothing.
_READING = frozenset(
    {"search-type", "search-system", "search-compartment", "transaction", "cds-service", "check", "token"}
)


def bases(service: Service) -> dict[str, FhirVersion | None]:
    """The path of every base and its version: `/fhir` chooses by request, `/fhir/r5` and its like are fixed."""
    return {"/fhir": None, **{f"/fhir/{version.segment}": version for version in service.registries}}


def register(app: Flask, service: Service, metrics: Metrics) -> None:
    """Add all routes to the app."""
    for prefix, version in bases(service).items():
        views = Views(service, prefix, version)
        app.add_url_rule(f"{prefix}/metadata", f"{prefix} capabilities", views.capabilities, methods=["GET"])
        app.add_url_rule(f"{prefix}/{DOCUMENT}", f"{prefix} openapi", views.openapi, methods=["GET"])
        # Without this, they would be taken for resource types that are not served.
        others = ["POST", "PUT", "PATCH", "DELETE"]
        for name in ("metadata", DOCUMENT):
            app.add_url_rule(f"{prefix}/{name}", f"{prefix} not {name}", _only_read, methods=others)
        for path in ("/_search", "/<resource_type>/_search"):
            elsewhere = ["GET", "PUT", "PATCH", "DELETE"]
            app.add_url_rule(f"{prefix}{path}", f"{prefix} not {path}", _only_posted, methods=elsewhere)
        by_route: dict[tuple[str, str], str] = {}
        for one in capabilities.INTERACTIONS:
            # batch and transaction share an address, and so a view.
            name = one.code.replace("-", "_")
            by_route.setdefault((one.path, one.method), f"conditional_{name}" if one.level == "conditional" else name)
        for (path, method), code in by_route.items():
            view = getattr(views, code)
            app.add_url_rule(prefix + path, f"{prefix} {method} {code} {path}", view, methods=[method])
        for path in ("/$<operation>", "/<resource_type>/$<operation>", "/<resource_type>/<resource_id>/$<operation>"):
            app.add_url_rule(prefix + path, f"{prefix} operation {path}", views.operation, methods=["GET", "POST"])
    at_default = Views(service, "/fhir", None)
    app.add_url_rule(f"/{DOCUMENT}", "openapi", at_default.openapi, methods=["GET"])
    app.add_url_rule("/", "index", lambda: _index(at_default), methods=["GET"])
    app.add_url_rule("/claims", "claims", lambda: _claims(at_default), methods=["GET"])
    app.add_url_rule("/check", "check", lambda: _check(at_default), methods=["GET", "POST"])
    app.add_url_rule("/openapi", "interface", lambda: _interface(service, Views), methods=["GET"])
    app.add_url_rule(
        "/pages/<digest>/<path:name>", "asset", lambda digest, name: _asset(service, name), methods=["GET"]
    )
    app.add_url_rule("/healthz", "healthz", lambda: _plain(service, {"status": "ok"}), methods=["GET"])
    app.add_url_rule("/metrics", "metrics", lambda: _metrics(service, metrics), methods=["GET"])
    app.add_url_rule("/readyz", "readyz", lambda: _ready(service), methods=["GET"])


class Views(ReadingViews, WritingViews, OperationViews, OpenApiViews):
    """All views of one base."""


def _only_read() -> Answer:
    raise MethodNotAllowed(
        f"{request.method} is not offered at {request.path}",
        remedy="Allowed here: GET, HEAD, OPTIONS.",
        headers={"Allow": "GET, HEAD, OPTIONS"},
    )


def _only_posted(resource_type: str | None = None) -> Answer:
    """https://hl7.org/fhir/R5/http.html#search"""
    query = request.environ.get("QUERY_STRING", "")
    address = request.path.removesuffix("/").removesuffix("/_search")
    raise MethodNotAllowed(
        f"_search is POSTed to, with the parameters as a form; {request.method} is not offered there",
        remedy=f"GET {address}{f'?{query}' if query else ' with the parameters behind a question mark'}.",
        headers={"Allow": "POST, OPTIONS"},
    )


def _index(views: Views) -> Answer:
    """What a person finds at the root, in a browser or with curl."""
    exchange = views.exchange()
    service = exchange.service
    held = [one for one in service.reader.types() if service.registries[service.settings.fhir_version].serves(one)]
    if exchange.wanted.form is HTML:
        view = pages.view(service, exchange.version, exchange.base, exchange.environ, exchange.pairs)
        body, elsewhere = pages.home(view, capabilities.DESCRIPTION, dict(exchange.pairs).get("q"))
        if elsewhere is not None:
            return finish(service, exchange.environ, Answer(b"", 303, [("Location", elsewhere), ("Vary", VARY)]))
        headers = [("Content-Type", "text/html; charset=utf-8"), PAGE]
        return exchange.respond_lasting(body, headers, native=True)
    start = {"metadata": "/fhir/metadata"} | {one: f"/fhir/{one}" for one in sorted(held)}
    return _plain(service, {"name": "Apothecary", "about": ABOUT, "bases": list(bases(service)), "start": start})


def _claims(views: Views) -> Answer:
    """The ledger of claims, a page for whoever asks."""
    exchange = views.exchange(native=True)
    # It tells of the sources of all that is here.
    exchange.service.permit_all("rs")
    view = pages.view(exchange.service, exchange.version, exchange.base, exchange.environ, exchange.pairs)
    headers = [("Content-Type", "text/html; charset=utf-8"), PAGE]
    return exchange.respond_native(pages.claims(view), headers)


def _check(views: Views) -> Answer:
    """The page to check a list on. The list comes in the body, so that it stands in no address and no log."""
    exchange = views.exchange(native=True)
    if request.method == "POST":
        exchange.add(form_text(exchange))
    view = pages.view(exchange.service, exchange.version, exchange.base, exchange.environ, ())
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"), PAGE]
    return exchange.respond_native(pages.check(view, dict(exchange.pairs) if request.method == "POST" else {}), headers)


def _interface(service: Service, made: type[Views]) -> Answer:
    """The page to try the interface of a release with: `?release=r4&type=Medication`."""
    segment = request.args.get("release", service.settings.fhir_version.segment)
    version = next((one for one in service.registries if one.segment == segment), None)
    if version is None:
        raise NotFound(f"release={segment} is not served", expression="release")
    exchange = made(service, f"/fhir/{segment}", version).exchange(native=True)
    kind = request.args.get("type", "")
    if kind:
        service.check_type(version, kind)
    view = pages.view(exchange.service, version, exchange.base, exchange.environ, ())
    headers = [("Content-Type", "text/html; charset=utf-8"), TRIED]
    return exchange.respond_native(pages.interface(view, DOCUMENT, kind), headers)


def _asset(service: Service, name: str) -> Answer:
    """What pages fetch."""
    found = pages.asset(name)
    if found is None:
        raise NoSuchAddress()
    return finish(service, request.environ, found)


def _ready(service: Service) -> Answer:
    """200 where the database answers, and takes writes if this server does. Raises what says why not: 503 or 507."""
    service.store.ready(writes=service.settings.writable)
    return _plain(service, {"status": "ready"})


def _metrics(service: Service, metrics: Metrics) -> Answer:
    """What Prometheus asks for: it tells what others ask for, and how often."""
    of_sender(service, request.environ).permit_all("rs")
    headers = [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store"), ("Vary", "Accept-Encoding")]
    return finish(service, request.environ, Answer(metrics.text().encode(), 200, headers))


def _plain(service: Service, value: dict[str, object]) -> Answer:
    response = Answer(dumps(value), 200, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
    return finish(service, request.environ, response)


def preflight(service: Service, adapter: MapAdapter) -> Answer:
    """The answer to a browser that asks whether a page may call: https://hl7.org/fhir/R5/security.html#cors

    A page of an origin that may only read is told the methods that read here, and nothing where it asks for another.
    """
    environ = request.environ
    allowed = sorted(adapter.allowed_methods())
    headers = [("Allow", ", ".join(allowed))]
    if not from_own_page(service.settings, environ):
        allowed = [one for one in allowed if one in SAFE or (one == "POST" and _reads(service, adapter))]
    wanted = environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD", "GET")
    if wanted in allowed and shared_with(service.settings.cors_origins, environ.get("HTTP_ORIGIN", "")):
        headers += [
            ("Access-Control-Allow-Methods", ", ".join(allowed)),
            (
                "Access-Control-Allow-Headers",
                environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", REQUEST_HEADERS),
            ),
            ("Access-Control-Max-Age", "86400"),
        ]
    return finish(service, environ, Answer(b"", 204, headers))


def _reads(service: Service, adapter: MapAdapter) -> bool:
    """Whether a POST to an address may be one that changes nothing: a search, an operation, a batch of reads, a request
    for a token.
    """
    rule, values = adapter.match(method="POST", return_rule=True)
    interaction = interaction_of(rule.endpoint)
    if interaction == "operation":
        operation = service.operations.get(values["operation"])
        return operation is not None and not operation.affects_state
    return interaction in (
        "search-type",
        "search-system",
        "search-compartment",
        "transaction",
        "cds-service",
        "check",
        "token",
    )
