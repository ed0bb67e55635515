"""The page of a CapabilityStatement: each type with what can be done and asked. https://hl7.org/fhir/R5/capabilitystatement.html"""

from __future__ import annotations

from apothecary.fhir.json import JSON
from apothecary.pages.answers import shown
from apothecary.pages.view import View


def statement_page(view: View, statement: JSON) -> bytes:
    """What this base does."""
    rest = statement["rest"][0]
    return shown(
        "statement.html",
        view,
        f"What {view.root} does",
        statement=statement,
        rest=rest,
        resources=rest["resource"],
    )
