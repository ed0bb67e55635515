"""What create, update, patch and transaction have in common: checking a resource, giving it its version, storing it.

https://hl7.org/fhir/R5/http.html#rejecting-updates and https://hl7.org/fhir/R5/resource.html#Meta
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from server.errors import BadRequest, Forbidden, InvalidContent, Unprocessable
from server.fhir.json import JSON, dumps, parse
from server.fhir.meta import stamp
from server.fhir.releases import FhirVersion
from server.fhir.temporal import now
from server.interactions.forms import canonical
from server.interactions.service import Service
from server.store.contract import Stored, Transaction
from server.validation import validate


class Written(NamedTuple):
    """What a write did: 201 for a resource that is new, 200 for one that was there, 204 for a deletion."""

    status: int
    stored: Stored
    resource: JSON | None = None
    """The resource as it was given, where it was stored: references are checked on it."""


def check_writable(service: Service) -> None:
    """Raises Forbidden where this server does not take writes."""
    if not service.settings.writable:
        raise Forbidden(
            f"this server is read-only: it listens on {service.settings.host} without authorization",
            remedy="Listen on a loopback address, or open writes with the setting open_writes.",
        )


def check(version: FhirVersion, resource: Any, resource_type: str) -> JSON:
    """`resource`, if it is a valid `resource_type`. Raises InvalidContent with every issue, BadRequest for another
    type.
    """
    if not isinstance(resource, dict):
        raise InvalidContent(f"a {resource_type} is a JSON object", expression=resource_type)
    found = resource.get("resourceType")
    if found != resource_type:
        raise BadRequest(
            f"the body is a {found}, the address is of {resource_type}" if found else "the body has no resourceType",
            expression="resourceType",
        )
    issues = [issue for issue in validate(resource, version) if issue.severity in ("error", "fatal")]
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


def put(
    service: Service,
    transaction: Transaction,
    version: FhirVersion,
    resource: JSON,
    resource_id: str,
    current: Stored | None,
    method: str,
) -> Stored:
    """Store `resource`, valid and complete but for its meta, as the version after `current`. Raises Unprocessable where
    a value cannot be indexed.
    """
    number = current.version + 1 if current is not None else 1
    moment = now()
    if current is not None:
        # Versions of one resource are in the order of time, even when clocks are not.
        moment = max(moment, current.updated + 1000)
    stored = Stored(
        resource["resourceType"], resource_id, number, moment, version, stamp(resource, resource_id, number, moment)
    )
    transaction.write(stored, method, rows(service, version, resource))
    return stored


def rows(service: Service, version: FhirVersion, resource: JSON) -> Any:
    """The index rows of a resource. Raises Unprocessable for a value that no index can hold."""
    try:
        return service.registries[FhirVersion.R5].rows(canonical(resource, version))
    except ValueError as error:
        raise Unprocessable(f"a value cannot be indexed for search: {error}", code="value") from None


def same_content(resource: Mapping[str, Any], current: Stored) -> bool:
    """Whether `resource` says what `current` says already, but for what the server writes itself."""
    return current.body is not None and _content(resource) == _content(parse(current.body))


def _content(resource: Mapping[str, Any]) -> bytes:
    meta = {key: value for key, value in resource.get("meta", {}).items() if key not in ("versionId", "lastUpdated")}
    # Text, not values: 0.5 and 0.50 are equal numbers and different content.
    return dumps({**resource, "meta": meta})
