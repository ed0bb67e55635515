"""The views that write: https://hl7.org/fhir/R5/http.html#create and below"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from apothecary.errors import BadRequest, InvalidContent, Issue, NotAcceptable, NotFound
from apothecary.fhir.json import JSON, dumps, items, no_text, parse
from apothecary.interactions import conditional, integrity
from apothecary.interactions.batch import process
from apothecary.interactions.create import create
from apothecary.interactions.delete import conditional_delete, delete
from apothecary.interactions.entries import check_number
from apothecary.interactions.forms import body_in
from apothecary.interactions.ids import new_id
from apothecary.interactions.patch import Patcher, fhirpath_patcher, json_patcher, patch
from apothecary.interactions.patch import check_number as patch_number
from apothecary.interactions.service import check_id
from apothecary.interactions.update import check_identity, conditional_update, update
from apothecary.interactions.writing import Prepared, Written, check, check_writable, prepare
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.rest import binary
from apothecary.rest.exchange import Exchange, entity_headers
from apothecary.rest.forms import READ, read
from apothecary.rest.negotiation import check_content_type
from apothecary.rest.responses import Answer
from apothecary.rest.seen import SENT
from apothecary.rest.views import BaseViews
from apothecary.store.contract import Transaction

JSON_PATCH = "application/json-patch+json"

Work = Callable[[Transaction], Written]


class WritingViews(BaseViews):
    """The writing views of one base."""

    def create(self, resource_type: str) -> Answer:
        exchange = self._writing(resource_type)
        resource = check(self.service, exchange.written, _sent(exchange, resource_type), resource_type)
        criteria = exchange.criteria_header
        prepared = self._prepare(exchange, resource, new_id(), sure=criteria is None)
        return self._run(
            exchange, lambda t: create(self.service, t, exchange.written, exchange.base, resource, criteria, prepared)
        )

    def update(self, resource_type: str, resource_id: str) -> Answer:
        exchange = self._writing(resource_type)
        resource = check(self.service, exchange.written, _sent(exchange, resource_type, resource_id), resource_type)
        check_identity(resource, resource_id)
        match, none_match = _matching(exchange)
        prepared = self._prepare(exchange, resource, resource_id)
        return self._run(
            exchange,
            lambda t: update(
                self.service, t, exchange.written, exchange.base, resource, resource_id, match, none_match, prepared
            ),
        )

    def conditional_update(self, resource_type: str) -> Answer:
        exchange = self._writing(resource_type)
        resource = check(self.service, exchange.written, _sent(exchange, resource_type), resource_type)
        match, none_match = _matching(exchange)
        criteria, likely = _criteria(exchange), resource.get("id") or new_id()
        prepared = self._prepare(exchange, resource, likely)
        return self._run(
            exchange,
            lambda t: conditional_update(
                self.service, t, exchange.written, exchange.base, resource, criteria, match, none_match, prepared
            ),
        )

    def patch(self, resource_type: str, resource_id: str) -> Answer:
        exchange = self._writing(resource_type)
        patcher = _patcher(exchange)
        match, _ = _matching(exchange)
        return self._run(
            exchange,
            lambda t: patch(
                self.service, t, exchange.written, exchange.base, resource_type, resource_id, patcher, match
            ),
        )

    def conditional_patch(self, resource_type: str) -> Answer:
        exchange = self._writing(resource_type)
        patcher, criteria, (match, _) = _patcher(exchange), _criteria(exchange), _matching(exchange)

        def work(t: Transaction) -> Written:
            found = conditional.single(self.service, t, exchange.written, exchange.base, resource_type, criteria)
            if found is None:
                raise NotFound(f"{resource_type}?{criteria} finds nothing to patch")
            return patch(self.service, t, exchange.written, exchange.base, resource_type, found.id, patcher, match)

        return self._run(exchange, work)

    def delete(self, resource_type: str, resource_id: str) -> Answer:
        exchange = self._writing(resource_type)
        check_id(resource_id)
        match, _ = _matching(exchange)
        return self._run(exchange, lambda t: delete(self.service, t, resource_type, resource_id, match))

    def conditional_delete(self, resource_type: str) -> Answer:
        exchange = self._writing(resource_type)
        criteria, (match, _) = _criteria(exchange), _matching(exchange)

        def work(t: Transaction) -> list[Written]:
            done = conditional_delete(self.service, t, exchange.written, exchange.base, resource_type, criteria, match)
            integrity.check(self.service, t, exchange.base, done)
            return done

        done = self.service.write(work)
        if len(done) == 1:
            return self._answer(exchange, done[0])
        issue = Issue("information", "informational", f"{len(done)} resources were deleted")
        return exchange.respond(dumps(operation_outcome([issue])), []) if done else exchange.respond(b"", [], 204)

    def transaction(self) -> Answer:
        exchange = self.exchange()
        if exchange.written is not exchange.version:
            raise NotAcceptable(
                f"a bundle in {exchange.written} is answered in {exchange.written}, not in {exchange.version}",
                expression="Accept",
                remedy="Name one fhirVersion in Accept and Content-Type, or leave it out of Accept.",
            )
        returning = exchange.preference("return") or "minimal"
        # What has too many is refused before it is read, or else before it is worked on.
        check_number(self.service, items(exchange.body()))
        answer = process(exchange.acting, exchange.written, exchange.base, body(exchange), returning=returning)
        return exchange.respond(answer, [])

    # -- what all of them do

    def _writing(self, resource_type: str) -> Exchange:
        exchange = self.exchange(native=self.wants_content(resource_type))
        check_writable(exchange.acting)
        # What is written must also be there to be shown.
        for version in {exchange.written, exchange.version}:
            self.service.check_type(version, resource_type)
        return exchange

    def _prepare(self, exchange: Exchange, resource: JSON, resource_id: str, *, sure: bool = False) -> Prepared | None:
        """Do what can be done of a write before its turn comes."""
        return prepare(self.service, exchange.written, exchange.base, resource, resource_id, sure=sure)

    def _run(self, exchange: Exchange, work: Work) -> Answer:
        """Run one write in its own transaction and answer as `Prefer` asks."""

        def whole(t: Transaction) -> Written:
            written = work(t)
            integrity.check(self.service, t, exchange.base, [written])
            return written

        return self._answer(exchange, self.service.write(whole))

    def _answer(self, exchange: Exchange, written: Written) -> Answer:
        """https://hl7.org/fhir/R5/http.html#ops: the body is the resource unless the client prefers less."""
        stored = written.stored
        headers = entity_headers(stored.version, stored.updated) if stored.version else []
        name = f"{stored.type}/{stored.id}"
        # A conditional create that found a resource tells where it is: https://hl7.org/fhir/R5/http.html#ccreate
        if written.status == 201 or (exchange.posted and stored.version):
            headers.append(("Location", f"{exchange.base}/{name}/_history/{stored.version}"))
        wish = exchange.preference("return") or ("minimal" if stored.deleted else "representation")
        if wish == "OperationOutcome":
            issue = Issue("information", "informational", written.sentence)
            return exchange.respond(
                dumps(operation_outcome([issue])), headers, 200 if written.status == 204 else written.status
            )
        if wish == "minimal" or stored.body is None:
            return exchange.respond(b"", headers, written.status)
        return exchange.respond(body_in(stored, exchange.version), headers, written.status)


def body(exchange: Exchange) -> Any:
    """The request's body as JSON, whatever form it has. Raises UnsupportedMediaType, and InvalidContent with line and
    column.
    """
    kind = check_content_type(exchange.environ.get("CONTENT_TYPE", ""), exchange.written, READ)
    found = read(kind, exchange.body(), exchange.written)
    exchange.environ[SENT] = sent = read_json(exchange.body()) if found is None else found
    return sent


def _sent(exchange: Exchange, resource_type: str, resource_id: str | None = None) -> Any:
    """The resource of a request: its body, or the Binary whose content the body is, which has the id of its address."""
    if resource_type == binary.TYPE:
        kind, context = exchange.environ.get("CONTENT_TYPE", ""), exchange.environ.get("HTTP_X_SECURITY_CONTEXT")
        found = binary.wrapped(kind, exchange.body(), context)
        if found is not None:
            return found if resource_id is None else {**found, "id": resource_id}
    return body(exchange)


def read_json(text: bytes) -> Any:
    """Parsed JSON. Raises InvalidContent where it is none, with the place."""
    if not text.strip():
        raise InvalidContent("the request has no body", remedy="Send a resource as JSON.")
    try:
        found = parse(text)
    except json.JSONDecodeError as error:
        raise InvalidContent(
            f"the body is not JSON: line {error.lineno}, column {error.colno}: {error.msg}", rule="malformed-json"
        ) from None
    except UnicodeDecodeError as error:
        raise InvalidContent(f"the body is not UTF-8 text, from byte {error.start}") from None
    except ValueError as error:
        raise InvalidContent(f"the body is not JSON: {error}") from None
    if (reason := no_text(text, found)) is not None:
        raise InvalidContent(f"the body is not FHIR: {reason}", code="value")
    return found


def _matching(exchange: Exchange) -> tuple[str | None, str | None]:
    """`If-Match` and `If-None-Match`."""
    return exchange.environ.get("HTTP_IF_MATCH"), exchange.environ.get("HTTP_IF_NONE_MATCH")


def _criteria(exchange: Exchange) -> str:
    """The query that names the resource of a conditional interaction. Raises BadRequest where there is none."""
    if not exchange.pairs:
        raise BadRequest(
            f"{exchange.environ['REQUEST_METHOD']} on a type needs criteria",
            expression="criteria",
            remedy="Write [type]/[id], or [type]?parameter=value for a conditional interaction.",
        )
    kept = [one for one in exchange.text.split("&") if one.partition("=")[0] not in ("_format", "_pretty")]
    return "&".join(kept)


def _patcher(exchange: Exchange) -> Patcher:
    """The patch in the body: JSON Patch by its own media type (or an array in plain JSON), FHIRPath Patch otherwise."""
    kind = check_content_type(exchange.environ.get("CONTENT_TYPE", ""), exchange.written, READ | {JSON_PATCH})
    patch_number(exchange.service.settings, items(exchange.body()))
    document: JSON | list[Any] = read_json(exchange.body()) if kind == JSON_PATCH else body(exchange)
    if kind == JSON_PATCH or isinstance(document, list):
        return json_patcher(exchange.service.settings, document)
    return fhirpath_patcher(exchange.service.settings, document, exchange.written)
