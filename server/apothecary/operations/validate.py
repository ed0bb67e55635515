"""$validate: https://hl7.org/fhir/R5/resource-operation-validate.html"""

from __future__ import annotations

from typing import Any

from apothecary.content.definitions import DEFINING, refusal
from apothecary.errors import BadRequest, FhirError, Issue, StartError
from apothecary.fhir.json import JSON, parse
from apothecary.interactions import integrity
from apothecary.interactions.create import create
from apothecary.interactions.delete import delete
from apothecary.interactions.profiles import profiles_for, profiles_held
from apothecary.interactions.read import read
from apothecary.interactions.update import check_identity, update
from apothecary.interactions.writing import Written, check, check_writable
from apothecary.operations.base import Argument, Call, Operation
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.search.defined import Defining
from apothecary.store.contract import Transaction
from apothecary.validation import Options, validate
from apothecary.validation.profiles import CORE, Profiles

MODES = ("create", "update", "delete", "profile")


def run(call: Call) -> JSON:
    """The issues of a resource as an OperationOutcome; nothing is stored. With a mode of an interaction they are what
    that would be answered with. Raises BadRequest without a resource.
    """
    mode = call.parameter("mode")
    if mode is not None and mode not in MODES:
        raise BadRequest(f"mode={mode}: write one of {', '.join(MODES)}", expression="mode", code="value")
    if mode == "profile" and call.parameter("profile") is None:
        raise BadRequest("mode=profile needs the parameter profile", expression="profile", code="required")
    if mode == "delete":
        return operation_outcome(_trial(call, mode, None))
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
    options = Options(profiles=_profiles(call, resource) or profiles_for(call.service, resource))
    issues = [*validate(resource, call.version, options=options), *_servable(call, resource)]
    if mode in ("create", "update") and not any(one.severity in ("error", "fatal") for one in issues):
        issues = [*_trial(call, mode, resource), *issues]
    # An outcome has at least one issue: https://hl7.org/fhir/R5/operationoutcome.html
    return operation_outcome(issues or [Issue("information", "informational", "The resource is valid.")])


class _Undone(Exception):
    """Ends a trial, so that nothing of it stays."""

    def __init__(self, written: Written) -> None:
        super().__init__()
        self.written = written


def _trial(call: Call, mode: str, resource: Any) -> list[Issue]:
    """What an interaction would be answered with: it is run, and undone."""

    def work(transaction: Transaction) -> None:
        written = _interaction(call, transaction, mode, resource)
        integrity.check(call.service, transaction, call.base, [written])
        raise _Undone(written)

    try:
        check_writable(call.service)
        call.service.write(work)
    except _Undone as done:
        if done.written.status == 200 and mode == "create":
            name = f"{done.written.stored.type}/{done.written.stored.id}"
            return [Issue("information", "informational", f"{name} meets If-None-Exist, so nothing would be created.")]
        if done.written.status == 204:
            there = "It could be deleted." if done.written.stored.version else "There is nothing to delete."
            return [Issue("information", "informational", there)]
    except FhirError as error:
        return list(error.issues)
    return []


def _interaction(call: Call, transaction: Transaction, mode: str, resource: Any) -> Written:
    service, version, base = call.service, call.version, call.base
    if mode == "delete":
        if call.resource_type is None or call.resource_id is None:
            raise BadRequest("mode=delete is about a resource: call [base]/[type]/[id]/$validate", expression="mode")
        return delete(service, transaction, call.resource_type, call.resource_id, call.if_match)
    kind = resource["resourceType"]
    service.check_type(version, kind)
    check(service, version, resource, kind)
    if mode == "create":
        return create(service, transaction, version, base, resource, call.if_none_exist)
    identity = call.resource_id or resource.get("id")
    if identity is None:
        raise BadRequest("an update is of an id, and the resource has none", expression=f"{kind}.id", code="required")
    check_identity(resource, identity)
    return update(service, transaction, version, base, resource, identity, call.if_match)


def _servable(call: Call, resource: Any) -> list[Issue]:
    """What a write of a definition would be refused for: no search could be answered by it."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(kind, str) or kind not in DEFINING:
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
    try:
        profiles = profiles_held(call.service).asking((str(url),))
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
    arguments=(
        Argument("resource", "Resource", "The resource to check, unless the body is the resource itself."),
        Argument("mode", "code", f"What it is checked for: {', '.join(MODES)}."),
        Argument("profile", "canonical", "The profile that it is checked against."),
    ),
)
