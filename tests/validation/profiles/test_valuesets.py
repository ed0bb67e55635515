"""A value set of a package lists what it can, and says when that is not all (https://hl7.org/fhir/R5/valueset.html)."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from apothecary.fhir.releases import FhirVersion
from apothecary.validation.profiles.canonicals import Canonicals
from apothecary.validation.profiles.valuesets import AllCodeSets, CodeSets, Held

SYSTEMS: dict[str, Any] = {
    "urn:tree": {"content": "complete", "concept": [{"code": "a", "concept": [{"code": "a1"}]}, {"code": "b"}]},
    "urn:part": {"content": "fragment", "concept": [{"code": "a"}]},
}
SET = {
    "url": "urn:set",
    "compose": {"include": [{"system": "urn:tree", "concept": [{"code": "a"}, {"code": "b"}]}]},
}


def composed(*include: dict[str, Any], exclude: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"url": "urn:x", "compose": {"include": list(include), "exclude": exclude or []}}


IS_A = {"property": "concept", "op": "is-a", "value": "a"}
TREE, A1 = {"system": "urn:tree"}, {"system": "urn:tree", "concept": [{"code": "a1"}]}
EXPANDED = {
    "contains": [{"system": "urn:s", "code": "g", "abstract": True, "contains": [{"system": "urn:s", "code": "c"}]}]
}


@pytest.mark.parametrize(
    ("resource", "system", "code", "holds"),
    [
        (composed(TREE), "urn:tree", "a1", True),
        (composed(TREE), "urn:tree", "c", False),
        (composed(A1), "urn:tree", "a", False),
        (composed(TREE, exclude=[A1]), "urn:tree", "a1", False),
        (composed(TREE, exclude=[A1]), "urn:tree", "a", True),
        (composed(TREE, exclude=[{"system": "urn:part"}]), "urn:tree", "a", True),
        (composed({"system": "urn:part"}), "urn:part", "a", True),
        (composed({"system": "urn:part"}), "urn:part", "b", None),
        (composed({"system": "urn:part"}), "urn:tree", "a", False),
        (composed({"system": "urn:part"}, A1), "urn:tree", "a1", True),
        (composed({"system": "urn:tree", "filter": [{"property": "x"}]}), "urn:tree", "a", None),
        (composed({"system": "urn:tree", "filter": [IS_A]}), "urn:tree", "a1", True),
        (composed({"system": "urn:tree", "filter": [IS_A]}), "urn:tree", "b", False),
        (composed({"system": "urn:tree", "filter": [{**IS_A, "value": "nowhere"}]}), "urn:tree", "b", None),
        (composed(TREE, exclude=[{"system": "urn:tree", "filter": [IS_A]}]), "urn:tree", "a1", False),
        (composed({"system": "urn:tree", "version": "2"}), "urn:tree", "a", None),
        (composed({"valueSet": ["urn:set"]}), "urn:tree", "b", True),
        (composed({**TREE, "valueSet": ["urn:set"]}), "urn:tree", "a", True),
        (composed({**TREE, "valueSet": ["urn:set"]}), "urn:tree", "a1", False),
        (composed({"valueSet": ["urn:none"]}), "urn:tree", "a", None),
        (composed({}), "urn:tree", "a", None),
        ({"url": "urn:x"}, "urn:tree", "a", None),
        ({"url": "urn:x", "expansion": EXPANDED}, "urn:s", "c", True),
        ({"url": "urn:x", "expansion": EXPANDED}, "urn:s", "g", False),
        ({**composed(TREE), "expansion": {**EXPANDED, "total": 9}}, "urn:tree", "b", True),
    ],
)
def test_whether_a_code_is_in_the_set(resource: dict[str, Any], system: str, code: str, holds: bool | None) -> None:
    systems, sets = Canonicals(), Canonicals()
    for url, one in SYSTEMS.items():
        systems.add({"resourceType": "CodeSystem", "url": url, **one})
    for one in (SET, resource):
        sets.add({"resourceType": "ValueSet", **one})
    found = CodeSets(Held(systems, sets), FhirVersion.R5).find("urn:x")
    assert found.contains(system, code) is holds
    assert (found.reason is None) is (holds is not None)


ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"


@pytest.mark.parametrize("version", FhirVersion)
@pytest.mark.parametrize(
    ("value_set", "code", "holds"),
    [
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", "ACUTE", True),
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", "_ActEncounterCode", False),
        ("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", "OPIOID", False),
        ("urn:below", "ACUTE", True),
        ("urn:below", "AMB", False),
        ("urn:leaves", "ACUTE", True),
        ("urn:leaves", "IMP", False),
        ("urn:abstract", "_ActEncounterCode", True),
    ],
)
def test_filters_over_hl7s_terminology_are_told_offline(
    version: FhirVersion, value_set: str, code: str, holds: bool
) -> None:
    sets = Canonicals()
    for url, name, operator, value in (
        ("urn:below", "concept", "is-a", "IMP"),
        ("urn:leaves", "concept", "descendent-leaf", "_ActEncounterCode"),
        ("urn:abstract", "notSelectable", "=", "true"),
    ):
        part = {"system": ACT, "filter": [{"property": name, "op": operator, "value": value}]}
        sets.add({"resourceType": "ValueSet", "url": url, "compose": {"include": [part]}})
    found = CodeSets(Held(Canonicals(), sets), version).find(value_set)
    assert found.contains(ACT, code) is holds
    assert ACT in found.concepts


def held(number: int, systems: Canonicals, sets: Canonicals, count: int = 100) -> None:
    """A code system and a value set of some of its codes; each code takes half a kilobyte or so."""
    concepts = [{"code": f"c{one}", "display": f"display {one} of {number}"} for one in range(count)]
    systems.add({"resourceType": "CodeSystem", "url": f"urn:s{number}", "content": "complete", "concept": concepts})
    part = {"system": f"urn:s{number}", "concept": concepts[:50]}
    sets.add({"resourceType": "ValueSet", "url": f"urn:v{number}", "compose": {"include": [part]}})


MOST, COUNT = 400_000, 40


def ask_all(found: AllCodeSets) -> list[int]:
    """What `found` weighs after each of many questions, all of which are answered rightly."""
    weights = []
    for number in range(COUNT):
        for version in FhirVersion:
            one = found.of(version).find(f"urn:v{number}")
            assert one.contains(f"urn:s{number}", "c49") is True
            assert one.contains(f"urn:s{number}", "c50") is False
            (system,) = found.of(version).systems(f"urn:s{number}")
            assert system.said("c99") is not None
            assert len(one.concepts[f"urn:s{number}"]) == 50
            weights.append(found.weight)
    return weights


def test_what_is_made_of_value_sets_and_code_systems_is_bounded_in_bytes() -> None:
    systems, sets = Canonicals(), Canonicals()
    for number in range(COUNT):
        held(number, systems, sets)
    all_that_is = ask_all(AllCodeSets(systems, sets, 1 << 40))[-1]
    assert all_that_is > 5 * MOST, "too little to show anything"
    bounded = AllCodeSets(systems, sets, MOST)
    # A question is answered before what it took is looked at.
    assert max(ask_all(bounded)) < MOST + 4 * all_that_is / COUNT
    assert ask_all(pickle.loads(pickle.dumps(bounded)))  # noqa: S301 # our own


def test_canonicals_that_are_made_up_are_forgotten_too() -> None:
    found = AllCodeSets(Canonicals(), Canonicals(), MOST)
    for number in range(1000):
        assert found.of(FhirVersion.R5).find(f"urn:{number}:{'x' * 1000}").contains("urn:s", "c") is None
        assert found.weight < MOST + 10_000


def test_one_code_system_that_is_larger_than_all_may_be_is_not_read_for_every_question() -> None:
    systems, sets = Canonicals(), Canonicals()
    held(1, systems, sets, 2000)
    found = AllCodeSets(systems, sets, 100_000)
    first = found.of(FhirVersion.R5).find("urn:v1")
    assert found.weight > 1_000_000
    assert found.of(FhirVersion.R5).find("urn:v1") is first
