"""Which resource an expression of a profile means inside another one, and what is told where there is no bundle."""

from typing import Any

import pytest

from apothecary.errors import Issue
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.options import Coverage
from apothecary.validation.profiles import Profiles
from tests.validation.profiles.features import URL, definition, e

Resource = dict[str, Any]
RELEASES = tuple(FhirVersion)
OUTER, INNER = f"{URL}outer", f"{URL}inner"


def inner(expression: str) -> Resource:
    """A profile on Organization with one constraint."""
    rule = {"key": "own-1", "severity": "error", "human": "as it should be", "expression": expression}
    return definition("inner", "Organization", [e("Organization", constraint=[rule])])


def issues(
    resource: Resource, version: FhirVersion, *definitions: Resource, coverage: Coverage | None = None
) -> list[tuple[str | None, str]]:
    profiles = Profiles(definitions, [definitions[0]["url"]])
    options = Options(profiles=profiles, coverage=coverage, disabled=frozenset({"dom-6"}))
    found: list[Issue] = validate(resource, version, options=options)
    return [(issue.rule, issue.expression[0]) for issue in found]


def patient(organization: Resource, **more: Any) -> Resource:
    contained = {"resourceType": "Organization", "id": "a", "name": "A", **organization}
    return {
        "resourceType": "Patient",
        "contained": [contained],
        "managingOrganization": {"reference": "#a"},
        **more,
    }


BY_TYPE = definition("outer", "Patient", [e("Patient.contained", type=[{"code": "Organization", "profile": [INNER]}])])
ASKED = [
    ("%resource.active.exists()", patient({"active": True}), patient({}, active=True)),
    ("%rootResource.active.exists()", patient({}, active=True), patient({"active": True})),
    ("%context.active.exists()", patient({"active": True}), patient({}, active=True)),
]


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize(("expression", "good", "bad"), ASKED)
def test_the_resource_of_a_constraint_inside_contained_is_the_contained_one(
    expression: str, good: Resource, bad: Resource, version: FhirVersion
) -> None:
    definitions = (BY_TYPE, inner(expression))
    assert issues(good, version, *definitions) == []
    assert issues(bad, version, *definitions) == [("profile-constraint", "Patient.contained[0]")]


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize(("expression", "good", "bad"), ASKED)
def test_so_it_is_where_the_contained_one_claims_the_profile_itself(
    expression: str, good: Resource, bad: Resource, version: FhirVersion
) -> None:
    for resource, found in ((good, []), (bad, [("profile-constraint", "Patient.contained[0]")])):
        claiming = {**resource, "contained": [{**resource["contained"][0], "meta": {"profile": [INNER]}}]}
        outer = definition("outer", "Patient", [e("Patient.name", max="5")])
        assert issues(claiming, version, outer, inner(expression)) == found


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("expression", ["%resource.active.exists()", "%rootResource.active.exists()"])
def test_a_resource_in_a_bundle_is_its_own_root(expression: str, version: FhirVersion) -> None:
    entry = {"code": "Organization", "profile": [INNER]}
    outer = definition("outer", "Bundle", [e("Bundle.entry.resource", type=[entry])])

    def bundle(**more: Any) -> Resource:
        organization = {"resourceType": "Organization", "id": "a", "name": "A", **more}
        listed = [{"fullUrl": "http://example.org/fhir/Organization/a", "resource": organization}]
        return {"resourceType": "Bundle", "type": "collection", "entry": listed}

    assert issues(bundle(active=True), version, outer, inner(expression)) == []
    assert issues(bundle(), version, outer, inner(expression)) == [("profile-constraint", "Bundle.entry[0].resource")]


BUNDLED = definition(
    "outer", "Patient", [e("Patient.managingOrganization", type=[{"code": "Reference", "aggregation": ["bundled"]}])]
)


@pytest.mark.parametrize("version", RELEASES)
def test_what_shall_stand_in_a_bundle_is_told_as_unchecked_where_there_is_none(version: FhirVersion) -> None:
    coverage = Coverage()
    outside = {"resourceType": "Patient", "managingOrganization": {"reference": "Organization/1"}}
    assert issues(outside, version, BUNDLED, coverage=coverage) == []
    assert [one for one in coverage.unchecked if "Organization/1" in one]


@pytest.mark.parametrize("version", RELEASES)
def test_what_shall_stand_in_a_bundle_is_not_contained(version: FhirVersion) -> None:
    coverage = Coverage()
    found = issues(patient({}), version, BUNDLED, coverage=coverage)
    assert found == [("profile-reference", "Patient.managingOrganization.reference")]
    assert coverage.unchecked == {}
