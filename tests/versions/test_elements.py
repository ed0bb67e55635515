"""Some elements of a resource in another release are those of the whole resource there."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.errors import InvalidContent
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.versions import convert, convert_elements, convertible
from apothecary.versions.engine import engine
from tests.mass import much
from tests.official import some_examples
from tests.versions.corpus import FAMILY, PAIRS
from tests.versions.generate import pruned, resources

Pair = tuple[FhirVersion, FhirVersion]


def differing(resource: JSON, whole: JSON, pair: Pair, names: frozenset[str]) -> set[str]:
    """Those of the properties `names` that are others than in the whole."""
    part = convert_elements(resource, *pair, names)
    return {name for name in names if whole.get(name) != part.get(name)}


def singly(kind: str, pair: Pair) -> list[frozenset[str]]:
    """Each property of a type of the target, with the companion that a primitive may have."""
    return [frozenset({name, f"_{name}"}) for name in definitions(pair[1]).structure(kind).properties]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_any_element_of_a_full_resource_is_that_of_the_whole(pair: Pair) -> None:
    wrong: dict[str, set[str]] = {}
    for kind in (name for name in FAMILY if convertible(name, *pair)):
        resource = next(iter(resources(pair[0], kind)))
        whole = convert(resource, *pair).resource
        for names in singly(kind, pair):
            wrong.setdefault(kind, set()).update(differing(resource, whole, pair, names))
    assert {kind: some for kind, some in wrong.items() if some} == {}


def test_no_more_is_converted_than_is_asked_for() -> None:
    there = engine(FhirVersion.R5, FhirVersion.R4)
    asked = there.sources("MedicationKnowledge", frozenset({"manufacturer"}))
    assert asked is not None
    assert "organization" not in asked
    assert "indicationGuideline" not in asked
    assert {"definitional", "name"}.isdisjoint(asked)
    assert there.sources("MedicationKnowledge", frozenset({"extension"})) is None, "all may be carried there"
    assert there.sources("Bundle", frozenset({"type"})) is None
    resource = {"resourceType": "MedicationKnowledge", "cost": [["of no form"]]}
    assert convert_elements(resource, FhirVersion.R5, FhirVersion.R4, frozenset({"status"}))
    with pytest.raises(InvalidContent):
        convert_elements(resource, FhirVersion.R5, FhirVersion.R4, frozenset({"cost"}))


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids=str)
@given(data=st.data())
@settings(
    max_examples=much(8, 40), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_any_elements_of_any_part_of_a_full_resource_are_those_of_the_whole(pair: Pair, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([name for name in FAMILY if convertible(name, *pair)]))
    full = data.draw(st.sampled_from(list(resources(pair[0], kind))))
    chance = data.draw(st.randoms(use_true_random=False))
    resource = pruned(pair[0], full, lambda: chance.random() < 0.6)
    names = frozenset[str]().union(*data.draw(st.lists(st.sampled_from(singly(kind, pair)), min_size=1, max_size=4)))
    assert differing(resource, convert(resource, *pair).resource, pair, names) == set()


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_elements_of_every_official_example_are_those_of_the_whole(pair: Pair) -> None:
    chance = random.Random(str(pair))
    count, wrong = 0, []
    for name, text in some_examples(pair[0]):
        resource = parse(text)
        kind = resource.get("resourceType", "")
        if convertible(kind, *pair):
            some = frozenset[str]().union(*chance.sample(singly(kind, pair), 4))
            count += 1
            wrong += [(name, one) for one in differing(resource, convert(resource, *pair).resource, pair, some)]
    assert wrong == []
    assert count > much(100, 2000)
