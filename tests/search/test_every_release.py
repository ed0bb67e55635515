"""Whatever release a resource was written in, each release finds it by each of its own parameters.

https://hl7.org/fhir/R5/versioning.html and https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from apothecary.errors import FhirError
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.settings import Settings
from apothecary.store.open import open_store
from apothecary.versions import convert, convertible
from scripts.fetch_examples import CACHE, PACKAGES, examples
from scripts.search_keys.generate import resources
from tests.conformance.harness import InProcess
from tests.mass import much
from tests.missing import missing
from tests.search.every_release import Walk, put

# Types whose parameters differ between the releases in every way: renamed, retyped, dropped, moved, other targets.
SOME = (
    "Organization",
    "Group",
    "DocumentReference",
    "Medication",
    "MedicationKnowledge",
    "Composition",
    "Provenance",
    "PackagedProductDefinition",
    "MedicinalProductDefinition",
    "Encounter",
    "Consent",
    "DetectedIssue",
    "PractitionerRole",
    "MedicationRequest",
    "MedicationStatement",
    "NutritionOrder",
    "Condition",
    "Procedure",
    "List",
)


def server_of(database_url: str) -> InProcess:
    settings = Settings(
        database=database_url, content="", resource_types="*", include_limit=10_000, page_size_limit=100_000
    )
    return InProcess(settings, open_store(settings))


def filled(types: tuple[str, ...]) -> Iterator[tuple[FhirVersion, JSON]]:
    """Resources that use every element, a few of each type and release."""
    for kind in types:
        for version in FhirVersion:
            if definitions(version).is_resource_type(kind):
                for number, resource in zip(range(4), resources(version, kind), strict=False):
                    yield version, {**resource, "id": f"{version.segment}-{number}"}


@pytest.mark.mass
def test_each_release_finds_what_is_in_its_form_of_a_resource(database_url: str) -> None:
    server = server_of(database_url)
    walk = Walk(server, put(server, filled(much(SOME[::3], SOME))))
    for version in FhirVersion:
        walk.go(version)
    server.store.close()
    assert walk.values > much(1000, 5000)
    assert not walk.failures, "\n".join(f"{name}: {failure}" for name, failure in walk.failures.items())


@pytest.mark.walk
@pytest.mark.parametrize("version", FhirVersion)
def test_each_release_finds_what_is_in_every_official_example(database_url: str, version: FhirVersion) -> None:
    if not all((CACHE / package.file_name).is_file() for package in PACKAGES.values()):
        missing("the examples are not in .cache: python -m scripts.fetch_examples")
    server = server_of(database_url)
    walk = Walk(server, put(server, official()))
    walk.go(version)
    server.store.close()
    assert len(walk.written) > 5000
    assert walk.values > 20_000
    assert not walk.failures, "\n".join(f"{name}: {failure}" for name, failure in walk.failures.items())


def official() -> Iterator[tuple[FhirVersion, JSON]]:
    """The official examples of all releases, each with an id of its own; those that can be stored."""
    known: set[tuple[str, str]] = set()
    for written in FhirVersion:
        for _, text in examples(written):
            resource = parse(text)
            kind, identity = resource.get("resourceType"), f"{resource.get('id')}"
            if not isinstance(kind, str) or not convertible(kind, written, FhirVersion.R5):
                continue
            if (kind, identity) in known:
                identity = f"{written.segment}-{identity}"[:64]
            if (kind, identity) in known or not _convertible(resource, written):
                continue
            known.add((kind, identity))
            yield written, {**resource, "id": identity}


def _convertible(resource: JSON, written: FhirVersion) -> bool:
    """Whether it is built as its release defines it: a few published examples are not, and no server takes them."""
    try:
        for version in FhirVersion:
            if convertible(resource["resourceType"], written, version):
                convert(resource, written, version)
    except FhirError:
        return False
    return True
