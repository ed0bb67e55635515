"""A resource that goes to another release and back is the same resource, to the last digit."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, dumps, parse
from apothecary.fhir.releases import FhirVersion
from apothecary.versions import convert, convertible
from tests.mass import much
from tests.official import some_examples
from tests.versions.corpus import FAMILY, PAIRS, case_id, cases
from tests.versions.generate import pruned, resources

OF_THE_FAMILY = [(*pair, name) for pair in PAIRS for name in FAMILY if convertible(name, *pair)]


def canonical(value: object) -> object:
    """With the literals of decimals, which compare by value alone, and no order among the keys of an object."""
    if isinstance(value, dict):
        return {key: canonical(one) for key, one in value.items()}
    if isinstance(value, list):
        return [canonical(one) for one in value]
    return dumps(value)


def same(left: object, right: object) -> bool:
    """Whether both have one `canonical` form, found in one walk: there are thousands of examples."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right and str(left) == str(right)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ('{"a": 0.50, "b": [1, null]}', '{"b": [1, null], "a": 0.50}', True),
        ('{"a": 0.50}', '{"a": 0.5}', False),
        ('{"a": 1}', '{"a": true}', False),
        ('{"a": 1}', '{"a": 1, "b": null}', False),
        ('{"a": [1, 2]}', '{"a": [2, 1]}', False),
        ('{"a": [1, 2]}', '{"a": [1]}', False),
        ('{"a": 1}', '{"a": "1"}', False),
        ('{"a": {}}', '{"a": []}', False),
    ],
)
def test_two_resources_are_the_same_to_the_last_digit_or_not(left: str, right: str, expected: bool) -> None:
    one, other = parse(left.encode()), parse(right.encode())
    assert same(one, other) is same(other, one) is expected
    assert (canonical(one) == canonical(other)) is expected


def there_and_back(resource: JSON, source: FhirVersion, target: FhirVersion) -> JSON:
    return convert(convert(resource, source, target).resource, target, source).resource


@pytest.mark.parametrize(("source", "target", "file"), cases(), ids=case_id)
def test_content_and_examples_come_back_as_they_went(source: FhirVersion, target: FhirVersion, file: Path) -> None:
    resource = parse(file.read_bytes())
    assert canonical(there_and_back(resource, source, target)) == canonical(resource)


@pytest.mark.parametrize(("source", "target", "name"), OF_THE_FAMILY)
def test_a_resource_with_every_element_comes_back_as_it_went(
    source: FhirVersion, target: FhirVersion, name: str
) -> None:
    for resource in resources(source, name):
        assert canonical(there_and_back(resource, source, target)) == canonical(resource)


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), PAIRS)
@given(data=st.data())
@settings(
    max_examples=much(10, 60), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_any_part_of_a_full_resource_comes_back_as_it_went(
    source: FhirVersion, target: FhirVersion, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([name for name in FAMILY if convertible(name, source, target)]))
    full = data.draw(st.sampled_from(list(resources(source, name))))
    chance = data.draw(st.randoms(use_true_random=False))
    resource = pruned(source, full, lambda: chance.random() < 0.6)
    assert canonical(there_and_back(resource, source, target)) == canonical(resource)


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_type_with_every_element_comes_back_as_it_went(source: FhirVersion, target: FhirVersion) -> None:
    names = [name for name in definitions(source).resource_types() if convertible(name, source, target)]
    assert len(names) > 100
    for name in names[:: much(5, 1)]:
        for resource in resources(source, name):
            assert canonical(there_and_back(resource, source, target)) == canonical(resource), name


@pytest.mark.mass
@pytest.mark.slow
@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_official_example_comes_back_as_it_went(source: FhirVersion, target: FhirVersion) -> None:
    count = 0
    differ = []
    for name, text in some_examples(source):
        resource = parse(text)
        if convertible(resource.get("resourceType", ""), source, target):
            count += 1
            if not same(there_and_back(resource, source, target), resource):
                differ.append(name)
    assert differ == []
    assert count > much(100, 2000)


@pytest.mark.parametrize(("source", "target", "name"), OF_THE_FAMILY)
def test_converting_changes_nothing_in_its_argument(source: FhirVersion, target: FhirVersion, name: str) -> None:
    for resource in resources(source, name):
        before = copy.deepcopy(resource)
        there = convert(resource, source, target).resource
        after = copy.deepcopy(there)
        convert(there, target, source)
        assert (resource, there) == (before, after)
