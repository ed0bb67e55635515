"""The application: the only place where the parts are put together."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

from flask import Flask, Request, Response, request
from flask.sessions import NullSession, SessionInterface, SessionMixin
from flask.typing import ResponseReturnValue
from werkzeug.routing import MapAdapter

from apothecary.bulk.exports import Exports
from apothecary.bulk.worker import Worker
from apothecary.content.indexing import Indexing
from apothecary.content.live import Live
from apothecary.interactions.service import Service
from apothecary.operations import OPERATIONS
from apothecary.rest import admission, bulk, errors, routes
from apothecary.rest.cache import Cached
from apothecary.rest.direct import Direct, within
from apothecary.rest.gate import Gate
from apothecary.rest.metrics import Metrics
from apothecary.rest.observe import Observed
from apothecary.rest.routing import Adapter, OneWay, Router
from apothecary.settings import Settings
from apothecary.store.bulk import Bulk
from apothecary.store.contract import Transaction
from apothecary.store.open import open_replica, open_store
from apothecary.store.sql import SqlStore


class NoSessions(SessionInterface):
    """Nobody has a session, and to find that out for each request is spared."""

    _none = NullSession()

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        return self._none


class Apothecary(Flask):
    """Flask without sessions and templates; `OPTIONS` is answered for browsers."""

    service: Service
    router: Router | None = None
    gate: Gate
    worker: Worker
    session_interface = NoSessions()
    url_rule_class = OneWay

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        if request is None or self.router is None:
            return super().create_url_adapter(request)
        return Adapter(self.router, request.environ)  # type: ignore[return-value] # all of it that Flask uses

    def full_dispatch_request(self) -> Response:
        # Flask's own, without what nobody uses here (signals, sessions, functions after a request), for a sixth of
        # the time that a read takes.
        try:
            admission.admit(self.service.settings, request.environ)
            answer = self.dispatch_request()
        except Exception as error:
            answer = self.handle_user_exception(error)
        return self.make_response(answer)

    def do_teardown_request(self, exc: object = None) -> None:
        """Nothing is left to be done after a request."""

    def do_teardown_appcontext(self, exc: object = None) -> None:
        """The same."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        # Every view is synchronous, and to find that out takes as long as to route.
        return func

    def dispatch_request(self) -> ResponseReturnValue:
        answer: ResponseReturnValue = within(self.gate, request.environ, super().dispatch_request, {})
        return answer

    def make_default_options_response(self) -> Response:
        return routes.preflight(self.service, self.url_map.bind_to_environ(request.environ))


def create_app(settings: Settings | None = None, store: SqlStore | None = None) -> Apothecary:
    """The WSGI application. Without `settings` they come from the environment; without a `store` it is opened as they
    say.
    """
    settings = settings or Settings.from_environment()
    store = store or open_store(settings)
    service = make_service(settings, store)
    if settings.authorized:
        from apothecary.access.guard import Guards

        service.guards = Guards(service)
    # Before the routes: whatever is made of the service tells of what it writes.
    recorded = _recorded(service)
    app = Apothecary("apothecary", static_folder=None, template_folder=None)
    app.service = service
    app.gate = Gate(settings)
    store.aside = app.gate.aside
    app.url_map.strict_slashes = False
    # An address with an empty segment is wrong; a redirect would not be FHIR's answer to it.
    app.url_map.merge_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = settings.body_limit
    errors.register(app, service)
    metrics = Metrics(Path(settings.metrics_folder) if settings.metrics_folder else None)
    routes.register(app, service, metrics)
    if settings.cds_hooks:
        from apothecary.rest import cds

        cds.register(app, service, store)
    bulk_store = Bulk(store)
    app.worker = Worker(service, bulk_store)
    bulk.register(app, service, routes.bases(service), Exports(service, bulk_store, app.worker))
    app.router = Router(app.url_map, routes.bases(service))
    cache = Cached(Direct(app.wsgi_app, service, app.gate, app.router, app.view_functions), service, app.gate)
    metrics.watch(lambda: cache.counts() | app.gate.counts())
    inner = recorded(_asked_by(app, service, store, _limited(service, cache)))
    app.wsgi_app = Observed(inner, service, metrics, app.gate.drain)  # type: ignore[method-assign] # Flask's way to wrap an app
    # What an earlier server left half done goes on.
    service.live.look(store)
    app.worker.look()
    return app


def _asked_by(app: Apothecary, service: Service, store: SqlStore, answering: WSGIApplication) -> WSGIApplication:
    """`answering` for those who say who they are, where the settings ask for it; else as it is, without anything of it
    being loaded.
    """
    if not service.settings.authorized:
        return answering
    from apothecary.access.authorization import Authorization
    from apothecary.rest import authentication

    authorization, bases = Authorization.of(service.settings, store), routes.bases(service)
    authentication.register(app, service, authorization, bases)
    return authentication.Authenticated(answering, authorization, bases)


def _recorded(service: Service) -> Callable[[WSGIApplication], WSGIApplication]:
    """What stands around an application that records what it is asked, where the settings say so; else nothing."""
    if service.settings.audit == "off":
        return lambda answering: answering
    from apothecary.access.sinks import sink_for
    from apothecary.rest.auditing import Audited

    service.recorder = audited = Audited(service, sink_for(service))
    return audited.around


def _limited(service: Service, answering: WSGIApplication) -> WSGIApplication:
    """`answering` as often as the settings allow; where they say nothing as it is, with nothing of it loaded."""
    if not service.settings.rate_limit.strip():
        return answering
    from apothecary.rest.limiting import Limited

    return Limited(answering, service)


def make_service(settings: Settings, store: SqlStore) -> Service:
    """The parts that interactions work with."""
    replica = open_replica(settings, store)
    secret = _secret(settings, store)
    live = Live(settings, store, Indexing(settings, store).wake)
    return Service(settings, store, replica or store, live, secret, OPERATIONS, replica)


def _secret(settings: Settings, store: SqlStore) -> bytes:
    """The key of page links: the setting, or one that the database keeps for every server that shares it."""
    if settings.secret:
        return settings.secret.encode()
    found = store.state("secret")
    return (found if found is not None else store.write(_make_secret)).encode()


def _make_secret(transaction: Transaction) -> str:
    """The key that the database keeps: of two servers that start at once, the second finds the first one's."""
    found = transaction.state("secret")
    if found is None:
        found = secrets.token_hex(32)
        transaction.set_state("secret", found)
    return found
