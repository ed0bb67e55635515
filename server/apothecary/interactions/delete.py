"""delete, plain and conditional: https://hl7.org/fhir/R5/http.html#delete and #cdelete"""

from __future__ import annotations

from apothecary.errors import PreconditionFailed
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.conditional import matches
from apothecary.interactions.preconditions import check_match
from apothecary.interactions.service import Service, check_id
from apothecary.interactions.writing import Written, nothing_deleted
from apothecary.store.contract import Stored, Transaction


def delete(
    service: Service, transaction: Transaction, resource_type: str, resource_id: str, if_match: str | None = None
) -> Written:
    """Make a deletion the current version. What is not there stays so, and that is no error."""
    check_id(resource_id)
    service.permit((resource_type,), "d")
    current = transaction.replaced(resource_type, resource_id, deleting=True)
    check_match(if_match, current, f"{resource_type}/{resource_id}")
    if current is None or current.deleted:
        return Written(204, current) if current is not None else nothing_deleted(resource_type, resource_id)
    moment = transaction.moment(current)
    stored = Stored(resource_type, resource_id, current.version + 1, moment, current.fhir_version, None)
    transaction.write(stored, "DELETE", ())
    return Written(204, stored)


def conditional_delete(
    service: Service,
    transaction: Transaction,
    version: FhirVersion,
    base: str,
    resource_type: str,
    criteria: str,
    if_match: str | None = None,
) -> list[Written]:
    """Delete what meets the criteria: one resource, or several where the setting allows.

    Raises PreconditionFailed for more than may be deleted at once, and where `if_match` does not hold for each.
    """
    several = service.settings.conditional_delete == "multiple"
    limit = service.settings.page_size_limit if several else 1
    found = matches(service, transaction, version, base, resource_type, criteria, limit + 1)
    if len(found) > limit:
        raise PreconditionFailed(
            f"{resource_type}?{criteria} matches more than {limit} resource{'s' if limit > 1 else ''}",
            code="multiple-matches",
            remedy="Write narrower criteria"
            + ("." if several else ", or allow it with APOTHECARY_CONDITIONAL_DELETE=multiple."),
        )
    if not found:
        check_match(if_match, None, f"{resource_type}?{criteria}")
    return [delete(service, transaction, one.type, one.id, if_match) for one in found]
