"""The application: the only place where the parts are put together."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Flask, Request, Response
from flask.globals import request_ctx
from werkzeug.routing import MapAdapter

from server.fhir.json import parse
from server.interactions.service import Service
from server.rest import errors, routes
from server.rest.routing import Adapter, Router
from server.search.registries import make_registries
from server.settings import Settings
from server.store.open import open_store
from server.store.sql import SqlStore


class Apothecary(Flask):
    """Flask without sessions and templates; `OPTIONS` is answered for browsers."""

    service: Service
    router: Router | None = None

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None or self.router is None:
            return super().create_url_adapter(request)
        return Adapter(self.router, request.environ)  # type: ignore[return-value] # all of it that Flask uses

    def make_default_options_response(self) -> Response:
        adapter = request_ctx.url_adapter
        return routes.preflight(self.service, list(adapter.allowed_methods()) if adapter else [])


def create_app(settings: Settings | None = None, store: SqlStore | None = None) -> Flask:
    """The WSGI application. Without `settings` they come from the environment; without a `store` it is opened as they
    say.
    """
    settings = settings or Settings.from_environment()
    store = store or open_store(settings)
    service = make_service(settings, store)
    app = Apothecary("server", static_folder=None, template_folder=None)
    app.service = service
    app.url_map.strict_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit
    errors.register(app, service)
    routes.register(app, service)
    app.router = Router(app.url_map, routes.bases(service))
    return app


def make_service(settings: Settings, store: SqlStore) -> Service:
    """The parts that interactions work with; the search parameters of the store's content among them."""
    own: list[dict[str, Any]] = [
        parse(one.body) for one in store.all_of_type("SearchParameter") if one.body is not None
    ]
    return Service(settings, store, store, make_registries(settings, own), _secret(settings, store))


def _secret(settings: Settings, store: SqlStore) -> bytes:
    """The key of page links: the setting, or one that the database keeps for every server that shares it."""
    if settings.secret:
        return settings.secret.encode()
    found = store.state("secret")
    if found is None:
        with store.transaction() as transaction:
            transaction.set_state("secret", secrets.token_hex(32))
        found = store.state("secret") or ""
    return found.encode()
