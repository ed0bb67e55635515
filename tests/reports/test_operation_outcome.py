"""Issues become OperationOutcomes: https://hl7.org/fhir/R5/operationoutcome.html"""

from __future__ import annotations

import json
from typing import Any

import pytest
from fhir.resources.operationoutcome import OperationOutcome as R5
from fhir.resources.R4B.operationoutcome import OperationOutcome as R4B

from apothecary.content.read import read_bytes
from apothecary.errors import Issue
from apothecary.fhir.releases import FhirVersion
from apothecary.reports.formats import render
from apothecary.reports.operation_outcome import RULE_SYSTEM, operation_outcome
from apothecary.reports.report import Report, findings_of
from apothecary.validation import validate

ISSUE = Issue("error", "required", "Medication.x is missing.", ("Medication",), rule="cardinality-min", remedy="Add x.")


@pytest.mark.parametrize(
    ("issue", "element"),
    [
        (
            ISSUE,
            {
                "severity": "error",
                "code": "required",
                "details": {
                    "coding": [{"system": RULE_SYSTEM, "code": "cardinality-min"}],
                    "text": "Medication.x is missing.",
                },
                "diagnostics": "Add x.",
                "expression": ["Medication"],
            },
        ),
        (
            Issue("fatal", "structure", "No."),
            {"severity": "fatal", "code": "structure", "details": {"text": "No."}},
        ),
    ],
)
def test_an_issue_says_what_where_by_which_rule_and_how_to_mend_it(issue: Issue, element: dict[str, Any]) -> None:
    assert operation_outcome([issue]) == {"resourceType": "OperationOutcome", "issue": [element]}


def test_the_most_severe_stand_first_and_those_of_one_severity_in_their_order() -> None:
    given = [("information", "a"), ("warning", "b"), ("error", "c"), ("warning", "d"), ("fatal", "e"), ("error", "f")]
    issues = [Issue(severity, "value", text) for severity, text in given]  # type: ignore[arg-type] # severities all
    found = [one["details"]["text"] for one in operation_outcome(issues)["issue"]]
    assert found == ["e", "c", "f", "b", "d", "a"]
    report = Report()
    for finding in findings_of(read_bytes("x.json", b"{}"), issues):
        report.add(finding)
    told = [one["details"]["text"] for one in json.loads(render("outcome", report))["issue"]]
    assert told == found


def test_without_issues_the_outcome_says_so() -> None:
    (issue,) = operation_outcome([])["issue"]
    assert (issue["severity"], issue["code"]) == ("information", "informational")


@pytest.mark.parametrize("issues", [[], [ISSUE]])
@pytest.mark.parametrize("version", FhirVersion)
def test_an_outcome_is_valid_in_every_release(issues: list[Issue], version: FhirVersion) -> None:
    outcome = operation_outcome(issues)
    assert [issue for issue in validate(outcome, version) if issue.severity in ("fatal", "error")] == []


@pytest.mark.parametrize("model", [R4B, R5])
def test_an_outcome_with_places_is_what_others_read_too(model: type[R4B] | type[R5]) -> None:
    report = Report()
    for finding in findings_of(read_bytes("x.json", b'{"a": 1,}'), [ISSUE]):
        report.add(finding)
    outcome = json.loads(render("outcome", report))
    assert model.model_validate(outcome).issue
    assert [issue for issue in validate(outcome, FhirVersion.R5) if issue.severity in ("fatal", "error")] == []
