"""`apothecary.validate` finds what the command finds, in whatever form a caller has the resource at hand."""

from __future__ import annotations

import json
from collections import UserDict
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apothecary import load_profiles, parse, validate
from apothecary.errors import BadRequest, StartError
from apothecary.fhir.releases import FhirVersion

ROOT = Path(__file__).parent.parent.parent
WRONG = {"resourceType": "Medication", "status": "actve"}
STRICT: dict[str, Any] = {
    "resourceType": "StructureDefinition",
    "url": "https://example.org/named",
    "name": "Named",
    "status": "active",
    "kind": "resource",
    "abstract": False,
    "type": "Medication",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Medication",
    "derivation": "constraint",
    "differential": {"element": [{"id": "Medication.code", "path": "Medication.code", "min": 1}]},
}


def rules(*given: Any, **named: Any) -> list[str | None]:
    return [issue.rule for issue in validate(*given, **named) if issue.severity in ("fatal", "error")]


@pytest.mark.parametrize(
    "given",
    [
        WRONG,
        UserDict(WRONG),
        json.dumps(WRONG),
        json.dumps(WRONG).encode(),
        "resourceType: Medication\nstatus: actve\n",
        '<Medication xmlns="http://hl7.org/fhir"><status value="actve"/></Medication>',
    ],
    ids=["dict", "mapping", "JSON", "JSON bytes", "YAML", "XML"],
)
def test_every_form_of_a_resource_has_the_same_defects(given: Any) -> None:
    assert rules(given) == ["code-not-in-value-set"]


def test_an_issue_has_place_rule_and_remedy() -> None:
    found = next(issue for issue in validate(WRONG) if issue.severity == "error")
    assert (found.expression, found.remedy) == (("Medication.status",), "Did you mean 'active'?")
    assert "'actve'" in found.diagnostics


@pytest.mark.parametrize(
    ("given", "rule", "place"),
    [
        ('{"resourceType": "Medication",\n  "id" "x"}', "json-syntax", "Line 2, column 8: "),
        ('{"resourceType": "Medication", "id": "x", "id": "y"}', "duplicate-key", "Line 1, column 43: "),
        (b'{"resourceType": "Medication", "id": "\xff"}', "invalid-utf8", "Line 1, column 39: "),
        ("", "json-syntax", "Line 1, column 1: "),
        ("[" * 100_000, "too-deep", "Line 1, column 201: "),
        ("resources/Medication/x.json", "not-an-object", "The document is 'resources/Medication/x.json'"),
        ("\ud800", "lone-surrogate", "A string holds half"),
        ({"resourceType": "Medication", "id": "\ud800"}, "lone-surrogate", "A string holds half"),
        (b"[]", "not-an-object", "The document is an array"),
        ({}, "resource-type-missing", ""),
    ],
)
def test_bad_text_is_an_issue_with_its_place(given: Any, rule: str, place: str) -> None:
    found = validate(given)
    assert rule in [issue.rule for issue in found]
    assert any(issue.diagnostics.startswith(place) for issue in found if issue.rule == rule), found


def test_a_resource_that_contains_itself_is_an_issue() -> None:
    endless: dict[str, Any] = {"resourceType": "Medication"}
    endless["contained"] = [endless]
    assert rules(endless) == ["too-deep"]


@pytest.mark.parametrize("given", [None, 3, [WRONG], Path("x.json"), object(), {"resourceType": object()}])
def test_what_cannot_be_a_resource_is_a_type_error(given: Any) -> None:
    with pytest.raises(TypeError):
        validate(given)


@pytest.mark.parametrize("value", [0.5, Decimal("0.50"), parse(b"0.50"), 1])
def test_numbers_of_python_are_numbers(value: Any) -> None:
    resource = {"resourceType": "Medication", "totalVolume": {"value": value, "unit": "mL"}}
    assert rules(resource) == []


@pytest.mark.parametrize(
    ("release", "expected"),
    [(None, ["unknown-element"]), ("R4", []), ("r4b", []), ("4.0.1", []), (FhirVersion.R5, ["unknown-element"])],
)
def test_the_release_decides(release: str | None, expected: list[str]) -> None:
    assert rules({"resourceType": "Medication", "manufacturer": {"display": "Acme"}}, release) == expected


def test_the_release_that_a_resource_claims_counts_where_none_is_given() -> None:
    claims = {"meta": {"profile": ["http://hl7.org/fhir/4.0/StructureDefinition/Medication"]}}
    assert rules({"resourceType": "Medication", **claims, "manufacturer": {"display": "Acme"}}) == []


def test_another_release_is_refused() -> None:
    with pytest.raises(BadRequest, match="release='R6': write R4, R4B or R5"):
        validate(WRONG, "R6")


def test_rules_can_be_switched_off() -> None:
    assert "dom-6" in [issue.rule for issue in validate(WRONG)]
    assert validate(WRONG, disabled=["dom-6", "code-not-in-value-set"]) == []


def test_a_profile_is_given_as_resource_file_package_or_url(tmp_path: Path) -> None:
    (tmp_path / "named.json").write_text(json.dumps(STRICT))
    plain = {"resourceType": "Medication"}
    url = STRICT["url"]
    for profiles in (
        STRICT,
        [STRICT],
        tmp_path / "named.json",
        str(tmp_path / "named.json"),
        [tmp_path, url],
        load_profiles(STRICT),
    ):
        assert rules(plain, profiles=profiles) == ["profile-cardinality"], profiles
    assert rules(plain) == []
    # A package makes its profiles known; they count where a resource claims them.
    assert rules(plain, profiles=tmp_path) == []
    assert rules({**plain, "meta": {"profile": [url]}}, profiles=tmp_path) == ["profile-cardinality"]


@pytest.mark.parametrize("profiles", ["https://example.org/none", "none.json", "none.tgz", {"resourceType": "Basic"}])
def test_a_profile_that_is_not_at_hand_is_an_error(profiles: Any) -> None:
    with pytest.raises(StartError):
        validate(WRONG, profiles=profiles)


def test_the_content_of_the_repository_has_no_errors() -> None:
    for path in (ROOT / "resources" / "MedicationKnowledge").glob("*.json"):
        assert rules(path.read_bytes()) == []
