"""update, plain and conditional, creating where there is nothing: https://hl7.org/fhir/R5/http.html#update and
#cond-update
"""

from __future__ import annotations

from apothecary.errors import BadRequest, Conflict
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import basics
from apothecary.interactions.conditional import single
from apothecary.interactions.ids import new_id
from apothecary.interactions.preconditions import check_match, check_none_match
from apothecary.interactions.service import Service, check_id
from apothecary.interactions.writing import Prepared, Written, put, same_content
from apothecary.store.contract import Transaction


def check_identity(resource: JSON, resource_id: str) -> None:
    """Raises BadRequest where the body has no id, or another than the address."""
    check_id(resource_id)
    kind, found = resource["resourceType"], resource.get("id")
    if found != resource_id:
        problem = f"the body's id is {found!r}" if found is not None else "the body has no id"
        raise BadRequest(f"{problem}, the address says {resource_id!r}", expression=f"{kind}.id", code="value")


def update(
    service: Service,
    transaction: Transaction,
    version: FhirVersion,
    base: str,
    resource: JSON,
    resource_id: str,
    if_match: str | None = None,
    if_none_match: str | None = None,
    prepared: Prepared | None = None,
) -> Written:
    """Make `resource`, already checked, the current version of `resource_id`. The same content again changes nothing.

    Raises PreconditionFailed where a precondition does not hold.
    """
    kind = resource["resourceType"]
    service.permit((kind,), "u", "c")
    current = transaction.replaced(kind, resource_id)
    if current is None and kind == basics.BASIC:
        other = basics.stands_for(service, version, transaction, resource_id)
        if other is not None:
            raise Conflict(
                f"Basic/{resource_id} stands for {other}/{resource_id}",
                remedy=f"Write {other}/{resource_id} in R5, or another Basic.",
            )
    check_match(if_match, current, f"{kind}/{resource_id}")
    check_none_match(if_none_match, current, f"{kind}/{resource_id}")
    exists = current is not None and not current.deleted
    if current is not None and exists and current.fhir_version == version and same_content(resource, current):
        return Written(200, current)
    stored = put(service, transaction, version, base, resource, resource_id, current, "PUT", prepared)
    return Written(200 if exists else 201, stored, resource)


def conditional_update(
    service: Service,
    transaction: Transaction,
    version: FhirVersion,
    base: str,
    resource: JSON,
    criteria: str,
    if_match: str | None = None,
    if_none_match: str | None = None,
    prepared: Prepared | None = None,
) -> Written:
    """Update the one resource that meets the criteria, or create it. Raises PreconditionFailed for several."""
    target = target_of(service, transaction, version, base, resource, criteria)
    return update(service, transaction, version, base, resource, target, if_match, if_none_match, prepared)


def target_of(
    service: Service, transaction: Transaction, version: FhirVersion, base: str, resource: JSON, criteria: str
) -> str:
    """The id that a conditional update writes to: https://hl7.org/fhir/R5/http.html#cond-update

    Raises BadRequest where the criteria find another resource than the body's id names, Conflict where they find none
    and that id is taken.
    """
    kind = resource["resourceType"]
    found = single(service, transaction, version, base, kind, criteria)
    given = resource.get("id")
    if found is None:
        if given is None:
            return new_id()
        check_id(given)
        taken = transaction.replaced(kind, given)
        if taken is not None and not taken.deleted:
            raise Conflict(
                f"the criteria find nothing, and {kind}/{given} is there already",
                expression=f"{kind}.id",
                remedy=f"PUT to [base]/{kind}/{given} to change it, or leave the id out to create another.",
            )
        return str(given)
    if given is not None and given != found.id:
        raise BadRequest(
            f"the criteria find {kind}/{found.id}, the body's id is {given!r}", expression=f"{kind}.id", code="value"
        )
    return found.id
