"""Findings as one OperationOutcome (https://hl7.org/fhir/R5/operationoutcome.html); file and place are HL7's own
extensions.

https://hl7.org/fhir/extensions/StructureDefinition-operationoutcome-file.html and its neighbours for line and column.
"""

from __future__ import annotations

import json
from typing import Any

from apothecary.reports.operation_outcome import issue_element, operation_outcome
from apothecary.reports.report import Finding, Report, most_severe_first

_EXTENSION = "http://hl7.org/fhir/StructureDefinition/operationoutcome-"


def render(report: Report) -> str:
    """The resource, indented by two spaces; errors first."""
    outcome = operation_outcome(())
    if report.findings:
        outcome["issue"] = [_element(finding) for finding in most_severe_first(report.findings)]
    return json.dumps(outcome, indent=2, ensure_ascii=False) + "\n"


def _element(finding: Finding) -> dict[str, Any]:
    extensions = [
        {"url": f"{_EXTENSION}file", "valueString": finding.file},
        {"url": f"{_EXTENSION}issue-line", "valueInteger": finding.line},
        {"url": f"{_EXTENSION}issue-col", "valueInteger": finding.column},
    ]
    return {"extension": extensions, **issue_element(finding.issue)}
