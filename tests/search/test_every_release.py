"""Whatever release a resource was written in, each release finds it by each of its own parameters.

https://hl7.org/fhir/R5/versioning.html and https://hl7.org/fhir/R4/searchparameter-registry.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

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
    settings = Settings(database=database_url, content="", resource_types="*", include_limit=10_000)
    return InProcess(settings, open_store(settings))


def filled(types: tuple[str, ...]) -> Iterator[tuple[FhirVersion, JSON]]:
    """Resources that use every element, a few of each type and release."""
    for kind in types:
        for version in FhirVersion:
            if definitions(version).is_resource_type(kind):
                for number, resource in zip(range(4), resources(version, kind), strict=False):
                    yield version, {**resource, "id": f"{version.segment}-{number}"}


@pytest.mark.parametrize("version", FhirVersion)
def test_each_release_finds_what_is_in_its_form_of_a_resource(database_url: str, version: FhirVersion) -> None:
    server = server_of(database_url)
    walk = Walk(server, put(server, filled(SOME)))
    walk.go(version)
    server.store.close()
    assert walk.values > 1000
    assert walk.failures == {}
