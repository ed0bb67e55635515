"""Every rule finds its planted defect at the right place, and is silent on the mended resource."""

import json
from pathlib import Path
from typing import Any

import pytest

from apothecary.content.packages import read_package
from apothecary.errors import Issue
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.validation import RULES, Options, find_rule, validate
from apothecary.validation.profiles import Profiles

FOLDER = Path(__file__).parent / "defects"
DEFINITIONS = read_package(Path(__file__).parent.parent / "data" / "profiles")
# Limits, broken in test_robustness.py: a resource that breaks them is large.
LIMITS = {"too-deep", "too-many-issues", "too-long"}
# Planted in test_other_release.py and profiles/test_features.py.
ELSEWHERE = {*LIMITS, "other-release", "profile-limit", "profile-form", "profile-value"}
# Most cases are cut down to their point and have no narrative.
ALWAYS = {"dom-6"}


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{case['rule']}-{file.stem}-{number}")
        for file in sorted(FOLDER.glob("*.json"))
        for number, case in enumerate(parse(file.read_bytes()))
    ]


def run(case: dict[str, Any], resource: Any) -> list[Issue]:
    known = case.get("known")
    options = Options(
        known=None if known is None else set(known).__contains__,
        resource_type=case.get("resource_type"),
        profiles=Profiles(DEFINITIONS, case["profiles"]) if "profiles" in case else None,
    )
    return validate(resource, FhirVersion(case.get("version", "R5")), options=options)


@pytest.mark.parametrize("case", cases())
def test_a_planted_defect_is_found_at_its_place_and_nothing_else_is(case: dict[str, Any]) -> None:
    found = {(issue.rule, *issue.expression) for issue in run(case, case["broken"])}
    place = case.get("expression", case["at"])
    wanted = (case["rule"], place) if place else (case["rule"],)
    assert wanted in found
    assert {rule for rule, *_ in found} <= {case["rule"], *ALWAYS, *case.get("also", ())}


@pytest.mark.parametrize("case", cases())
def test_the_mended_resource_is_clean(case: dict[str, Any]) -> None:
    wanted = ALWAYS - {case.get("wanted")}
    assert [issue for issue in run(case, case["sound"]) if issue.rule not in wanted] == []


@pytest.mark.parametrize("case", cases())
def test_the_pointer_of_an_issue_leads_into_the_document(case: dict[str, Any]) -> None:
    for issue in run(case, case["broken"]):
        assert issue.pointer is not None
        value = case["broken"]
        for step in issue.pointer:
            value = value[step]


def test_every_rule_has_a_planted_defect() -> None:
    planted = {case["rule"] for file in FOLDER.glob("*.json") for case in json.loads(file.read_text())}
    assert set(RULES) - planted == ELSEWHERE


def test_every_issue_names_a_rule_that_can_be_looked_up() -> None:
    for file in FOLDER.glob("*.json"):
        for case in parse(file.read_bytes()):
            version = FhirVersion(case.get("version", "R5"))
            for issue in run(case, case["broken"]):
                assert issue.rule is not None
                rule = find_rule(issue.rule, version)
                assert rule is not None
                assert (issue.severity, issue.code) == (rule.severity, rule.code)
