"""read and vread: https://hl7.org/fhir/R5/http.html#read and https://hl7.org/fhir/R5/http.html#vread"""

from __future__ import annotations

from apothecary.errors import Gone, NotFound
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions import basics
from apothecary.interactions.forms import body_in
from apothecary.interactions.service import Service, check_id
from apothecary.store.contract import Past, Stored


def read(service: Service, version: FhirVersion, resource_type: str, resource_id: str) -> Stored:
    """The current version. Raises NotFound where there never was one, Gone where it was deleted."""
    service.permit(basics.meant(service, version, resource_type), "r")
    # The common case first: a resource that is there needs no look at the type or the id.
    found = service.reader.read(resource_type, resource_id)
    if found is not None and found.body is not None and service.registries[version].serves(resource_type):
        return found if found.fhir_version == version else found._replace(body=body_in(found, version))
    service.check_type(version, resource_type)
    check_id(resource_id)
    if found is None and (kind := basics.behind(service, version, resource_type, resource_id)) is not None:
        found = service.reader.read(kind, resource_id)
        if found is not None and found.body is not None:
            return found._replace(body=body_in(found, version))
    if found is None:
        raise NotFound(
            f"{resource_type}/{resource_id} does not exist", remedy=f"GET [base]/{resource_type} lists what there is."
        )
    raise Gone(
        f"{resource_type}/{resource_id} was deleted",
        remedy=f"Its versions are at [base]/{resource_type}/{resource_id}/_history.",
        headers={"ETag": f'W/"{found.version}"'},
    )


def vread(service: Service, version: FhirVersion, resource_type: str, resource_id: str, version_id: str) -> Past:
    """One version. Raises NotFound where there is none, Gone where that version is the deletion."""
    service.check_type(version, resource_type)
    check_id(resource_id)
    service.permit(basics.meant(service, version, resource_type), "r")
    # Versions are numbered from 1; anything else is a version that does not exist.
    number = int(version_id) if version_id.isascii() and version_id.isdigit() and len(version_id) < 10 else 0
    found = service.reader.read_version(resource_type, resource_id, number) if number else None
    if found is None and number and (kind := basics.behind(service, version, resource_type, resource_id)) is not None:
        found = service.reader.read_version(kind, resource_id, number)
    if found is None:
        raise NotFound(
            f"{resource_type}/{resource_id} has no version {version_id}",
            remedy=f"GET [base]/{resource_type}/{resource_id}/_history lists the versions.",
        )
    if found.body is None:
        raise Gone(
            f"version {version_id} of {resource_type}/{resource_id} is its deletion", headers={"ETag": f'W/"{number}"'}
        )
    return found if found.fhir_version == version else found._replace(body=body_in(found, version))
