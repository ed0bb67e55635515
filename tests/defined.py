"""A search parameter that tests define: what it finds is known, and nothing else has its name."""

from __future__ import annotations

from typing import Any

COLOUR: dict[str, Any] = {
    "resourceType": "SearchParameter",
    "id": "colour",
    "url": "http://ex.org/colour",
    "name": "colour",
    "status": "active",
    "description": "Colour",
    "code": "colour",
    "base": ["Medication"],
    "type": "token",
    "processingMode": "normal",
    "expression": "Medication.doseForm",
}
