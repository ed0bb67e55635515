"""The views that read: https://hl7.org/fhir/R5/http.html#read and #search"""

from __future__ import annotations

import re
from collections.abc import Iterable

from flask import request
from werkzeug.exceptions import NotFound as NoSuchAddress

from apothecary.errors import BadRequest, NotSupported, TooLarge
from apothecary.fhir.json import parse
from apothecary.fhir.temporal import Clock
from apothecary.interactions import capabilities, history, read, search, subset, terminology_capabilities
from apothecary.rest import binary, seen, streams
from apothecary.rest.exchange import Exchange, Pairs, finish
from apothecary.rest.forms import HTML, NDJSON
from apothecary.rest.headers import VARY
from apothecary.rest.negotiation import check_content_type
from apothecary.rest.pages import COMPARED
from apothecary.rest.responses import Answer
from apothecary.rest.views import BaseViews
from apothecary.search.compartments import ALL, Compartment
from apothecary.search.suggestions import unknown_elements
from apothecary.search.text import decode

# What `mode` asks for: https://hl7.org/fhir/R5/http.html#capabilities
_STATEMENTS = {
    "full": capabilities.capabilities,
    "normative": capabilities.capabilities,
    "terminology": terminology_capabilities.terminology_capabilities,
}
FORM = frozenset({"application/x-www-form-urlencoded"})
READ_PARAMETERS = ("_summary", "_elements")
_NOT_IN_HEADERS = re.compile(r"[^ !#-\[\]-~]")


class ReadingViews(BaseViews):
    """The reading views of one base."""

    # -- https://hl7.org/fhir/R5/http.html#capabilities

    def capabilities(self) -> Answer:
        exchange = self.exchange()
        mode = dict(exchange.pairs).get("mode", "full")
        computed = _STATEMENTS.get(mode)
        if computed is None:
            raise BadRequest(
                f"mode={mode} is not offered",
                expression="mode",
                code="not-supported",
                remedy=f"Use mode={', mode='.join(_STATEMENTS)}.",
            )
        body, tag = computed(exchange.acting, exchange.version, exchange.base)
        return exchange.respond_lasting(body, [], tag)

    # -- https://hl7.org/fhir/R5/http.html#read

    def read(self, resource_type: str, resource_id: str) -> Answer:
        native = self.wants_content(resource_type)
        exchange = self.exchange(native=native)
        found = read.read(self.service, exchange.version, resource_type, resource_id)
        answer = self._content if native else self._resource
        return answer(exchange, resource_type, found.version, found.updated, found.body or b"")

    def vread(self, resource_type: str, resource_id: str, version_id: str) -> Answer:
        native = self.wants_content(resource_type)
        exchange = self.exchange(native=native)
        found = read.vread(self.service, exchange.version, resource_type, resource_id, version_id)
        answer = self._content if native else self._resource
        return answer(exchange, resource_type, found.version, found.updated, found.body or b"")

    def _content(self, exchange: Exchange, resource_type: str, version: int, updated: int, body: bytes) -> Answer:
        """What a Binary holds, in its own type: https://hl7.org/fhir/R5/binary.html"""
        exchange.environ[seen.ANSWERED] = body
        _, ignored = exchange.parameters(())
        headers = [_warning(f"{one} is not a parameter of read and was ignored") for one in ignored]
        content, told = binary.content(parse(body))
        return exchange.respond_lasting(content, [*headers, *told], version, updated, native=True)

    def _resource(self, exchange: Exchange, resource_type: str, version: int, updated: int, body: bytes) -> Answer:
        headers: list[tuple[str, str]] = []
        if exchange.pairs:
            parameters, ignored = exchange.parameters(READ_PARAMETERS)
            body, unknown = _subset(exchange, resource_type, body, parameters)
            headers = [
                *(_warning(f"{one} is not a parameter of read and was ignored") for one in ignored),
                *(_warning(f"{one} is not an element of {resource_type} and was ignored") for one in unknown),
            ]
        return exchange.respond_lasting(body, headers, version, updated)

    # -- https://hl7.org/fhir/R5/http.html#history

    def history_instance(self, resource_type: str, resource_id: str) -> Answer:
        exchange = self.exchange()
        pairs = exchange.pairs
        if exchange.wanted.form is HTML:
            # Which versions a page compares is no matter of the history.
            pairs = [one for one in pairs if one[0] != COMPARED]
        body = history.history(
            self.service,
            exchange.version,
            exchange.base,
            resource_type,
            resource_id,
            pairs,
            strict=exchange.strict,
        )
        return exchange.respond_lasting(body, [])

    def history_type(self, resource_type: str) -> Answer:
        return self._history_of(resource_type)

    def history_system(self) -> Answer:
        return self._history_of(None)

    def _history_of(self, resource_type: str | None) -> Answer:
        exchange = self.exchange()
        body = history.history_of(
            self.service, exchange.version, exchange.base, resource_type, exchange.pairs, strict=exchange.strict
        )
        return exchange.respond_lasting(body, [])

    # -- https://hl7.org/fhir/R5/http.html#search

    def search_type(self, resource_type: str) -> Answer:
        exchange = self.exchange()
        text = None if exchange.posted else exchange.text
        if text is None:
            _read_form(exchange)
        return self._search(exchange, resource_type, text)

    def search_compartment(self, compartment: str, resource_id: str, resource_type: str) -> Answer:
        """https://hl7.org/fhir/R5/search.html#searchcontexts"""
        if resource_type != ALL and not resource_type[:1].isupper():
            raise NoSuchAddress()  # no name of a type, so nothing of a compartment
        exchange = self.exchange()
        if exchange.posted:
            _read_form(exchange)
        kind = None if resource_type == ALL else resource_type
        return self._search(exchange, kind, compartment=Compartment(compartment, resource_id))

    def search_system(self) -> Answer:
        exchange = self.exchange()
        if exchange.posted:
            _read_form(exchange)
        return self._search(exchange, None)

    def _search(
        self,
        exchange: Exchange,
        resource_type: str | None,
        text: str | None = None,
        compartment: Compartment | None = None,
    ) -> Answer:
        if exchange.wanted.form is NDJSON:
            return self._stream(exchange, resource_type, compartment)
        clock = Clock()
        body = search.search(
            exchange.service,
            exchange.version,
            exchange.base,
            resource_type,
            exchange.pairs,
            strict=exchange.strict,
            text=text,
            compartment=compartment,
            clock=clock,
        )
        if exchange.posted:
            return exchange.respond(body, [])
        return exchange.respond_lasting(body, [], lasting=not clock.asked)

    def _stream(self, exchange: Exchange, resource_type: str | None, compartment: Compartment | None) -> Answer:
        """Every match, as NDJSON."""
        streams.room()
        most = exchange.service.settings

        def page(pairs: Pairs) -> bytes:
            return search.search(
                exchange.service,
                exchange.version,
                exchange.base,
                resource_type,
                pairs,
                strict=exchange.strict,
                compartment=compartment,
            )

        def page_at(query: str) -> bytes:
            found = page(decode(query, most.parameter_limit))
            if seen.CONTINUED in exchange.environ:
                exchange.environ[seen.CONTINUED](exchange.environ, found)
            return found

        # However large a page the client names: it sees no pages.
        first = [(name, value) for name, value in exchange.pairs if name != "_count"]
        if all(name != "_page" for name, _ in exchange.pairs):
            first.append(("_count", str(most.page_size_limit)))
        headers = [("Content-Type", NDJSON.content_type(exchange.version)), ("Cache-Control", "no-cache")]
        exchange.environ[seen.ANSWERED] = begun = page(first)
        stream = streams.Stream(begun, page_at, [*headers, ("Vary", VARY)])
        return finish(self.service, exchange.environ, stream)


def _warning(text: str) -> tuple[str, str]:
    """A header for what has no place in a resource that is read (RFC 7234, 5.5); only what a header may hold."""
    return "Warning", f'299 - "{_NOT_IN_HEADERS.sub("?", text[:200])}"'


def _subset(
    exchange: Exchange, resource_type: str, body: bytes, parameters: dict[str, str]
) -> tuple[bytes, Iterable[str]]:
    """What `_summary` or `_elements` leaves of a resource, and the names in `_elements` that mean nothing. Raises
    BadRequest for these when strict.
    """
    summary = parameters.get("_summary", "false")
    elements = [one.strip() for one in parameters.get("_elements", "").split(",") if one.strip()]
    if summary not in ("true", "text", "data", "false"):
        raise BadRequest(f"_summary={summary}: write true, text, data or false", expression="_summary")
    unknown = unknown_elements(exchange.version, (resource_type,), elements)
    for name, meant in unknown.items():
        if exchange.strict:
            raise NotSupported(f"{resource_type} has no element {name!r}", expression="_elements", remedy=meant)
    known = [one for one in elements if one not in unknown]
    if summary == "false" and not known:
        return body, unknown
    return subset.subset(body, exchange.version, summary, known), unknown


def _read_form(exchange: Exchange) -> None:
    """The parameters in the body of a search by POST; there may be none, where all stand in the address.
    https://hl7.org/fhir/R5/http.html#search
    """
    if not request.headers.get("Content-Type") and not exchange.body():
        return
    exchange.environ[seen.FORM] = form = form_text(exchange)
    exchange.add(form)


def form_text(exchange: Exchange) -> str:
    """The form in the body. Raises UnsupportedMediaType, TooLarge and BadRequest."""
    check_content_type(request.headers.get("Content-Type", ""), exchange.version, FORM)
    limit = exchange.service.settings.form_limit
    # All of it has been read: who is answered while still sending may not see the answer.
    if len(exchange.body()) > limit:
        raise TooLarge(
            f"the form is larger than {limit} bytes",
            remedy="Ask for less at once; the operator of the server can allow more (APOTHECARY_FORM_LIMIT).",
        )
    try:
        return exchange.body().decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("the form is not UTF-8 text") from None
