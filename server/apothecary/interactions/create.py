"""create, plain and conditional: https://hl7.org/fhir/R5/http.html#create and #ccreate"""

from __future__ import annotations

from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.conditional import single
from apothecary.interactions.ids import new_id
from apothecary.interactions.service import Service
from apothecary.interactions.writing import Prepared, Written, put
from apothecary.store.contract import Stored, Transaction


def create(
    service: Service,
    transaction: Transaction,
    version: FhirVersion,
    base: str,
    resource: JSON,
    if_none_exist: str | None = None,
    prepared: Prepared | None = None,
) -> Written:
    """Store a resource, already checked, under an id of the server's. With criteria: only where nothing meets them.

    Raises PreconditionFailed where several resources meet the criteria.
    """
    service.permit((resource["resourceType"],), "c")
    if if_none_exist is not None:
        found = single(service, transaction, version, base, resource["resourceType"], if_none_exist)
        if found is not None:
            return Written(200, Stored(*found[:6]))
    resource_id = prepared.id if prepared is not None else new_id()
    stored = put(service, transaction, version, base, resource, resource_id, None, "POST", prepared)
    return Written(201, stored, resource)
