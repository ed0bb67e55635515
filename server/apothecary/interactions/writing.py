"""What create, update, patch and transaction have in common: checking a resource, giving it its version, storing it.

https://hl7.org/fhir/R5/http.html#rejecting-updates and https://hl7.org/fhir/R5/resource.html#Meta
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from apothecary.errors import BadRequest, Forbidden, InvalidContent, Unprocessable
from apothecary.fhir.json import JSON, dumps, parse, texts
from apothecary.fhir.meta import Unstamped, stamp, unstamped
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import basics
from apothecary.interactions.forms import untagged
from apothecary.interactions.profiles import profiles_for
from apothecary.interactions.service import Service
from apothecary.search.bounds import bounded_rows
from apothecary.search.own import bases
from apothecary.search.parameters import Registry
from apothecary.search.rows import Indexed
from apothecary.store.contract import Stored, Transaction
from apothecary.store.shaping import Shaped, shape
from apothecary.validation import Options, validate


class Prepared(NamedTuple):
    """What of a write can be done before its turn comes: the text of the resource `id`, and its index rows, with what
    made them.
    """

    registry: Registry
    id: str
    text: Unstamped
    found: Sequence[Indexed]
    rows: Shaped


class Written(NamedTuple):
    """What a write did: 201 for a resource that is new, 200 for one that was there, 204 for a deletion."""

    status: int
    stored: Stored
    resource: JSON | None = None
    """The resource as it was given, where it was stored: references are checked on it."""

    @property
    def sentence(self) -> str:
        """What happened, for `Prefer: return=OperationOutcome`."""
        if not self.stored.version:
            return "Nothing was there to delete."
        name = f"{self.stored.type}/{self.stored.id}"
        done = "deleted" if self.stored.deleted else "created" if self.status == 201 else "stored"
        return f"{name} is {done}, at version {self.stored.version}."


def nothing_deleted(resource_type: str, resource_id: str = "") -> Written:
    """The result of a deletion that found nothing: that is no error."""
    return Written(204, Stored(resource_type, resource_id, 0, 0, FhirVersion.R5, None))


def check_writable(service: Service) -> None:
    """Raises Forbidden where this server does not take writes."""
    closed = service.closed
    if closed is not None:
        raise Forbidden(f"this server is read-only: {closed.reason}", remedy=closed.remedy)


def check(
    service: Service, version: FhirVersion, resource: Any, resource_type: str, *, of_transaction: bool = False
) -> JSON:
    """`resource`, if it is a valid `resource_type`, and what the profiles ask that it claims and that are held here;
    conditional references may stand in entries of a transaction. Raises InvalidContent with every issue, BadRequest for
    another type.
    """
    if not isinstance(resource, dict):
        raise InvalidContent(f"a {resource_type} is a JSON object", expression=resource_type)
    found = resource.get("resourceType")
    if found != resource_type:
        raise BadRequest(
            f"the body is a {found}, the address is of {resource_type}" if found else "the body has no resourceType",
            expression="resourceType",
        )
    if resource_type == basics.BASIC:
        basics.check_own(service, version, resource)
    options = Options(conditional_references=of_transaction, profiles=profiles_for(service, resource), errors_only=True)
    issues = validate(resource, version, options=options)
    if issues:
        raise InvalidContent(f"the {resource_type} is not valid", issues=issues)
    if any(isinstance(tag, dict) and tag.get("code") == "SUBSETTED" for tag in resource.get("meta", {}).get("tag", ())):
        raise Unprocessable(
            "the resource is tagged SUBSETTED: storing it would lose what the subset left out",
            expression=f"{resource_type}.meta.tag",
            code="business-rule",
            remedy="Read the whole resource, change that, and write it back without the tag.",
        )
    return resource


def prepare(
    service: Service, version: FhirVersion, base: str, resource: JSON, resource_id: str, *, sure: bool
) -> Prepared | None:
    """Do what can be done of a write before its turn comes, when others wait for it: make the text and the index rows
    of `resource`, already checked. What is not `sure`, since a condition may not hold or the same be there already,
    only where others are written before. Raises what `put` raises.
    """
    # What may have changed meanwhile is seen when its turn has come.
    known = service.live.presumed if sure or service.store.busy else None
    if known is None:
        return None
    return _prepared(service, known.registries[FhirVersion.R5], version, base, untagged(resource), resource_id)


def _prepared(
    service: Service, registry: Registry, version: FhirVersion, base: str, resource: JSON, resource_id: str
) -> Prepared:
    text = unstamped(resource, resource_id)
    written = text.before + text.after
    _check_text(resource, written)
    found = rows(service, registry, version, base, resource, written)
    return Prepared(registry, resource_id, text, found, _shaped(service, resource, resource_id, found))


def _shaped(service: Service, resource: JSON, resource_id: str, found: Sequence[Indexed]) -> Shaped:
    return shape(resource["resourceType"], resource_id, found, sqlite=service.store.sqlite)


def put(
    service: Service,
    transaction: Transaction,
    version: FhirVersion,
    base: str,
    resource: JSON,
    resource_id: str,
    current: Stored | None,
    method: str,
    prepared: Prepared | None = None,
) -> Stored:
    """Store `resource`, valid and complete but for its meta, as the version after `current`; `base` is where the
    request came to. What was `prepared` counts where the search parameters are still the same. Raises Unprocessable
    where a value cannot be indexed.
    """
    resource, registry = untagged(resource), service.registry(FhirVersion.R5)
    if prepared is None or prepared.registry is not registry:
        prepared = _prepared(service, registry, version, base, resource, resource_id)
    elif prepared.id != resource_id:
        made = _shaped(service, resource, resource_id, prepared.found)
        prepared = prepared._replace(text=unstamped(resource, resource_id), rows=made)
    number = current.version + 1 if current is not None else 1
    moment = transaction.moment(current)
    body = prepared.text.stamped(number, moment)
    stored = Stored(resource["resourceType"], resource_id, number, moment, version, body)
    # An id that the server made is nobody else's.
    transaction.write(stored, method, prepared.rows, absent=method == "POST")
    return stored


def amend(
    service: Service, transaction: Transaction, version: FhirVersion, base: str, written: Stored, resource: JSON
) -> Stored:
    """Store another body for a version that this transaction has written. Raises Unprocessable where a value cannot be
    indexed.
    """
    body = stamp(resource, written.id, written.version, written.updated)
    _check_text(resource, body)
    stored = written._replace(body=body)
    transaction.amend(stored, rows(service, service.registry(FhirVersion.R5), version, base, resource, body))
    return stored


def _check_text(resource: JSON, text: bytes) -> None:
    """Raises Unprocessable for U+0000 in the `text` of a resource: PostgreSQL holds it in no text, so no index could.
    https://www.postgresql.org/docs/current/datatype-character.html
    """
    # The escape may follow an escaped backslash, and be none: only then is it worth looking.
    if b"\\u0000" in text and "\0" in "".join(texts(resource)):
        raise Unprocessable("a text holds the character U+0000, which cannot be stored", code="value")


def rows(
    service: Service, registry: Registry, version: FhirVersion, base: str, resource: JSON, text: bytes
) -> list[Indexed]:
    """The index rows of a resource that came to `base`, with its text. Raises Unprocessable for a value that no index
    can hold, TooLarge where there is more to index than one request may ask for.
    """
    settings = service.settings
    try:
        return bounded_rows(settings, registry, resource, version, text, bases(settings, base))
    except ValueError as error:
        raise Unprocessable(f"a value cannot be indexed for search: {error}", code="value") from None


def same_content(resource: Mapping[str, Any], current: Stored) -> bool:
    """Whether `resource` says what `current` says already, but for what the server writes itself."""
    return current.body is not None and _content(resource) == _content(parse(current.body))


def _content(resource: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The text of a resource without what the server writes, and apart from it that of its meta: the server chose where
    that stands. Text, not values: 0.5 and 0.50 are equal numbers and different content.
    """
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    rest = {key: value for key, value in resource.items() if key not in ("resourceType", "id", "meta")}
    return dumps(rest), dumps(meta)
