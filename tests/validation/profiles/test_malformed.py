"""Whatever a package holds, it ends no check by an exception: a profile is refused with the reason, or used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from itertools import pairwise
from typing import Any

import pytest

from apothecary.errors import StartError
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import Options, validate
from apothecary.validation.profiles import Profiles
from apothecary.validation.profiles.listing import listings
from tests.validation.profiles.features import Feature, Resource
from tests.validation.profiles.test_features import FEATURES, profile_of

HERE = [feature for feature in FEATURES if FhirVersion.R5 in feature.releases]
JUNK: list[Any] = [None, True, 5, "x", [], {}, [None], ["x"], [[]], {"x": {}}]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value inside another one."""
    for step, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield (*at, step)
        yield from places(inner, (*at, step))


def spoilt(definitions: list[Resource]) -> Iterator[list[Resource]]:
    """The definitions, each time with another value replaced by something that has no business there."""
    for number, at in enumerate(places(definitions)):
        if len(at) < 2:
            continue
        made = deepcopy(definitions)
        owner: Any = made
        for step in at[:-1]:
            owner = owner[step]
        # The features are many: all kinds of places meet all kinds of junk.
        owner[at[-1]] = JUNK[number % len(JUNK)]
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("feature", HERE, ids=lambda feature: feature.name)
def test_a_spoilt_definition_raises_nothing_but_a_reason(feature: Feature) -> None:
    for made in spoilt([profile_of(feature), *feature.others]):
        profiles = Profiles(made)
        options = Options(profiles=profiles, held=feature.held.get)
        for resource in (feature.good, feature.bad):
            claiming = {**resource, "meta": {"profile": [profile_of(feature)["url"]]}}
            validate(claiming, FhirVersion.R5, options=options)
        listings(profiles)
        with suppress(StartError):
            Profiles(made, [profile_of(feature)["url"]])


def test_every_junk_is_met() -> None:
    assert all(len(list(spoilt([profile_of(one)]))) > len(JUNK) for one in HERE)


def chain(number: int) -> list[Resource]:
    """So many profiles, each based on the next, the last on the type."""
    url = "http://example.org/{}"
    names = [*map(url.format, range(number)), "http://hl7.org/fhir/StructureDefinition/Patient"]
    element = {"id": "Patient.name", "path": "Patient.name", "min": 1}
    return [
        {
            "resourceType": "StructureDefinition",
            "url": name,
            "type": "Patient",
            "derivation": "constraint",
            "baseDefinition": base,
            "differential": {"element": [element]},
        }
        for name, base in pairwise(names)
    ]


def nested(path: str) -> list[Resource]:
    (found,) = chain(1)
    return [{**found, "differential": {"element": [{"id": path, "path": path.partition(":")[0], "min": 1}]}}]


@pytest.mark.parametrize(
    ("definitions", "said"),
    [
        (chain(3000), "based on more than 60 others"),
        (nested("Patient" + ".extension" * 3000), "nested deeper than 60 levels"),
        (nested("Patient.name:" + "/".join("x" * 3000)), "nested deeper than 60 levels"),
        (
            [
                *chain(1),
                {
                    **chain(1)[0],
                    "url": "http://example.org/0",
                    "version": "1",
                    "baseDefinition": "http://example.org/0",
                },
            ],
            "based on itself",
        ),
    ],
    ids=["bases", "elements", "slices", "circle"],
)
def test_what_is_nested_without_end_is_refused_with_the_reason(definitions: list[Resource], said: str) -> None:
    patient = {"resourceType": "Patient", "meta": {"profile": ["http://example.org/0"]}}
    issues = validate(patient, FhirVersion.R5, options=Options(profiles=Profiles(definitions)))
    assert [said in each.diagnostics for each in issues if each.rule == "profile-unknown"] == [True]
    with pytest.raises(StartError, match=said):
        Profiles(definitions, ["http://example.org/0"])


def test_a_chain_of_bases_as_long_as_is_allowed_is_followed() -> None:
    patient = {"resourceType": "Patient", "meta": {"profile": ["http://example.org/0"]}}
    issues = validate(patient, FhirVersion.R5, options=Options(profiles=Profiles(chain(60))))
    assert "profile-cardinality" in {each.rule for each in issues}


def takers(number: int, slices: int) -> list[Resource]:
    """So many profiles of extensions: in each, parts that have the next as their profile name the slices of it."""
    names = [f"http://example.org/{index}" for index in range(number)]
    found = []
    for name, inner in zip(names, [*names[1:], None], strict=True):
        elements: list[Resource] = []
        for one in range(slices):
            place = {"path": "Extension.extension", "sliceName": f"s{one}"}
            used = {"type": [{"code": "Extension", "profile": [inner]}]} if inner else {}
            elements.append({"id": f"Extension.extension:s{one}", **place, **used})
            for two in range(slices if inner else 0):
                deeper = {"path": "Extension.extension.extension", "sliceName": f"s{two}"}
                elements.append({"id": f"Extension.extension:s{one}.extension:s{two}", **deeper})
        found.append(
            {
                "resourceType": "StructureDefinition",
                "url": name,
                "type": "Extension",
                "derivation": "constraint",
                "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
                "differential": {"element": elements},
            }
        )
    return found


def test_profiles_that_take_from_each_other_do_not_grow_without_end() -> None:
    profiles = Profiles(takers(20, 4))
    with pytest.raises(StartError, match="takes more than 20000 elements from the profiles of its types"):
        profiles.profile("http://example.org/0", FhirVersion.R5)
    # Beyond the depth that is allowed nothing is taken.
    assert Profiles(takers(100, 1)).profile("http://example.org/0", FhirVersion.R5).root.children
    circle = takers(2, 2)
    circle[1]["differential"] = takers(3, 2)[0]["differential"]
    circle[1]["differential"]["element"][0]["type"] = [{"code": "Extension", "profile": ["http://example.org/0"]}]
    assert Profiles(circle).profile("http://example.org/0", FhirVersion.R5).root.children
