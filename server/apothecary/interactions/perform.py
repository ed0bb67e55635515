"""One writing entry of a batch or transaction, done by the interaction of its method:
https://hl7.org/fhir/R5/http.html#transaction
"""

from __future__ import annotations

from apothecary.errors import NotFound
from apothecary.interactions.answers import Context
from apothecary.interactions.conditional import single
from apothecary.interactions.create import create
from apothecary.interactions.delete import conditional_delete, delete
from apothecary.interactions.entries import Entry
from apothecary.interactions.patch import Patcher, patch
from apothecary.interactions.update import conditional_update, update
from apothecary.interactions.writing import Written
from apothecary.store.contract import Transaction


def perform(context: Context, transaction: Transaction, entry: Entry) -> list[Written]:
    """Run a POST, PUT, PATCH or DELETE. A conditional DELETE may write nothing, or several deletions."""
    service, version, base, resource = context.service, context.version, context.base, entry.resource
    if entry.method == "POST" and resource is not None:
        return [create(service, transaction, version, base, resource, entry.if_none_exist, entry.prepared)]
    if entry.method == "PUT" and resource is not None:
        conditions = entry.if_match, entry.if_none_match, entry.prepared
        if entry.resource_id:
            return [update(service, transaction, version, base, resource, entry.resource_id, *conditions)]
        return [conditional_update(service, transaction, version, base, resource, entry.criteria, *conditions)]
    if entry.patcher is not None:
        return [patch_entry(context, transaction, entry, patch_target(context, transaction, entry), entry.patcher)]
    if entry.resource_id:
        return [delete(service, transaction, entry.resource_type, entry.resource_id, entry.if_match)]
    return conditional_delete(service, transaction, version, base, entry.resource_type, entry.criteria, entry.if_match)


def patch_target(context: Context, transaction: Transaction, entry: Entry) -> str:
    """The id of the resource that a PATCH is about. Raises NotFound where its criteria find none."""
    if entry.resource_id:
        return entry.resource_id
    kind = entry.resource_type
    found = single(context.service, transaction, context.version, context.base, kind, entry.criteria)
    if found is None:
        raise NotFound(f"{kind}?{entry.criteria} finds nothing to patch")
    return found.id


def patch_entry(
    context: Context, transaction: Transaction, entry: Entry, resource_id: str, patcher: Patcher
) -> Written:
    """Run a PATCH whose target is known."""
    return patch(
        context.service,
        transaction,
        context.version,
        context.base,
        entry.resource_type,
        resource_id,
        patcher,
        entry.if_match,
    )
