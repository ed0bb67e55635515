"""Resources of types that a FHIR version lacks, which are read there as Basic: https://hl7.org/fhir/R4/basic.html

HL7's cross-version packages say how such a Basic is built
(https://hl7.org/fhir/uv/xver-r5.r4/0.1.0/lookup-sd-ClinicalUseDefinition.html). It has the id of the resource itself,
and its type in `code`: `Basic?code=ClinicalUseDefinition` searches what R5 calls so, by R5's parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from apothecary.errors import Conflict, Unprocessable
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.service import Service
from apothecary.store.contract import Reader

BASIC = "Basic"
TYPES = "http://hl7.org/fhir/fhir-types"
CODE = "code"

Pairs = Sequence[tuple[str, str]]


def lacking(service: Service, version: FhirVersion) -> tuple[str, ...]:
    """The types that are read as Basic in `version`; none where Basic is not served."""
    return service.registries[version].basics


def meant(service: Service, version: FhirVersion, resource_type: str) -> tuple[str, ...]:
    """The types whose resources an address of that type may be about: itself, and those that are read as Basic."""
    return (resource_type, *lacking(service, version)) if resource_type == BASIC else (resource_type,)


def shown_as(service: Service, version: FhirVersion, resource_type: str) -> str:
    """The type that `version` shows a resource of that type as."""
    served = service.registries[version].serves
    return BASIC if not served(resource_type) and served(BASIC) else resource_type


def stands_for(service: Service, version: FhirVersion, reader: Reader, resource_id: str) -> str | None:
    """The type of the resource that the Basic with that id stands for; None where there is none. Raises Conflict where
    resources of several types have the id.
    """
    kinds = lacking(service, version)
    found = sorted(kind for kind, _ in reader.existing([(kind, resource_id) for kind in kinds])) if kinds else []
    if len(found) > 1:
        raise Conflict(
            f"Basic/{resource_id} stands for {' and '.join(found)} of this id",
            code="multiple-matches",
            remedy="Read the one that is meant in R5.",
        )
    return found[0] if found else None


def behind(service: Service, version: FhirVersion, resource_type: str, resource_id: str) -> str | None:
    """The type of what a Basic that is not itself there stands for; None for what is no such Basic."""
    return stands_for(service, version, service.reader, resource_id) if resource_type == BASIC else None


def check_own(service: Service, version: FhirVersion, basic: JSON) -> None:
    """Raises Unprocessable for a Basic to be written that stands for a resource of another type."""
    code = basic.get("code")
    codings = code.get("coding", ()) if isinstance(code, dict) else ()
    for one in codings if isinstance(codings, list) else ():
        if isinstance(one, dict) and one.get("system") == TYPES and one.get("code") in lacking(service, version):
            raise Unprocessable(
                f"this Basic stands for a {one['code']}, which FHIR {version} has not",
                expression="Basic.code",
                code="not-supported",
                remedy=f"Write the {one['code']} itself in R5.",
            )


def asked(service: Service, version: FhirVersion, pairs: Pairs) -> tuple[tuple[str, ...], Pairs, Pairs] | None:
    """Of the parameters of a search for Basic: the types that their `code` names, the pairs that do, and all others.
    None where none names a type that is read as Basic.
    """
    kinds = lacking(service, version)
    for pair in pairs:
        name, value = pair
        named = [one.rpartition("|") for one in value.split(",")]
        if name == CODE and kinds and all(system in ("", TYPES) and code in kinds for system, _, code in named):
            types = tuple(dict.fromkeys(code for _, _, code in named))
            return types, [pair], [other for other in pairs if other is not pair]
    return None
