"""patch: JSON Patch (RFC 6902) and FHIRPath Patch. https://hl7.org/fhir/R5/http.html#patch and
https://hl7.org/fhir/R5/fhirpatch.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import jsonpatch

from apothecary.errors import BadRequest, Gone, NotFound, TooLarge, Unprocessable
from apothecary.fhir.json import JSON, dumps
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import fhirpath_patch, patch_parameters
from apothecary.interactions.forms import json_in
from apothecary.interactions.patch_pointers import incomplete, lack
from apothecary.interactions.preconditions import check_match
from apothecary.interactions.service import Service, check_id
from apothecary.interactions.writing import Written, check, put, same_content
from apothecary.settings import Settings
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

# How often the operations of a FHIRPath Patch may go through as much as the largest body holds.
_PASSES = 4

Patcher = Callable[[JSON], JSON]
"""Makes the new resource from the current one, which it leaves as it is."""


def check_number(settings: Settings, number: int) -> None:
    """Raises TooLarge for a patch of more operations than a server takes."""
    if number > settings.patch_limit:
        raise TooLarge(
            f"the patch has {number} operations, the limit is {settings.patch_limit}",
            remedy="PUT the whole resource; the operator of the server can allow more (APOTHECARY_PATCH_LIMIT).",
        )


class _Copies:
    """Counts what a JSON Patch copies: copies of copies double, so a few operations could fill the memory."""

    def __init__(self, settings: Settings) -> None:
        # What is copied has many small parts, perhaps, and takes much more memory than its text.
        self._limit = self._left = settings.body_limit // 32

    def before(self, resource: Any, operation: Mapping[str, Any]) -> None:
        """Raises TooLarge where what is copied has, with all that was, more bytes than may be."""
        if operation["op"] != "copy":
            return
        self._left -= len(dumps(jsonpatch.JsonPointer(operation["from"]).resolve(resource)))
        if self._left < 0:
            raise TooLarge(f"the patch copies more than {self._limit} bytes, a part of APOTHECARY_BODY_LIMIT")


def json_patcher(settings: Settings, operations: Any) -> Patcher:
    """A patcher from a JSON Patch document. Raises BadRequest for what is none, TooLarge for one of too many
    operations.
    """
    if not isinstance(operations, list):
        raise BadRequest("a JSON Patch is an array of operations", code="structure")
    check_number(settings, len(operations))
    for number, one in enumerate(operations):
        if (reason := incomplete(one)) is not None:
            raise BadRequest(f"this is not a JSON Patch: operation {number} {reason}", code="structure")
    try:
        steps = [jsonpatch.JsonPatch([one]) for one in operations]
    except _FAILURES as error:
        raise BadRequest(f"this is not a JSON Patch: {error}", code="structure") from None

    def apply(resource: JSON) -> JSON:
        result: Any = deepcopy(resource)
        copies = _Copies(settings)
        for number, (one, step) in enumerate(zip(operations, steps, strict=True)):
            try:
                copies.before(result, one)
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


def fhirpath_patcher(settings: Settings, parameters: Any, version: FhirVersion) -> Patcher:
    """A patcher from a Parameters resource. Raises BadRequest for what is no FHIRPath Patch, TooLarge for one of too
    many operations.
    """
    operations = parameters.get("parameter") if isinstance(parameters, dict) else None
    check_number(settings, len(operations) if isinstance(operations, list) else 0)
    operations = patch_parameters.operations(parameters, version)
    carried = len(dumps(parameters))

    def apply(resource: JSON) -> JSON:
        # Each operation looks for its place in all of the resource, and in what those before it brought.
        work = len(operations) * (len(dumps(resource)) + carried)
        if work > settings.body_limit * _PASSES:
            raise TooLarge(
                f"{len(operations)} operations are too many for a resource of this size",
                remedy="PUT the whole resource, or send the patch in parts (APOTHECARY_BODY_LIMIT).",
            )
        return fhirpath_patch.apply(resource, operations, version)

    return apply


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
    # What a patch does not fit, or what comes of it, tells of what was there.
    service.permit((resource_type,), "r")
    service.permit((resource_type,), "u")
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
