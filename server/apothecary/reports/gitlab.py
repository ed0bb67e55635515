"""Findings as a GitLab code quality report: https://docs.gitlab.com/ci/testing/code_quality/"""

from __future__ import annotations

import json

from apothecary.reports.report import Report, numbered_fingerprints

_SEVERITIES = {"fatal": "blocker", "error": "major", "warning": "minor", "information": "info"}


def render(report: Report) -> str:
    """A JSON array, one object a finding."""
    listed = [
        {
            "description": " ".join(filter(None, (finding.issue.diagnostics, finding.issue.remedy))),
            "check_name": finding.rule,
            "fingerprint": fingerprint,
            "severity": _SEVERITIES[finding.issue.severity],
            "location": {"path": finding.file, "lines": {"begin": finding.line}},
        }
        for finding, fingerprint in numbered_fingerprints(report.findings)
    ]
    return json.dumps(listed, indent=2, ensure_ascii=False) + "\n"
