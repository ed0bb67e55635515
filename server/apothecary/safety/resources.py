"""Findings as DetectedIssues, and the whole answer as a Bundle: https://hl7.org/fhir/R5/detectedissue.html and
https://hl7.org/fhir/R5/bundle.html#collection
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from html import escape

from apothecary.errors import Issue
from apothecary.fhir.json import JSON
from apothecary.reports.operation_outcome import operation_outcome
from apothecary.safety.asked import Remark
from apothecary.safety.found import INFORMATION, Finding, Found

ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
# The displays of https://terminology.hl7.org/CodeSystem-v3-ActCode.html
DISPLAYS = {
    "DRG": "Drug Interaction Alert",
    "DUPTHPGEN": "duplicate generic alert",
    "DUPTHPCLS": "duplicate therapeutic alass alert",
    "COND": "Condition Alert",
    "ALGY": "Allergy Alert",
    "AGE": "Age Alert",
    "GEND": "Gender Alert",
    "PREG": "Pregnancy Alert",
    "LACT": "Lactation Alert",
}
# What is said of each finding that the code does not say.
WORDS = {
    "drug-drug": "Interaction between drugs",
    "drug-condition": "Contraindication in a condition",
    "allergy": "Allergy or intolerance",
    "duplicate-ingredient": "The same active ingredient twice",
    "duplicate-class": "The same class twice",
    "population": "Statement about a population",
    "limitation": "Limitation of use: not effective or not suitable, per the source",
}
NO_ADVICE = (
    "This is a look-up of what the content of this server states. It is no advice, it grades nothing by itself, and it "
    "is not meant for decisions without a professional. That nothing is stated does not mean that there is nothing."
)
# Of remarks of one kind so many are told, and how many more there are.
MOST_REMARKS = 500
_NAMESPACE = uuid.UUID("6f3f0e0c-6d0b-5c3e-9c0e-2d1f5b7a9e11")


def detected_issue(finding: Finding) -> JSON:
    """The DetectedIssue of a finding, as R5 writes it."""
    lines = [finding.text, *(f"{number}. {step}" for number, step in enumerate(finding.chain, 1))]
    if finding.severity_text or finding.severity:
        lines.append(f"Severity per the source: {finding.severity_text or finding.severity}.")
    made: JSON = {
        "resourceType": "DetectedIssue",
        "id": str(uuid.uuid5(_NAMESPACE, repr(finding.key))),
        "text": {"status": "generated", "div": _div(lines)},
        "status": "preliminary",
        "code": {
            "coding": [{"system": ACT_CODE, "code": finding.code, "display": DISPLAYS[finding.code]}],
            "text": WORDS[finding.kind],
        },
    }
    if finding.severity:
        made["severity"] = finding.severity
    made["implicated"] = list(_implicated(finding))
    if finding.statement:
        made["evidence"] = [{"detail": [{"reference": finding.statement}]}]
    made["detail"] = "\n".join(lines)
    if finding.source is not None and finding.source.url:
        made["reference"] = finding.source.url
    if finding.management:
        made["mitigation"] = [{"action": {"text": one}} for one in finding.management]
    return made


def _div(lines: list[str]) -> str:
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{"".join(f"<p>{escape(one)}</p>" for one in lines)}</div>'


def _implicated(finding: Finding) -> Iterator[JSON]:
    """The resources that stand for the drugs, and the drugs themselves as they were asked for."""
    for one in finding.references:
        yield {"reference": one}
    for drug in finding.drugs:
        yield {"display": drug.name}


def outcome(found: Found) -> JSON:
    """What must be said beside the issues."""
    issues = [Issue("information", "informational", NO_ADVICE)]
    if found.release:
        issues.append(Issue("information", "informational", f"Answered from: {found.release}."))
    issues += _issues("not-found", "not understood", found.not_understood)
    issues += _issues("incomplete", "not looked at", found.not_looked_at)
    for one in found.issues:
        if one.kind in INFORMATION:
            issues.append(
                Issue("information", "informational", " ".join([one.text, *(f"{step}." for step in one.chain)]))
            )
    if not any(one.kind not in INFORMATION for one in found.issues):
        text = "Nothing is stated here against this list. That is no evidence that there is nothing."
        issues.append(Issue("warning", "informational", text))
    return operation_outcome(issues)


def _issues(code: str, word: str, remarks: list[Remark]) -> Iterator[Issue]:
    for one in remarks[:MOST_REMARKS]:
        yield Issue("warning", code, f"{word}: {one.text}", (one.where,) if one.where else ())
    if len(remarks) > MOST_REMARKS:
        yield Issue("warning", code, f"{word}: {len(remarks) - MOST_REMARKS} more of these are left out")


def bundle(found: Found) -> JSON:
    """The answer, as R5 writes it: the OperationOutcome first, that nobody overlooks it."""
    resources = [outcome(found), *(detected_issue(one) for one in found.issues if one.kind not in INFORMATION)]
    entries = [
        {"fullUrl": f"urn:uuid:{one.get('id') or uuid.uuid5(_NAMESPACE, 'outcome')}", "resource": one}
        for one in resources
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}
