"""Whatever a package holds, it ends no check by an exception: a profile is refused with the reason, or used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
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
