"""batch, and the way in for batch and transaction: https://hl7.org/fhir/R5/http.html#transaction"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

from apothecary.errors import BadRequest, FhirError
from apothecary.fhir.json import JSON
from apothecary.fhir.references import literals
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import integrity
from apothecary.interactions.answers import Context, full, of_failure, of_get, of_write
from apothecary.interactions.bundle import bundle as make_bundle
from apothecary.interactions.entries import Entry, read_bundle, read_entry
from apothecary.interactions.identities import named
from apothecary.interactions.ids import new_id
from apothecary.interactions.perform import perform
from apothecary.interactions.service import Service
from apothecary.interactions.transaction import transaction
from apothecary.interactions.turn import Turn
from apothecary.interactions.writing import Written, nothing_deleted, prepare
from apothecary.store.contract import Transaction


def process(service: Service, version: FhirVersion, base: str, bundle: Any, *, returning: str = "minimal") -> bytes:
    """The answer to a posted bundle, as JSON text. Raises the error of the first failing entry of a transaction."""
    kind, raw = read_bundle(service, version, bundle)
    context = Context(service, version, base, returning, Turn(service.settings.request_seconds))
    answered = transaction(context, raw) if kind == "transaction" else _batch(context, raw)
    return make_bundle(f"{kind}-response", [], answered, None)


def _batch(context: Context, raw: Sequence[Any]) -> list[bytes]:
    """Every entry by itself, in a transaction of its own."""
    urls = {one["fullUrl"] for one in raw if isinstance(one, dict) and isinstance(one.get("fullUrl"), str)}
    left = limit = context.service.settings.answer_limit
    answered: list[bytes] = []
    for number, one in enumerate(raw):
        if left <= 0:
            answer = of_failure(full(limit, number))
        elif context.turn.over:
            answer = of_failure(context.turn.error(f"Bundle.entry[{number}]"))
        else:
            answer = _alone(context, number, one, urls)
        left -= len(answer)
        answered.append(answer)
    return answered


def _alone(context: Context, number: int, raw: Any, urls: Set[str]) -> bytes:
    try:
        entry = read_entry(context.service, context.version, context.base, number, raw)
        try:
            _refuse_dependence(entry, urls)
            if entry.reads:
                return of_get(context, entry)
            if entry.resource is not None:
                _prepare(context, entry, entry.resource)
            return of_write(context, context.service.write(lambda inside: _checked(context, inside, entry)))
        except FhirError as error:
            raise entry.named(error) from None
    except FhirError as error:
        return of_failure(error)


def _prepare(context: Context, entry: Entry, resource: JSON) -> None:
    """Do what can be done of a POST or PUT before its turn comes."""
    creating = entry.method == "POST"
    likely = new_id() if creating else entry.resource_id or resource.get("id") or new_id()
    sure = creating and entry.if_none_exist is None
    entry.prepared = prepare(context.service, context.version, context.base, resource, likely, sure=sure)


def _refuse_dependence(entry: Entry, urls: Set[str]) -> None:
    """Raises BadRequest for a link to another entry: https://hl7.org/fhir/R5/http.html#brules forbids them in a
    batch.
    """
    linked = [*literals(entry.resource or {}), *(("criteria", one) for one in named(entry, urls))]
    for path, literal in linked:
        if literal in urls and literal.startswith("urn:"):
            raise BadRequest(
                f"{literal} is another entry of the batch, and entries of a batch do not depend on each other",
                expression=path,
                remedy="Send a transaction.",
            )


def _checked(context: Context, inside: Transaction, entry: Entry) -> Written:
    written = perform(context, inside, entry)
    integrity.check(context.service, inside, context.base, written)
    return written[0] if written else nothing_deleted(entry.resource_type)
