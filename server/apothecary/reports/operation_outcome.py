"""Issues as an OperationOutcome: https://hl7.org/fhir/R5/operationoutcome.html

`details.text` says what is wrong, `diagnostics` what to do about it, where there is something to say; neither repeats
the other. A rule id is a Coding in `details`. The most severe issues stand first, for readers that stop early.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apothecary.errors import Issue

RULE_SYSTEM = "https://example.org/fhir/CodeSystem/validation-rule"


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
    if issue.rule is not None:
        details = {"coding": [{"system": RULE_SYSTEM, "code": issue.rule}], **details}
    element: dict[str, Any] = {"severity": issue.severity, "code": issue.code, "details": details}
    if issue.remedy:
        element["diagnostics"] = _encodable(issue.remedy)
    if issue.expression:
        element["expression"] = [_encodable(one) for one in issue.expression]
    return element


def _encodable(text: str) -> str:
    """`text` with halves of surrogate pairs escaped: a complaint may quote what was sent, and an answer is UTF-8."""
    return text if text.isprintable() else text.encode("utf-8", "backslashreplace").decode("utf-8")


_ALL_OK = Issue("information", "informational", "No issues found.")
