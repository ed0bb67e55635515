"""Published implementation guides accept their own examples; what does not hold is listed with its reason."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.content.packages import read_package
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.options import Coverage
from apothecary.validation.profiles import Profiles
from scripts.definitions.packages import Package
from scripts.fetch_examples import GUIDES
from tests.official import guide

# The ids of the order catalog have underscores, and a response there has no number in its status. mCODE gives a
# data-absent-reason where the profile's most (maxValueSet) has codes of SNOMED CT and of cancerstaging.org.
BROKEN = {
    "hl7.fhir.uv.order-catalog": {
        ("Bundle", "example-lab-test-creation-transaction-request", "bad-id"),
        ("Bundle", "example-lab-test-creation-transaction-response", "bad-id"),
        ("Bundle", "example-lab-test-creation-transaction-response", "bundle-outcome"),
    },
    "hl7.fhir.us.mcode": {
        ("Observation", "tnm-pathologic-distant-metastases-category-jenny-m", "profile-binding"),
    },
}


def examples(package: Package) -> Iterator[Any]:
    with tarfile.open(guide(package)) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None and member.name.startswith("package/example/") and member.name.endswith(".json"):
                value = parse(stream.read())
                if isinstance(value, dict) and "resourceType" in value:
                    yield value


@pytest.mark.slow
@pytest.mark.parametrize("package", GUIDES, ids=lambda package: package.name)
def test_a_guide_accepts_its_own_examples(package: Package) -> None:
    profiles = Profiles(read_package(guide(package)))
    broken, checked, coverage = set(), 0, Coverage()
    for resource in examples(package):
        options = Options(profiles=profiles, coverage=coverage, disabled=frozenset({"dom-6"}))
        for issue in validate(resource, FhirVersion.R4, options=options):
            if issue.severity == "error":
                broken.add((resource["resourceType"], resource.get("id"), issue.rule))
        checked += 1
    assert broken == BROKEN.get(package.name, set())
    assert checked > 40
    assert len(coverage.profiles) > 5
