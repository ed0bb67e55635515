"""batch and transaction: https://hl7.org/fhir/R5/http.html#transaction"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin

from server.errors import BadRequest, FhirError, NotFound, PreconditionFailed
from server.fhir.json import JSON, dumps
from server.fhir.references import literals, parse_reference
from server.fhir.releases import FhirVersion
from server.fhir.temporal import instant
from server.interactions import capabilities, integrity
from server.interactions.bundle import bundle as make_bundle
from server.interactions.conditional import single
from server.interactions.create import create
from server.interactions.delete import conditional_delete, delete
from server.interactions.entries import Entry, read_bundle, read_entry
from server.interactions.forms import body_in
from server.interactions.history import history
from server.interactions.ids import new_id
from server.interactions.patch import patch
from server.interactions.read import read, vread
from server.interactions.rewrite import rewrite
from server.interactions.search import search
from server.interactions.service import Service
from server.interactions.update import check_identity, conditional_update, target_of, update
from server.interactions.writing import Written, put
from server.reports.operation_outcome import operation_outcome
from server.search.text import decode
from server.store.contract import Stored, Transaction

# https://hl7.org/fhir/R5/http.html#trules: the order in which the entries of a transaction take effect.
ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")

REASONS = {200: "OK", 201: "Created", 204: "No Content", 304: "Not Modified"}


@dataclass(frozen=True, slots=True)
class Context:
    """What all entries of one bundle share."""

    service: Service
    version: FhirVersion
    base: str
    returning: str
    """`Prefer: return=`: representation, minimal or OperationOutcome."""


def process(service: Service, version: FhirVersion, base: str, bundle: Any, *, returning: str = "minimal") -> bytes:
    """The answer to a posted bundle, as JSON text. Raises the error of the first failing entry of a transaction."""
    kind, raw = read_bundle(service, bundle)
    context = Context(service, version, base, returning)
    answered = _transaction(context, raw) if kind == "transaction" else _batch(context, raw)
    return make_bundle(f"{kind}-response", [], answered, None)


# -- batch: every entry by itself


def _batch(context: Context, raw: Sequence[Any]) -> list[bytes]:
    urls = {one["fullUrl"] for one in raw if isinstance(one, dict) and isinstance(one.get("fullUrl"), str)}
    return [_alone(context, number, one, urls) for number, one in enumerate(raw)]


def _alone(context: Context, number: int, raw: Any, urls: Set[str]) -> bytes:
    service = context.service
    try:
        entry = read_entry(service, context.version, context.base, number, raw)
        _refuse_dependence(entry, urls)
        try:
            if entry.method in ("GET", "HEAD"):
                return _get(context, entry)
            written = service.store.write(lambda transaction: _checked(context, transaction, entry))
            return _answer(context, written)
        except FhirError as error:
            raise entry.named(error) from None
    except FhirError as error:
        return _failure(error)


def _refuse_dependence(entry: Entry, urls: Set[str]) -> None:
    """Raises BadRequest for a link to another entry: https://hl7.org/fhir/R5/http.html#brules forbids them."""
    for path, literal in literals(entry.resource or {}):
        if literal in urls and literal.startswith("urn:"):
            error = BadRequest(
                f"{literal} is another entry of the batch, and entries of a batch do not depend on each other",
                expression=path,
                remedy="Send a transaction.",
            )
            raise entry.named(error)


def _checked(context: Context, transaction: Transaction, entry: Entry) -> Written:
    written = _perform(context, transaction, entry)
    integrity.check(context.service, transaction, written)
    return written[0] if written else Written(204, Stored(entry.resource_type, "", 0, 0, context.version, None))


# -- transaction: all or nothing


def _transaction(context: Context, raw: Sequence[Any]) -> list[bytes]:
    entries = [
        read_entry(context.service, context.version, context.base, number, one) for number, one in enumerate(raw)
    ]
    _refuse_overlap(entries)
    return context.service.store.write(lambda transaction: _together(context, transaction, entries))


def _refuse_overlap(entries: Sequence[Entry]) -> None:
    """Raises BadRequest where two entries change one resource: their order would decide."""
    seen: dict[tuple[str, str], Entry] = {}
    urls: dict[str, Entry] = {}
    for entry in entries:
        if entry.method in ("DELETE", "PUT", "PATCH") and entry.resource_id:
            other = seen.setdefault((entry.resource_type, entry.resource_id), entry)
            _refuse(entry, other, f"{entry.resource_type}/{entry.resource_id}")
        if entry.full_url and entry.method in ("POST", "PUT"):
            _refuse(entry, urls.setdefault(entry.full_url, entry), entry.full_url)


def _refuse(entry: Entry, other: Entry, name: str) -> None:
    if other is not entry:
        raise BadRequest(
            f"{other.expression} and {entry.expression} are both about {name}",
            expression=[other.expression, entry.expression],
            code="duplicate",
            remedy="Let a transaction change each resource once.",
        )


def _together(context: Context, transaction: Transaction, entries: Sequence[Entry]) -> list[bytes]:
    """Run the entries in the order of the specification, and answer in the order of the bundle."""
    inside = replace(context, service=replace(context.service, reader=transaction))
    written: list[Written] = []
    answers: dict[int, bytes] = {}

    def run(entry: Entry, work: Callable[[], list[Written]]) -> None:
        try:
            done = work()
        except FhirError as error:
            raise entry.named(error) from None
        written.extend(done)
        nothing = Written(204, Stored(entry.resource_type, "", 0, 0, context.version, None))
        answers[entry.number] = _answer(context, done[0] if done else nothing)

    in_order = sorted(entries, key=lambda entry: ORDER.index(entry.method))
    for entry in in_order:
        if entry.method == "DELETE":
            run(entry, lambda entry=entry: _perform(inside, transaction, entry))  # type: ignore[misc]
    identities = _identities(inside, transaction, entries)
    _refuse_same_target(entries, identities)
    for entry in in_order:
        if entry.method in ("POST", "PUT", "PATCH"):
            resolved = _resolved(inside, transaction, entry, identities, entries)
            run(entry, lambda entry=entry, r=resolved: _store(inside, transaction, entry, r, identities))  # type: ignore[misc]
    integrity.check(context.service, transaction, written)
    for entry in in_order:
        if entry.method in ("GET", "HEAD"):
            try:
                answers[entry.number] = _get(inside, entry)
            except FhirError as error:
                raise entry.named(error) from None
    return [answers[number] for number in range(len(entries))]


@dataclass(frozen=True, slots=True)
class Identity:
    """Which resource an entry is about: found by its criteria, or to be written under an id that is settled now."""

    resource_type: str
    id: str
    found: Stored | None = None


def _identities(context: Context, transaction: Transaction, entries: Sequence[Entry]) -> dict[int, Identity]:
    """The resource of every POST and PUT, settled before any is written, so that they can point to each other."""
    result: dict[int, Identity] = {}
    conditional: dict[tuple[str, str], Identity] = {}
    for entry in entries:
        try:
            if entry.method == "POST" and entry.resource is not None:
                key = entry.resource_type, entry.if_none_exist or ""
                if entry.if_none_exist and key in conditional:
                    # The same criteria again mean the resource that the first entry finds or creates.
                    same = conditional[key]
                    result[entry.number] = replace(same, found=same.found or _PENDING)
                    continue
                result[entry.number] = _created(context, transaction, entry)
                if entry.if_none_exist:
                    conditional[key] = result[entry.number]
            elif entry.method == "PUT" and entry.resource is not None:
                target = entry.resource_id or target_of(
                    context.service, transaction, context.version, context.base, entry.resource, entry.criteria
                )
                result[entry.number] = Identity(entry.resource_type, target)
        except FhirError as error:
            raise entry.named(error) from None
    return result


# Stands for a resource that an earlier entry of the same transaction creates.
_PENDING = Stored("", "", 0, 0, "", None)


def _created(context: Context, transaction: Transaction, entry: Entry) -> Identity:
    if entry.if_none_exist is not None:
        found = single(
            context.service, transaction, context.version, context.base, entry.resource_type, entry.if_none_exist
        )
        if found is not None:
            stored = Stored(found.type, found.id, found.version, found.updated, found.fhir_version, found.body)
            return Identity(found.type, found.id, stored)
    return Identity(entry.resource_type, new_id())


def _refuse_same_target(entries: Sequence[Entry], identities: dict[int, Identity]) -> None:
    """Criteria may lead to a resource that another entry names: the same overlap, found later."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        identity = identities.get(entry.number)
        if entry.method == "PUT" and identity is not None:
            _refuse(
                entry,
                seen.setdefault((identity.resource_type, identity.id), entry),
                f"{identity.resource_type}/{identity.id}",
            )


def _resolved(
    context: Context, transaction: Transaction, entry: Entry, identities: dict[int, Identity], entries: Sequence[Entry]
) -> JSON | None:
    """The entry's resource with links to other entries, and conditional references, replaced."""
    if entry.resource is None:
        return None
    links = {one.full_url: identities[one.number] for one in entries if one.full_url and one.number in identities}
    base = entry.full_url if entry.full_url.startswith(("http://", "https://")) else ""

    def resolve(link: str) -> str | None:
        target = links.get(link)
        if target is None and base and parse_reference(link).relative:
            # [root]/Type/id is beside the entry's own fullUrl [root]/Type/id.
            target = links.get(urljoin(base, f"../{link}"))
        if target is not None:
            return f"{target.resource_type}/{target.id}"
        kind, question, criteria = link.partition("?")
        if question and context.service.registry(context.version).serves(kind):
            return _conditional_reference(context, transaction, link, kind, criteria)
        return None

    try:
        rewritten: JSON = rewrite(entry.resource, context.version, resolve)
    except FhirError as error:
        raise entry.named(error) from None
    return rewritten


def _conditional_reference(context: Context, transaction: Transaction, link: str, kind: str, criteria: str) -> str:
    """https://hl7.org/fhir/R5/http.html#trules: a conditional reference means exactly one resource."""
    found = single(context.service, transaction, context.version, context.base, kind, criteria)
    if found is None:
        raise PreconditionFailed(f"the conditional reference {link} finds nothing", code="not-found")
    return f"{kind}/{found.id}"


def _store(
    context: Context, transaction: Transaction, entry: Entry, resource: JSON | None, identities: dict[int, Identity]
) -> list[Written]:
    """Write one entry whose identity is settled."""
    if resource is None:
        return _perform(context, transaction, entry)
    identity = identities[entry.number]
    if entry.method == "POST":
        if identity.found is not None:
            there = (
                transaction.read(identity.resource_type, identity.id) if identity.found is _PENDING else identity.found
            )
            return [Written(200, there)] if there is not None else []
        stored = put(context.service, transaction, context.version, resource, identity.id, None, "POST")
        return [Written(201, stored, resource)]
    return [
        update(
            context.service, transaction, context.version, resource, identity.id, entry.if_match, entry.if_none_match
        )
    ]


def _perform(context: Context, transaction: Transaction, entry: Entry) -> list[Written]:
    """One write by itself, as the interaction of that name does it."""
    service, version, base, kind = context.service, context.version, context.base, entry.resource_type
    match entry.method, entry.resource:
        case "POST", dict() as resource:
            return [create(service, transaction, version, base, resource, entry.if_none_exist)]
        case "PUT", dict() as resource:
            if entry.resource_id:
                check_identity(resource, entry.resource_id)
                return [
                    update(
                        service, transaction, version, resource, entry.resource_id, entry.if_match, entry.if_none_match
                    )
                ]
            return [
                conditional_update(
                    service, transaction, version, base, resource, entry.criteria, entry.if_match, entry.if_none_match
                )
            ]
        case "PATCH", _ if entry.patcher is not None:
            target = entry.resource_id
            if not target:
                found = single(service, transaction, version, base, kind, entry.criteria)
                if found is None:
                    raise NotFound(f"{kind}?{entry.criteria} finds nothing to patch")
                target = found.id
            return [patch(service, transaction, version, kind, target, entry.patcher, entry.if_match)]
    if entry.resource_id:
        return [delete(transaction, kind, entry.resource_id, entry.if_match)]
    return conditional_delete(service, transaction, version, base, kind, entry.criteria)


# -- answers


def _get(context: Context, entry: Entry) -> bytes:
    """A read, search or history inside a bundle."""
    service, version, base = context.service, context.version, context.base
    match [segment for segment in entry.path.split("/") if segment]:
        case ["metadata"]:
            return _content(capabilities.capabilities(service, version, base)[0])
        case [kind, identity]:
            found = read(service, version, kind, identity)
            if entry.if_none_match and f'"{found.version}"' in entry.if_none_match:
                return _response(304, found)
            return _response(200, found, found.body)
        case [kind, identity, "_history"]:
            return _content(history(service, version, base, kind, identity, decode(entry.criteria)))
        case [kind, identity, "_history", number]:
            past = vread(service, version, kind, identity, number)
            return _response(200, Stored(*past[:6]), past.body)
        case [kind]:
            return _content(search(service, version, base, kind, decode(entry.criteria)))
        case []:
            return _content(search(service, version, base, None, decode(entry.criteria)))
    raise NotFound(f"there is nothing at {entry.path}")


def _content(body: bytes) -> bytes:
    return b'{"resource":%b,"response":{"status":"200 OK"}}' % body


def _answer(context: Context, written: Written) -> bytes:
    stored = written.stored
    shown = context.returning == "representation" and stored.body is not None
    body = body_in(stored, context.version) if shown else None
    return _response(
        written.status, stored, body, f"{context.base}/{stored.type}/{stored.id}/_history/{stored.version}"
    )


def _response(status: int, stored: Stored, body: bytes | None = None, location: str = "") -> bytes:
    response: JSON = {"status": f"{status} {REASONS[status]}"}
    if location and stored.version and status != 204:
        response["location"] = location
    if stored.version:
        response |= {"etag": f'W/"{stored.version}"', "lastModified": instant(stored.updated)}
    parts = [b'"resource":%b' % body] if body is not None else []
    parts.append(b'"response":%b' % dumps(response))
    return b"{%b}" % b",".join(parts)


def _failure(error: FhirError) -> bytes:
    outcome = operation_outcome(error.issues)
    return b'{"response":%b}' % dumps({"status": str(error.status), "outcome": outcome})
