"""What a profile can ask is asked: each feature accepts what keeps it, and tells what breaks it, at its place."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

import pytest
import yaml

from apothecary.content.xml import read_xml
from apothecary.content.xml_write import resource_xml
from apothecary.content.yaml import read_yaml
from apothecary.errors import Issue
from apothecary.fhir.definitions import definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.options import Coverage
from apothecary.validation.profiles import Profiles
from tests.validation.profiles import features, features_combined, features_of_slices
from tests.validation.profiles.features import Feature, Resource, definition

# Advice that most of the resources, which are cut down to their point, do not follow.
DISABLED = frozenset({"dom-6", "ident-1"})

FEATURES = [
    *features.cardinality(),
    *features.types(),
    *features.values(),
    *features.bindings(),
    *features_of_slices.slices(),
    *features_of_slices.extensions(),
    *features_of_slices.references(),
    *features_of_slices.rules(),
    *features_combined.everything(),
]
COMBINED = {feature.name for feature in features_combined.everything()}
CASES = [
    pytest.param(feature, release, id=f"{re.sub(r'[^a-z0-9]+', '-', feature.name.lower())}-{release}")
    for feature in FEATURES
    for release in feature.releases
]


def profile_of(feature: Feature) -> Resource:
    return definition("profile", feature.type, feature.elements, **feature.more)


def issues(feature: Feature, release: FhirVersion, resource: Resource, profile: Resource) -> list[Issue]:
    """What is said of a resource beyond the rules of its type: nothing else is wrong with it, and all is checked."""
    coverage = Coverage()
    profiles = Profiles([profile, *feature.others], [profile["url"]])
    options = Options(profiles=profiles, held=feature.held.get, coverage=coverage, disabled=DISABLED)
    found = validate(resource, release, options=options)
    assert coverage.unchecked == {}
    assert f"{profile['url']}|1.2.3" in coverage.profiles
    return found


def told(found: list[Issue]) -> list[tuple[str | None, str]]:
    return [(issue.rule, issue.expression[0]) for issue in found]


@pytest.mark.parametrize(("feature", "release"), CASES)
def test_what_keeps_a_feature_is_sound(feature: Feature, release: FhirVersion) -> None:
    assert issues(feature, release, feature.good, profile_of(feature)) == []


@pytest.mark.parametrize(("feature", "release"), CASES)
def test_what_breaks_a_feature_is_told_at_its_place(feature: Feature, release: FhirVersion) -> None:
    found = issues(feature, release, feature.bad, profile_of(feature))
    assert told(found)[0] == feature.found
    assert {issue.rule for issue in found} == {feature.found[0]}


@pytest.mark.parametrize(
    ("feature", "release"), [case for case in CASES if "baseDefinition" not in case.values[0].more]
)
def test_a_snapshot_says_the_same_as_its_differential(feature: Feature, release: FhirVersion) -> None:
    profile = deepcopy(profile_of(feature))
    profile["snapshot"] = profile.pop("differential")
    assert issues(feature, release, feature.good, profile) == []
    assert told(issues(feature, release, feature.bad, profile))[0] == feature.found


@pytest.mark.parametrize(("feature", "release"), CASES)
def test_a_feature_is_the_same_in_xml(feature: Feature, release: FhirVersion) -> None:
    for resource, broken in ((feature.good, False), (feature.bad, True)):
        read = read_xml("x.xml", resource_xml(resource, definitions(release)), release)
        assert read.readable
        found = told(issues(feature, release, read.value, profile_of(feature)))
        assert found[:1] == ([feature.found] if broken else [])


@pytest.mark.parametrize(("feature", "release"), [case for case in CASES if case.values[0].name in COMBINED])
def test_features_that_meet_are_the_same_in_yaml(feature: Feature, release: FhirVersion) -> None:
    for resource, broken in ((feature.good, False), (feature.bad, True)):
        read = read_yaml("x.yaml", yaml.safe_dump(resource, sort_keys=False), release)
        assert read.readable
        found = told(issues(feature, release, read.value, profile_of(feature)))
        assert found[:1] == ([feature.found] if broken else [])


def test_every_case_is_sound_but_for_its_profile() -> None:
    for feature in FEATURES:
        for release in feature.releases:
            for resource in (feature.good, feature.bad):
                found = validate(resource, release, options=Options(disabled=DISABLED))
                assert told(found) == [], (feature.name, release)


def test_the_elements_are_those_of_the_specification() -> None:
    """An element that the table misspells would be passed over."""
    for feature in FEATURES:
        for release in feature.releases:
            known: Any = definitions(release).structure("ElementDefinition").properties
            for element in feature.elements:
                names = {name for name in element if name not in known}
                assert names <= ({"mustHaveValue", "valueAlternatives"} if release is not FhirVersion.R5 else set())
