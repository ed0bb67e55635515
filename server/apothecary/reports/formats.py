"""The output formats by name; each is a module of its own, imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from apothecary.reports.report import Report

FORMATS: Mapping[str, str] = {
    "text": "apothecary.reports.text",
    "json": "apothecary.reports.json",
    "junit": "apothecary.reports.junit",
    "sarif": "apothecary.reports.sarif",
    "github": "apothecary.reports.github",
    "gitlab": "apothecary.reports.gitlab",
    "outcome": "apothecary.reports.outcome",
}


def render(name: str, report: Report) -> str:
    """`report` in the format `name`, one of `FORMATS`, ending in a line break unless it is empty."""
    text: str = import_module(FORMATS[name]).render(report)
    return text


def keeps_checked(name: str) -> bool:
    """Whether the format names the sound resources too, which have to be remembered then."""
    return name in ("junit", "json")
