"""Findings as one JSON document, for scripts: stable keys, `docs/validate.md` lists them."""

from __future__ import annotations

import json
from typing import Any

from apothecary.reports.report import Checked, Finding, Report, numbered_fingerprints


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
    if report.profiles:
        document.update(_profiles(report))
    if report.missing_packages:
        document["missingPackages"] = list(report.missing_packages)
    if report.idle_profiles:
        document["idleProfiles"] = list(report.idle_profiles)
    document["checked"] = [_checked(each) for each in report.checked]
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _profiles(report: Report) -> dict[str, Any]:
    """What profiles ask of systems, which no check of an instance can tell."""
    found: dict[str, Any] = {
        "mustSupport": [
            {"profile": each.profile, "type": each.type, "elements": list(each.must_support)}
            for each in report.profiles
            if each.must_support
        ],
        "obligations": [
            {"profile": each.profile, "code": one.code, "actors": list(one.actors), "elements": list(one.elements)}
            for each in report.profiles
            for one in each.obligations
        ],
        "imposes": [
            {"profile": each.profile, "profiles": list(each.imposes)} for each in report.profiles if each.imposes
        ],
        "compliesWith": [
            {"profile": each.profile, "profiles": list(each.complies_with)}
            for each in report.profiles
            if each.complies_with
        ],
    }
    return {name: listed for name, listed in found.items() if listed}


def _checked(checked: Checked) -> dict[str, Any]:
    return {
        "file": checked.file,
        "line": checked.line,
        "resource": checked.resource or None,
        "fhirVersion": checked.release,
        "profiles": list(checked.profiles),
        "unchecked": list(checked.unchecked),
    }


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
