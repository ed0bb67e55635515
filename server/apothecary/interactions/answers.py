"""The entries of a batch-response or transaction-response: https://hl7.org/fhir/R5/http.html#transaction-response"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from apothecary.errors import BadRequest, FhirError, Issue, NotFound, NotSupported
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.temporal import instant, parse_span
from apothecary.interactions import capabilities
from apothecary.interactions.entries import Entry
from apothecary.interactions.forms import body_in
from apothecary.interactions.history import history, history_of
from apothecary.interactions.operating import operate
from apothecary.interactions.read import read, vread
from apothecary.interactions.search import search
from apothecary.interactions.service import Service
from apothecary.interactions.sizes import too_large
from apothecary.interactions.subset import subset
from apothecary.interactions.turn import Turn
from apothecary.interactions.writing import Written
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.search.suggestions import unknown_elements
from apothecary.search.text import decode
from apothecary.store.contract import Stored

SUMMARIES = ("true", "text", "data", "false")


@dataclass(frozen=True, slots=True)
class Context:
    """What all entries of one bundle share."""

    service: Service
    version: FhirVersion
    base: str
    returning: str
    """`Prefer: return=`: representation, minimal or OperationOutcome."""
    turn: Turn
    """How long all of it may take."""


def of_write(context: Context, written: Written) -> bytes:
    """The answer to a POST, PUT, PATCH or DELETE, with as much as the client prefers."""
    stored = written.stored
    shown = context.returning == "representation" and stored.body is not None
    body = body_in(stored, context.version) if shown else None
    response = _response(written.status, stored)
    if written.status in (200, 201) and stored.version:
        response["location"] = f"{context.base}/{stored.type}/{stored.id}/_history/{stored.version}"
    if context.returning == "OperationOutcome":
        issue = Issue("information", "informational", written.sentence)
        response["outcome"] = operation_outcome([issue])
    return _entry(response, body)


def of_failure(error: FhirError) -> bytes:
    """The answer to an entry of a batch that failed."""
    return _entry({"status": _status(error.status), "outcome": operation_outcome(error.issues)}, None)


def full(limit: int, number: int) -> FhirError:
    """What an entry of a batch is answered with that is not looked at, because the answer is full."""
    problem = too_large(limit, "the answer", "Send the entry again, in another bundle.")
    return type(problem)(
        str(problem), expression=f"Bundle.entry[{number}]", remedy=f"Nothing was done. {problem.issues[0].remedy}"
    )


def of_get(context: Context, entry: Entry) -> bytes:
    """The answer to a read, search or history; to HEAD without the resource. Raises what the interaction raises."""
    response, body = _get(context, entry)
    return _entry(response, None if entry.method == "HEAD" else body)


def _get(context: Context, entry: Entry) -> tuple[JSON, bytes | None]:
    service, version, base = context.service, context.version, context.base
    pairs = [
        pair
        for pair in decode(entry.criteria, service.settings.parameter_limit)
        if pair[0] not in ("_format", "_pretty")
    ]
    content: bytes
    match [segment for segment in entry.path.split("/") if segment]:
        case [*path] if entry.is_operation:
            content = dumps(operate(service, version, base, path, pairs, entry.posted, entry.method))
        case ["metadata"]:
            content = capabilities.capabilities(service, version, base)[0]
        case []:
            content = search(service, version, base, None, pairs)
        case ["_history"]:
            content = history_of(service, version, base, None, pairs)
        case [kind]:
            content = search(service, version, base, kind, pairs)
        case [kind, "_history"]:
            content = history_of(service, version, base, kind, pairs)
        case [kind, identity]:
            return _resource(context, entry, read(service, version, kind, identity), pairs)
        case [kind, identity, "_history"]:
            content = history(service, version, base, kind, identity, pairs)
        case [kind, identity, "_history", number]:
            return _resource(context, entry, Stored(*vread(service, version, kind, identity, number)[:6]), pairs)
        case _:
            raise NotFound(f"there is nothing at {entry.path}")
    return {"status": _status(200)}, content


def _resource(
    context: Context, entry: Entry, stored: Stored, pairs: list[tuple[str, str]]
) -> tuple[JSON, bytes | None]:
    """A resource that was read, or 304 where the client's copy is current: https://hl7.org/fhir/R5/http.html#cread"""
    if _current(entry, stored):
        return _response(304, stored), None
    parameters = dict(pairs)
    summary = parameters.pop("_summary", "false")
    elements = [one.strip() for one in parameters.pop("_elements", "").split(",") if one.strip()]
    if parameters or summary not in SUMMARIES:
        name = next(iter(parameters), "_summary")
        raise BadRequest(f"{name} cannot be used so in a read", expression="request.url", code="not-supported")
    for name, meant in unknown_elements(context.version, (stored.type,), elements).items():
        # A resource that is read has no place for a warning.
        raise NotSupported(f"{stored.type} has no element {name!r}", expression="_elements", remedy=meant)
    body = body_in(stored, context.version)
    if summary != "false" or elements:
        body = subset(body, context.version, summary, elements)
    return _response(200, stored), body


def _current(entry: Entry, stored: Stored) -> bool:
    if entry.if_none_match is not None:
        tags = [tag.strip().removeprefix("W/") for tag in entry.if_none_match.split(",")]
        return "*" in tags or f'"{stored.version}"' in tags
    if entry.if_modified_since is None:
        return False
    try:
        return stored.updated <= parse_span(entry.if_modified_since).low
    except ValueError as error:
        raise BadRequest(f"{entry.if_modified_since}: {error}", expression="request.ifModifiedSince") from None


def _response(status: int, stored: Stored) -> JSON:
    response: JSON = {"status": _status(status)}
    if stored.version:
        response |= {"etag": f'W/"{stored.version}"', "lastModified": instant(stored.updated)}
    return response


def _status(code: int) -> str:
    return f"{code} {HTTPStatus(code).phrase}"


def _entry(response: JSON, body: bytes | None) -> bytes:
    if body is None:
        return b'{"response":%b}' % dumps(response)
    return b'{"resource":%b,"response":%b}' % (body, dumps(response))
