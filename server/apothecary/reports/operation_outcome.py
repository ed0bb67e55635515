"""Issues as an OperationOutcome: https://hl7.org/fhir/R5/operationoutcome.html

`details.text` is the sentence alone, `diagnostics` the same sentence followed by what to do about it: clients that
show one of the two show something useful. A rule id is a Coding in `details`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apothecary.errors import Issue

RULE_SYSTEM = "https://example.org/fhir/CodeSystem/validation-rule"


def operation_outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """The OperationOutcome that says `issues`, valid in R4, R4B and R5.

    With none, one informational issue: it may not be empty.
    """
    listed = [issue_element(issue) for issue in issues]
    return {"resourceType": "OperationOutcome", "issue": listed or [issue_element(_ALL_OK)]}


def issue_element(issue: Issue) -> dict[str, Any]:
    """One `OperationOutcome.issue`."""
    said = _encodable(issue.diagnostics)
    details: dict[str, Any] = {"text": said}
    if issue.rule is not None:
        details = {"coding": [{"system": RULE_SYSTEM, "code": issue.rule}], **details}
    element: dict[str, Any] = {
        "severity": issue.severity,
        "code": issue.code,
        "details": details,
        "diagnostics": f"{_sentence(said)} {_encodable(issue.remedy)}" if issue.remedy else said,
    }
    if issue.expression:
        element["expression"] = [_encodable(one) for one in issue.expression]
    return element


def _encodable(text: str) -> str:
    """`text` with halves of surrogate pairs escaped: a complaint may quote what was sent, and an answer is UTF-8."""
    return text if text.isprintable() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _sentence(text: str) -> str:
    """`text` with a full stop, so that another sentence can follow it."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


_ALL_OK = Issue("information", "informational", "No issues found.")
