"""Findings as one JSON document, for scripts: stable keys, `docs/validate.md` lists them."""

from __future__ import annotations

import json
from typing import Any

from apothecary.reports.report import Finding, Report, numbered_fingerprints


def render(report: Report) -> str:
    """The document, indented by two spaces."""
    document: dict[str, Any] = {
        "version": 1,
        "summary": {
            "files": report.files,
            "resources": report.resources,
            "errors": report.count("fatal", "error"),
            "warnings": report.count("warning"),
            "information": report.count("information"),
            "beyondLimit": report.beyond_limit,
            "known": report.known,
            "mended": report.mended,
            "skippedFiles": report.skipped,
        },
        "findings": [_element(finding, print_) for finding, print_ in numbered_fingerprints(report.findings)],
    }
    if report.must_support:
        document["mustSupport"] = [
            {"profile": each.profile, "type": each.type, "elements": list(each.elements)}
            for each in report.must_support
        ]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _element(finding: Finding, fingerprint: str) -> dict[str, Any]:
    return {
        "file": finding.file,
        "line": finding.line,
        "column": finding.column,
        "resource": finding.resource or None,
        "expression": finding.expression or None,
        "severity": finding.issue.severity,
        "code": finding.issue.code,
        "rule": finding.issue.rule,
        "message": finding.issue.diagnostics,
        "remedy": finding.issue.remedy,
        "fingerprint": fingerprint,
    }
