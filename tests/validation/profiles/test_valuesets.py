"""A value set of a package lists what it can, and says when that is not all (https://hl7.org/fhir/R5/valueset.html)."""

from __future__ import annotations

from typing import Any

import pytest

from apothecary.fhir.releases import FhirVersion
from apothecary.validation.profiles.canonicals import Canonicals
from apothecary.validation.profiles.valuesets import CodeSets

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
    found = CodeSets(systems, sets, FhirVersion.R5).find("urn:x")
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
    found = CodeSets(Canonicals(), sets, version).find(value_set)
    assert found.contains(ACT, code) is holds
    assert ACT in found.concepts
