"""Findings as JUnit XML, which every CI system shows: a test suite for each file, a test case for each resource.

https://github.com/testmoapp/junitxml describes what the systems agree on.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from apothecary.reports.report import Finding, Report, printable


def render(report: Report) -> str:
    """An error makes its resource's case fail; warnings and notes stand in the case's `system-out`."""
    cases: dict[str, dict[str, list[Finding]]] = {}
    for checked in report.checked:
        cases.setdefault(checked.file, {})[_case(checked.resource, checked.line)] = []
    for finding in report.findings:
        case = _case(finding.resource, finding.resource_line)
        cases.setdefault(finding.file, {}).setdefault(case, []).append(finding)
    failures = sum(_fails(found) for suite in cases.values() for found in suite.values())
    tests = sum(map(len, cases.values()))
    lines = ['<?xml version="1.0" encoding="UTF-8"?>']
    lines.append(f'<testsuites name="apothecary validate" tests="{tests}" failures="{failures}">')
    for file, suite in cases.items():
        lines += _suite(file, suite)
    lines.append("</testsuites>")
    return "\n".join(lines) + "\n"


def _case(resource: str, line: int) -> str:
    # Lines of an NDJSON file may hold resources without an id: the line keeps their names apart.
    return (resource or "document") if line == 1 else f"{resource or 'document'} (line {line})"


def _suite(file: str, suite: dict[str, list[Finding]]) -> list[str]:
    failures = sum(map(_fails, suite.values()))
    lines = [f'  <testsuite name={_attribute(file)} tests="{len(suite)}" failures="{failures}">']
    for case, found in suite.items():
        opening = f"    <testcase classname={_attribute(file)} name={_attribute(case)} file={_attribute(file)}"
        if not found:
            lines.append(f"{opening}/>")
            continue
        lines.append(f"{opening}>")
        errors = [finding for finding in found if finding.is_error]
        others = [finding for finding in found if not finding.is_error]
        if errors:
            message = errors[0].issue.diagnostics if len(errors) == 1 else f"{len(errors)} errors"
            lines.append(
                f"      <failure message={_attribute(message)} type={_attribute(errors[0].rule)}>"
                f"{_text(errors)}</failure>"
            )
        if others:
            lines.append(f"      <system-out>{_text(others)}</system-out>")
        lines.append("    </testcase>")
    lines.append("  </testsuite>")
    return lines


def _fails(found: Iterable[Finding]) -> bool:
    return any(finding.is_error for finding in found)


def _text(findings: Iterable[Finding]) -> str:
    return escape(
        "\n".join(
            printable(
                f"{finding.file}:{finding.line}:{finding.column}: {finding.issue.severity}[{finding.rule}] "
                f"{finding.issue.diagnostics} {finding.issue.remedy or ''}".rstrip()
            )
            for finding in findings
        )
    )


def _attribute(text: str) -> str:
    return quoteattr(printable(text))
