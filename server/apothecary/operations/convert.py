"""$convert: a resource in, the same resource in another FHIR version out.
https://hl7.org/fhir/R5/resource-operation-convert.html

The parameter `target` names the version of the answer, where `Accept` does not; `source` that of the resource, where
neither the base nor `Content-Type` does.
"""

from __future__ import annotations

from apothecary.errors import BadRequest, InvalidContent
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion, parse_version
from apothecary.interactions.forms import in_version
from apothecary.operations.base import Argument, Call, Operation
from apothecary.validation import ERRORS, validate


def run(call: Call) -> JSON:
    """The converted resource. Raises BadRequest for versions that are none, InvalidContent for an invalid resource."""
    resource = call.posted
    if isinstance(resource, dict) and resource.get("resourceType") == "Parameters":
        # Parameters that carry no resource are themselves what is to be converted.
        resource = call.parameter("resource") or call.parameter("input") or resource
    if not isinstance(resource, dict):
        raise BadRequest("there is no resource to convert", expression="resource", code="required")
    if call.resource_type is not None and resource.get("resourceType") != call.resource_type:
        raise BadRequest(
            f"the resource is a {resource.get('resourceType')}, the address is of {call.resource_type}",
            expression="resourceType",
        )
    source = _version(call, "source") or call.version
    target = target_version(call)
    issues = validate(resource, source, options=ERRORS)
    if issues:
        raise InvalidContent(f"the resource is not valid {source}", issues=issues)
    return in_version(resource, source, target)


def target_version(call: Call) -> FhirVersion:
    """The version to convert to: the parameter `target`, else what `Accept` asks for, else R4 for what is R5, and
    R5 for anything else.
    """
    source = _version(call, "source") or call.version
    named = _version(call, "target")
    if named is not None:
        return named
    if call.wanted not in (None, source):
        return call.wanted
    return FhirVersion.R4 if source is FhirVersion.R5 else FhirVersion.R5


def _version(call: Call, name: str) -> FhirVersion | None:
    text = call.parameter(name)
    if text is None:
        return None
    version = parse_version(str(text))
    if version is None:
        raise BadRequest(f"{name}={text}: write R4, R4B or R5", expression=name, code="value")
    return version


OPERATION = Operation(
    "convert",
    "http://hl7.org/fhir/OperationDefinition/Resource-convert",
    frozenset({"system", "type"}),
    False,
    run,
    target_version,
    arguments=(
        Argument("resource", "Resource", "The resource to convert, unless the body is the resource itself."),
        Argument("source", "code", "The release that it is in: R4, R4B or R5. The base's by default."),
        Argument("target", "code", "The release to convert to: R4, R4B or R5."),
    ),
)
