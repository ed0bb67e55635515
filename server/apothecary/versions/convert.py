"""The conversion of a resource to another FHIR release: https://hl7.org/fhir/R5/versions.html#extensions."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from apothecary.errors import InvalidContent, Issue, NotSupported
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.versions.engine import engine

_INSTEAD: Mapping[str, str] = {
    "ClinicalUseDefinition": (
        "R4 has no ClinicalUseDefinition: it is read as Basic (Basic?code=ClinicalUseDefinition), and the indications "
        "stand in MedicationKnowledge.administrationGuidelines.indicationCodeableConcept; R4B and R5 have the resource"
    ),
}


@dataclass(frozen=True, slots=True)
class Conversion:
    """A resource in the target release, and what in it is only approximate; each such place also holds its original."""

    resource: JSON
    issues: tuple[Issue, ...]


def convert(resource: JSON, source: FhirVersion, target: FhirVersion) -> Conversion:
    """`resource`, written in release `source`, as release `target` writes it.

    A type that `target` does not have becomes Basic, and returns from it. The argument is not changed; the result may
    share parts of it. Raises NotSupported when `source` has no such type of resource, InvalidContent when `resource` is
    not built as `source` defines it.
    """
    if source is target:
        return Conversion(resource, ())
    name = resource.get("resourceType")
    if not isinstance(name, str) or not definitions(source).is_resource_type(name):
        raise NotSupported(
            where_instead(str(name), target) or f"{name} cannot be converted from {source} to {target}",
            expression=str(name),
        )
    run = engine(source, target).new_run()
    try:
        converted = run.nested(resource)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as broken:
        # Plans take the structure for granted: to check it at each step would cost every valid resource.
        raise InvalidContent(
            f"the {name} is not built as FHIR {source} defines it, so it cannot be converted to {target}",
            expression=name,
            remedy="Validate it first: that names each place.",
        ) from broken
    return Conversion(converted, tuple(run.issues))


def convert_elements(resource: JSON, source: FhirVersion, target: FhirVersion, names: Set[str]) -> JSON:
    """`resource` as `convert` gives it, of a type that both releases have, as far as its elements `names` are concerned
    (JSON properties of the target): of the others some are there and some are not. It takes the time of those that are
    asked for. Raises what `convert` raises; what else is not built as `source` defines it, is not noticed.
    """
    if source is not target and "contained" not in resource:
        wanted = engine(source, target).sources(resource["resourceType"], names)
        if wanted is not None:
            resource = {name: value for name, value in resource.items() if name in wanted}
    return convert(resource, source, target).resource


def convertible(resource_type: str, source: FhirVersion, target: FhirVersion) -> bool:
    """Whether both releases have this type of resource."""
    return definitions(source).is_resource_type(resource_type) and definitions(target).is_resource_type(resource_type)


def where_instead(resource_type: str, target: FhirVersion) -> str | None:
    """For a type that `target` does not have, where its content is; None when there is nothing to say."""
    if definitions(target).is_resource_type(resource_type):
        return None
    if resource_type in _INSTEAD:
        return _INSTEAD[resource_type]
    elsewhere = [version.value for version in FhirVersion if definitions(version).is_resource_type(resource_type)]
    if not elsewhere:
        return None
    return f"{target} has no {resource_type}; {' and '.join(elsewhere)} {'has' if len(elsewhere) == 1 else 'have'} it"
