"""Findings for people: what, where, the line with a caret, how to mend it; in the manner of rustc."""

from __future__ import annotations

from apothecary.reports.report import Finding, Report, printable

_LABELS = {"fatal": "error", "error": "error", "warning": "warning", "information": "note"}
_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "note": "\x1b[1;36m"}
_BOLD, _BLUE, _RESET = "\x1b[1m", "\x1b[1;34m", "\x1b[0m"


def render(report: Report, *, colour: bool = False) -> str:
    """All findings, one block each; without any, nothing."""
    return "".join(f"{_block(finding, colour)}\n" for finding in report.findings)


def _block(finding: Finding, colour: bool) -> str:
    label = _LABELS[finding.issue.severity]
    number = str(finding.line)
    gutter = " " * len(number)
    bar = _paint("|", _BLUE, colour)
    head = _paint(f"{label}[{finding.rule}]", _COLOURS[label], colour)
    arrow = _paint(f"{gutter}-->", _BLUE, colour)
    lines = [
        f"{head}: {_paint(printable(finding.issue.diagnostics), _BOLD, colour)}",
        f"{arrow} {printable(finding.file)}:{finding.line}:{finding.column}",
    ]
    if finding.snippet:
        lines += [
            f"{gutter} {bar}",
            f"{_paint(number, _BLUE, colour)} {bar} {printable(finding.snippet)}",
            f"{gutter} {bar} {' ' * finding.caret}{_paint('^', _COLOURS[label], colour)}",
        ]
    equals = _paint("=", _BLUE, colour)
    if finding.expression:
        lines.append(f"{gutter} {equals} at: {printable(finding.expression)}")
    if finding.issue.remedy:
        lines.append(f"{gutter} {equals} help: {printable(finding.issue.remedy)}")
    return "\n".join(lines) + "\n"


def _paint(text: str, code: str, colour: bool) -> str:
    return f"{code}{text}{_RESET}" if colour else text


def summary(report: Report) -> str:
    """One line on the whole run, whatever the format."""
    counts = [
        _counted(report.count("fatal", "error"), "error"),
        _counted(report.count("warning"), "warning"),
        _counted(report.count("information"), "note"),
    ]
    said = ", ".join(count for count in counts if count) or "No findings"
    parts = [f"{said} in {_plain(report.resources, 'resource')} of {_plain(report.files, 'file')}"]
    if report.beyond_limit:
        parts.append(f"{report.beyond_limit} more beyond the limit")
    if report.known:
        parts.append(f"{report.known} known from the baseline")
    if report.mended:
        parts.append(f"{report.mended} of the baseline no longer found")
    if report.missing_packages:
        listed = ", ".join(report.missing_packages[:3]) + (", ..." if len(report.missing_packages) > 3 else "")
        parts.append(f"{_plain(len(report.missing_packages), 'package')} to depend on not in the cache: {listed}")
    if report.idle_profiles:
        parts.append(f"nothing was checked against {', '.join(report.idle_profiles[:3])}, which was asked for")
    if report.skipped:
        parts.append(f"{_plain(report.skipped, 'file')} without FHIR skipped")
    return f"{'; '.join(parts)} ({report.seconds:.2f} s)."


def _plain(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _counted(number: int, noun: str) -> str:
    return _plain(number, noun) if number else ""
