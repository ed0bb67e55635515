"""Which operation an address means: https://hl7.org/fhir/R5/operations.html"""

from __future__ import annotations

from apothecary.errors import MethodNotAllowed, NotFound
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import OfferedOperation, Service
from apothecary.suggestions import or_rather


def operation(
    service: Service,
    version: FhirVersion,
    code: str,
    resource_type: str | None,
    resource_id: str | None,
    method: str = "GET",
) -> OfferedOperation:
    """The operation of that code at a level. Raises NotFound where there is none, MethodNotAllowed where it changes
    something and is not POSTed.
    """
    if resource_type is not None:
        service.check_type(version, resource_type)
        service.permit((resource_type,), *"cruds")
    level = "instance" if resource_id else "type" if resource_type else "system"
    found = service.operations.get(code)
    if found is None or level not in found.levels or (found.types and resource_type not in found.types):
        known = (
            f"${name}"
            for name, one in service.operations.items()
            if level in one.levels and (not one.types or resource_type in one.types)
        )
        raise NotFound(
            f"${code} is not an operation of this {level}{or_rather(f'${code}', known)}",
            code="not-supported",
            remedy="GET [base]/metadata lists the operations.",
        )
    if method != "POST" and found.affects_state:
        raise MethodNotAllowed(f"${code} changes what is stored, so it is POSTed", headers={"Allow": "POST"})
    return found


def operate(
    service: Service,
    version: FhirVersion,
    base: str,
    path: list[str],
    pairs: list[tuple[str, str]],
    posted: JSON | None,
    method: str,
) -> JSON:
    """The answer of an operation that stands in a batch: `path` is its address below the base. One that changes
    something cannot stand there.
    """
    *place, last = path
    if len(place) > 2:
        raise NotFound(f"there is nothing at {'/'.join(path)}")
    kind = place[0] if place else None
    identity = place[1] if len(place) == 2 else None
    found = operation(service, version, last.removeprefix("$"), kind, identity, method)
    if found.affects_state:
        raise MethodNotAllowed(f"{last} changes what is stored, and cannot stand in a bundle", expression="request.url")
    return found.answer(service, version, base, kind, identity, pairs, posted)
