"""The page of an error, or of anything else that is told by an OperationOutcome: the same words as programs get."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.pages.answers import shown
from apothecary.pages.view import View


def issues_of(outcome: JSON) -> list[dict[str, Any]]:
    """The issues of an outcome, each with the texts that it has."""
    return [
        {
            "severity": one.get("severity", ""),
            "code": one.get("code", ""),
            "text": (one.get("details") or {}).get("text", ""),
            "more": one.get("diagnostics", ""),
            "places": one.get("expression", []),
        }
        for one in outcome.get("issue", [])
    ]


def outcome_page(view: View, outcome: JSON) -> bytes:
    """An outcome."""
    title = f"{view.status} {HTTPStatus(view.status).phrase}" if view.status >= 400 else "Outcome"
    return shown("outcome.html", view, title, issues=issues_of(outcome))
