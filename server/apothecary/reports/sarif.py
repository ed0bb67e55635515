"""Findings as SARIF 2.1.0, for code scanning: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from apothecary import __version__
from apothecary.reports.report import Finding, Report, numbered_fingerprints

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"fatal": "error", "error": "error", "warning": "warning", "information": "note"}


def render(report: Report) -> str:
    """One run, with the rules that were broken and one result a finding.

    Paths are relative to where the command ran.
    """
    ids = sorted({finding.rule for finding in report.findings})
    indexes = {rule: index for index, rule in enumerate(ids)}
    run = {
        "tool": {
            "driver": {
                "name": "Apothecary",
                "semanticVersion": __version__,
                "rules": [_rule(rule, report) for rule in ids],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [
            _result(finding, indexes[finding.rule], fingerprint)
            for finding, fingerprint in numbered_fingerprints(report.findings)
        ],
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(rule_id: str, report: Report) -> dict[str, Any]:
    described = report.rules.get(rule_id)
    if described is None:
        return {"id": rule_id}
    return {
        "id": rule_id,
        "shortDescription": {"text": described.what},
        "fullDescription": {"text": f"{described.what} {described.why}".strip()},
        "help": {"text": described.remedy or described.what},
    }


def _result(finding: Finding, rule_index: int, fingerprint: str) -> dict[str, Any]:
    place: dict[str, Any] = {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(finding.file), "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": finding.line, "startColumn": finding.column},
        }
    }
    if finding.expression:
        place["logicalLocations"] = [{"fullyQualifiedName": finding.expression}]
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": _LEVELS[finding.issue.severity],
        "message": {"text": " ".join(filter(None, (finding.issue.diagnostics, finding.issue.remedy)))},
        "locations": [place],
        "partialFingerprints": {"apothecary/v1": fingerprint},
    }
