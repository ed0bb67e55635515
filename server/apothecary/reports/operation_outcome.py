"""Issues as an OperationOutcome: https://hl7.org/fhir/R5/operationoutcome.html

`details.text` says what is wrong, `diagnostics` what to do about it, where there is something to say; neither repeats
the other. A rule id is a Coding in `details`. The most severe issues stand first, for readers that stop early.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apothecary.errors import Issue

RULE_SYSTEM = "https://example.org/fhir/CodeSystem/validation-rule"
KIND_SYSTEM = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type"
MESSAGE_ID = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id"


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The OperationOutcome that says `issues`, valid in R4, R4B and R5: errors first, those of one severity in the
    order given.

    With none, one informational issue: it may not be empty.
    """
    listed = [issue_element(issue) for issue in sorted(issues, key=lambda issue: issue.rank)]
    return {"resourceType": "OperationOutcome", "issue": listed or [issue_element(_ALL_OK)]}


def issue_element(issue: Issue) -> dict[str, Any]:
    """One `OperationOutcome.issue`."""
    details: dict[str, Any] = {"text": _encodable(issue.diagnostics)}
    codes = (KIND_SYSTEM, issue.kind), (RULE_SYSTEM, issue.rule)
    coding = [{"system": system, "code": code} for system, code in codes if code is not None]
    if coding:
        details = {"coding": coding, **details}
    element: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "details": details}
    if issue.message is not None:
        element = {"extension": [{"url": MESSAGE_ID, "valueString": issue.message}], **element}
    if issue.remedy:
        element["diagnostics"] = _encodable(issue.remedy)
    if issue.expression:
        element["expression"] = [_encodable(one) for one in issue.expression]
    return element


def _encodable(text: str) -> str:
    """`text` with halves of surrogate pairs escaped: a complaint may quote what was sent, and an answer is UTF-8."""
    return text if text.isprintable() else text.encode("utf-8", "backslashreplace").decode("utf-8")


_ALL_OK = Issue("information", "informational", "No issues found.")
