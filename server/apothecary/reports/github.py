"""Findings as GitHub workflow commands, which become annotations on the changed lines.

https://docs.github.com/en/actions/reference/workflow-commands-for-github-actions#setting-an-error-message
"""

from __future__ import annotations

from apothecary.reports.report import Finding, Report, most_severe_first

_COMMANDS = {"fatal": "error", "error": "error", "warning": "warning", "information": "notice"}


def render(report: Report) -> str:
    """One command a line, errors first: GitHub shows ten of a kind for each step."""
    return "".join(f"{_command(finding)}\n" for finding in most_severe_first(report.findings))


def _command(finding: Finding) -> str:
    properties = f"file={_property(finding.file)},line={finding.line},col={finding.column}"
    message = " ".join(filter(None, (finding.issue.diagnostics, finding.issue.remedy)))
    title = _property(finding.rule)
    return f"::{_COMMANDS[finding.issue.severity]} {properties},title={title}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
