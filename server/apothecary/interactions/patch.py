"""patch: JSON Patch (RFC 6902) and FHIRPath Patch. https://hl7.org/fhir/R5/http.html#patch and
https://hl7.org/fhir/R5/fhirpatch.html
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import jsonpatch

from apothecary.errors import BadRequest, Gone, NotFound, Unprocessable
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import fhirpath_patch, patch_parameters
from apothecary.interactions.forms import json_in
from apothecary.interactions.patch_pointers import incomplete, lack
from apothecary.interactions.preconditions import check_match
from apothecary.interactions.service import Service, check_id
from apothecary.interactions.writing import Written, check, put, same_content
from apothecary.store.contract import Transaction

# What the library raises for patches that are none, or do not fit; the builtin ones come from values of odd types.
_FAILURES = (
    jsonpatch.JsonPatchException,
    jsonpatch.JsonPointerException,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    RecursionError,
)

Patcher = Callable[[JSON], JSON]
"""Makes the new resource from the current one, which it leaves as it is."""


def json_patcher(operations: Any) -> Patcher:
    """A patcher from a JSON Patch document. Raises BadRequest for what is none."""
    if not isinstance(operations, list):
        raise BadRequest("a JSON Patch is an array of operations", code="structure")
    for number, one in enumerate(operations):
        if (reason := incomplete(one)) is not None:
            raise BadRequest(f"this is not a JSON Patch: operation {number} {reason}", code="structure")
    try:
        steps = [jsonpatch.JsonPatch([one]) for one in operations]
    except _FAILURES as error:
        raise BadRequest(f"this is not a JSON Patch: {error}", code="structure") from None

    def apply(resource: JSON) -> JSON:
        result: Any = deepcopy(resource)
        for number, (one, step) in enumerate(zip(operations, steps, strict=True)):
            try:
                result = step.apply(result, in_place=True)
            except jsonpatch.JsonPatchTestFailed:
                reason = f"a test of the patch failed: {one['path'] or 'the resource'} is not what it says"
                raise Unprocessable(f"operation {number}: {reason}", code="processing") from None
            except _FAILURES:
                # What the library says quotes its own data.
                reason = lack(result, one) or "it does not fit the resource"
                raise Unprocessable(
                    f"the patch cannot be applied: operation {number}, {one['op']} {one['path']}: {reason}",
                    code="processing",
                ) from None
        if not isinstance(result, dict):
            raise Unprocessable("the patch leaves no resource", code="processing")
        return result

    return apply


def fhirpath_patcher(parameters: Any, version: FhirVersion) -> Patcher:
    """A patcher from a Parameters resource. Raises BadRequest for what is no FHIRPath Patch."""
    operations = patch_parameters.operations(parameters, version)
    return lambda resource: fhirpath_patch.apply(resource, operations, version)


def patch(
    service: Service,
    transaction: Transaction,
    version: FhirVersion,
    base: str,
    resource_type: str,
    resource_id: str,
    patcher: Patcher,
    if_match: str | None = None,
) -> Written:
    """Change a resource by a patch.

    Raises NotFound and Gone where there is nothing to patch, Unprocessable where the patch does not fit, InvalidContent
    where its result is not valid.
    """
    check_id(resource_id)
    current = transaction.read(resource_type, resource_id)
    check_match(if_match, current, f"{resource_type}/{resource_id}")
    if current is None:
        raise NotFound(f"{resource_type}/{resource_id} does not exist, so it cannot be patched")
    if current.body is None:
        raise Gone(f"{resource_type}/{resource_id} was deleted, so it cannot be patched")
    result = patcher(json_in(current, version))
    if result.get("resourceType") != resource_type or result.get("id") != resource_id:
        raise Unprocessable("a patch may change neither the type nor the id of a resource", code="business-rule")
    check(service, version, result, resource_type)
    if current.fhir_version == version and same_content(result, current):
        return Written(200, current)
    stored = put(service, transaction, version, base, result, resource_id, current, "PATCH")
    return Written(200, stored, result)
