"""Records every request that reads or changes a resource, before anybody sees the answer; also those that were refused.

The step stands outside authentication and the response cache, so that it sees refusals and answers that are given
again. What it tells: https://hl7.org/fhir/R5/security.html#audit and `apothecary.access.records`.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication

from apothecary.access import asked
from apothecary.access.came import named, reference
from apothecary.access.grant import GRANT
from apothecary.access.records import AMENDED, CREATED, DELETED, TYPE, Request, events
from apothecary.access.sinks import Sink
from apothecary.errors import FhirError, Forbidden
from apothecary.fhir.temporal import now
from apothecary.interactions.service import Service
from apothecary.rest import forwarded
from apothecary.rest.errors import refusal
from apothecary.rest.exchange import request_id
from apothecary.rest.observe import interaction_of
from apothecary.rest.routing import MATCHED
from apothecary.rest.seen import CONTINUED, FILE, FORM, NAMED, SENT, came
from apothecary.store.contract import Head, Transaction

# What tells nothing of any resource: what the server is, whether it is well, and how to get a token.
OPEN = frozenset(
    {
        *("capabilities", "openapi", "index", "claims", "interface", "asset", "healthz", "metrics", "readyz"),
        *("smart-configuration", "cds-services"),
    }
)
REFUSED = frozenset({401, 403, 429})
# Their records say all of it without a query, unless there are parameters.
_TOLD = frozenset({"read", "vread", "create", "update", "patch", "delete", "batch", "transaction"})
# Of these each change has a record in its own transaction, and the whole has one besides.
BUNDLES = frozenset({"batch", "transaction"})


class _Hand:
    """The request that a thread has in hand: what it changed, and whether a transaction has told of that."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.changed: dict[str, str] = {}
        self.told = False


# Of the request, not of the thread: that of another may write for it (`apothecary.store.writers`).
_hand: ContextVar[_Hand | None] = ContextVar("hand", default=None)


class Audited:
    """A WSGI application around another one; what `Service.write` tells of changes."""

    def __init__(self, service: Service, sink: Sink) -> None:
        self._app: WSGIApplication | None = None
        self._service = service
        self._sink = sink
        settings = self._settings = service.settings
        self._shown = None if settings.audit_values else asked.shown_with(service.secret)
        self._server = socket.gethostname()

    def around(self, app: WSGIApplication) -> Audited:
        """Stand around `app`."""
        self._app = app
        return self

    def __call__(self, environ: dict[str, Any], start: StartResponse) -> Iterable[bytes]:
        if self._app is None:
            raise RuntimeError("there is nothing to record")
        hand = _Hand(environ)
        _hand.set(hand)
        environ[CONTINUED] = self._continue
        status, headers = "500", []

        def started(line: str, given: list[tuple[str, str]], error: Any = None, /) -> Callable[[bytes], object]:
            nonlocal status, headers
            status, headers = line, given
            return lambda _: None

        body: Iterable[bytes] = ()
        try:
            body = self._app(environ, started)
        finally:
            _hand.set(None)
            refused = self._record(hand, int(status[:3]))
        if refused is not None:
            with suppress(AttributeError):
                body.close()  # type: ignore[attr-defined] # as WSGI has it, where there is one
            return refusal(self._service, environ, refused)(environ, start)
        start(status, headers)
        return body

    # -- what `Service.write` calls

    def changing(self, transaction: Transaction, touched: Mapping[tuple[str, str], Head]) -> None:
        """Within a transaction, after its work. Raises Forbidden where that forges a record."""
        if not self._sink.transactional:
            return
        if any(kind == TYPE for kind, _ in touched):
            raise Forbidden("the record of requests is written by the server alone", code="business-rule")
        hand = _hand.get()
        if hand is not None and touched:
            request = self._request(hand.environ, 200, _changes(touched))
            self._sink.write_within(transaction, events(request, self._server))

    def changed(self, touched: Mapping[tuple[str, str], Head]) -> None:
        """A transaction was committed that wrote those."""
        hand = _hand.get()
        if hand is not None and touched:
            hand.changed |= _changes(touched)
            hand.told = self._sink.transactional

    # -- what is recorded

    def _record(self, hand: _Hand, status: int) -> FhirError | None:
        """Keep the record of a request; what to answer instead where that cannot be done."""
        environ = hand.environ
        interaction = self._interaction(environ)
        if environ["REQUEST_METHOD"] == "OPTIONS" or (interaction in OPEN and status not in REFUSED):
            return None
        if hand.told and status < 400 and interaction not in BUNDLES:
            return None
        try:
            self._sink.write(events(self._request(environ, status, hand.changed), self._server))
        except FhirError as error:
            return error
        return None

    def _continue(self, environ: dict[str, Any], body: bytes) -> None:
        """Keep the record of a further part of an answer. Raises FhirError where that cannot be done."""
        environ[NAMED] = named(body)
        self._sink.write(events(self._request(environ, 200, {}), self._server))

    def _request(self, environ: Mapping[str, Any], status: int, changed: Mapping[str, str]) -> Request:
        interaction, well = self._interaction(environ), status < 400
        kept = environ.get(NAMED)
        found = (came(environ) if kept is None else kept) if well else ()
        values = environ[MATCHED][1] if MATCHED in environ else {}
        file: tuple[str, int] | None = environ.get(FILE) if well else None
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        settings = self._settings
        return Request(
            interaction=interaction,
            status=status,
            moment=now(),
            base=settings.root,
            address=forwarded.client(environ) if settings.trust_forwarded else environ.get("REMOTE_ADDR", ""),
            grant=environ.get(GRANT),
            number=request_id(environ),
            target=_target(values) if well or interaction in ("read", "vread") else "",
            query=self._query(environ, interaction, path),
            asked=asked.entries(environ.get(SENT), self._shown) if interaction in BUNDLES else (),
            changed=changed,
            came=found,
            file=None if file is None else (path, *file),
        )

    def _interaction(self, environ: Mapping[str, Any]) -> str:
        if MATCHED not in environ:
            return "none"
        found = interaction_of(environ[MATCHED][0].endpoint).removeprefix("conditional-")
        if found == "transaction":
            sent = environ.get(SENT)
            return "batch" if isinstance(sent, dict) and sent.get("type") == "batch" else found
        if found == "search-compartment":
            return "search"
        return "operation" if found.startswith("bulk-") else found

    def _query(self, environ: Mapping[str, Any], interaction: str, path: str) -> str:
        """What was asked for, but where the record's other parts say all of it."""
        text = environ.get("QUERY_STRING", "").encode("latin-1").decode("utf-8", "replace")
        if interaction in _TOLD and not text:
            return ""
        whole = f"{environ['REQUEST_METHOD']} {path}{'?' if text else ''}{asked.query(text, self._shown)}"
        form = environ.get(FORM)
        if form is not None:
            return f"{whole}\n\n{asked.query(form, self._shown)}"
        sent = asked.posted(environ.get(SENT), self._shown or asked.shown_with(None))
        return f"{whole}\n\n{sent}" if sent else whole


def _changes(touched: Mapping[tuple[str, str], Head]) -> dict[str, str]:
    return {
        reference(*key, one.version): DELETED if one.deleted else CREATED if one.version == 1 else AMENDED
        for key, one in touched.items()
        if key[0] != TYPE
    }


def _target(values: Mapping[str, Any]) -> str:
    """The resource that an address names."""
    kind, identity = values.get("compartment") or values.get("resource_type"), values.get("resource_id")
    return reference(kind, identity, values.get("version_id", "")) if kind and identity else ""
