"""$validate: https://hl7.org/fhir/R5/resource-operation-validate.html"""

from __future__ import annotations

from typing import Any

from apothecary.content.definitions import DEFINING, refusal
from apothecary.errors import BadRequest, Issue, StartError
from apothecary.fhir.json import JSON, parse
from apothecary.interactions.read import read
from apothecary.operations.base import Call, Operation
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.search.defined import Defining
from apothecary.validation import Options, validate
from apothecary.validation.profiles import CORE, Profiles

MODES = ("create", "update", "delete", "profile")


def run(call: Call) -> JSON:
    """The issues of a resource as an OperationOutcome; nothing is stored. Raises BadRequest without a resource."""
    mode = call.parameter("mode")
    if mode is not None and mode not in MODES:
        raise BadRequest(f"mode={mode}: write one of {', '.join(MODES)}", expression="mode", code="value")
    resource = _resource(call)
    if (
        call.resource_type is not None
        and isinstance(resource, dict)
        and resource.get("resourceType") != call.resource_type
    ):
        raise BadRequest(
            f"the resource is a {resource.get('resourceType')}, the address is of {call.resource_type}",
            expression="resourceType",
        )
    profiles = _profiles(call, resource)
    issues = [*validate(resource, call.version, options=Options(profiles=profiles)), *_servable(call, resource)]
    # An outcome has at least one issue: https://hl7.org/fhir/R5/operationoutcome.html
    return operation_outcome(issues or [Issue("information", "informational", "The resource is valid.")])


def _servable(call: Call, resource: Any) -> list[Issue]:
    """What a write of a definition would be refused for: no search could be answered by it."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind not in DEFINING:
        return []
    given = Defining(resource, call.version, f"{kind}/{resource.get('id', '')}")
    try:
        reason = refusal(call.service.settings, call.service.reader, given)
    except (TypeError, AttributeError):
        # Of another shape than its type has: that was told.
        return []
    return [Issue("error", "business-rule", reason, (kind,), rule="unservable-definition")] if reason else []


def _profiles(call: Call, resource: Any) -> Profiles | None:
    """The profile that was asked for, with the definitions that the server holds; None when none was asked for, or the
    definition of the type itself. Raises BadRequest for one that is not held or is for another type.
    """
    url = call.parameter("profile")
    type_name = resource.get("resourceType") if isinstance(resource, dict) else None
    if url is None or url == f"{CORE}{type_name}":
        return None
    held = (
        parse(stored.body)
        for kind in ("StructureDefinition", "ValueSet", "CodeSystem")
        for stored in call.service.reader.all_of_type(kind)
        if stored.body is not None
    )
    try:
        profiles = Profiles(held, (str(url),))
        profile = profiles.profile(str(url), call.version)
    except StartError as error:
        raise BadRequest(
            str(error),
            expression="profile",
            code="not-found",
            remedy="Store the StructureDefinition and what it is based on first.",
        ) from error
    if profile.type != type_name:
        raise BadRequest(f"{url} is a profile on {profile.type}, the resource is a {type_name}", expression="profile")
    return profiles


def _resource(call: Call) -> Any:
    posted = call.posted
    if isinstance(posted, dict) and posted.get("resourceType") == "Parameters" and call.resource_type != "Parameters":
        resource = call.parameter("resource")
    else:
        resource = posted
    if resource is None and call.resource_id is not None and call.resource_type is not None:
        stored = read(call.service, call.version, call.resource_type, call.resource_id)
        return parse(stored.body or b"")
    if resource is None:
        raise BadRequest(
            "there is no resource to validate",
            expression="resource",
            code="required",
            remedy="POST the resource itself, or Parameters with a parameter named resource.",
        )
    return resource


OPERATION = Operation(
    "validate",
    "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    frozenset({"system", "type", "instance"}),
    False,
    run,
)
