"""Resources as Python objects of the library fhir.resources: https://pypi.org/project/fhir.resources/"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from apothecary.api.given import Given, resource_in
from apothecary.api.given import release as _release
from apothecary.errors import InvalidContent, Issue, NotSupported
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion

if TYPE_CHECKING:
    from fhir.resources.resource import Resource

_ROOMS = {FhirVersion.R5: "fhir.resources", FhirVersion.R4B: "fhir.resources.R4B"}


def models(resource: Given, release: FhirVersion | str | None = None) -> Resource:
    """A resource as an object of `fhir.resources`, whose classes check types and required elements.

    `release` is R5 or R4B: by default what the resource claims, or else R5. The library has no models for R4: convert
    the resource to R4B first.

    Digits: the object has decimals as they were written (`0.50` is `Decimal("0.50")`), but what it writes has floats in
    their place: `0.5`, and no more than 17 digits. To write a resource again to the digit, keep what it was made from.

    >>> from apothecary import models
    >>> medication = models('{"resourceType": "Medication", "totalVolume": {"value": 0.50, "unit": "mL"}}')
    >>> type(medication).__name__, medication.totalVolume.value
    ('Medication', Decimal('0.50'))
    >>> medication.model_dump_json()
    '{"resourceType":"Medication","totalVolume":{"value":0.5,"unit":"mL"}}'

    Raises InvalidContent, with an issue for each place, where the library refuses the resource; NotSupported for R4 and
    for a type that the release does not have; BadRequest for another release, TypeError for what cannot be a resource.
    """
    value, version = resource_in(resource, _release(release))
    name = value["resourceType"]
    if version not in _ROOMS:
        raise NotSupported(
            f"fhir.resources has no models for {version}",
            expression=name,
            remedy="Convert the resource first: apothecary.convert(resource, to='R4B', from_='R4').resource",
        )
    if not definitions(version).is_resource_type(name):
        raise NotSupported(f"{name} is not a resource type of {version}", expression="resourceType")
    found = import_module(_ROOMS[version]).get_fhir_model_class(name)
    try:
        return found.model_validate(value)  # type: ignore[no-any-return]  # a module found by its name
    except ValueError as refused:  # pydantic's ValidationError
        issues = tuple(_issue(name, one) for one in refused.errors())  # type: ignore[attr-defined] # pydantic's
        raise InvalidContent("; ".join(one.diagnostics for one in issues), issues=issues) from refused


def _issue(name: str, refused: dict[str, Any]) -> Issue:
    """What pydantic says of one place: https://docs.pydantic.dev/latest/errors/errors/"""
    place = name
    for step in refused["loc"]:
        place += f"[{step}]" if isinstance(step, int) else f".{step}"
    return Issue("error", "invalid", f"{place}: {refused['msg']}", (place,))
