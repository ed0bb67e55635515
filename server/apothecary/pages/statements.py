"""The page of a CapabilityStatement: each type with what can be done and asked. https://hl7.org/fhir/R5/capabilitystatement.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apothecary.fhir.json import JSON
from apothecary.pages.answers import shown
from apothecary.pages.view import View

# The types of arguments that can be typed in: https://hl7.org/fhir/R5/datatypes.html#primitive
_TYPED = frozenset(
    ("boolean", "canonical", "code", "date", "dateTime", "decimal", "id", "integer", "markdown", "string", "uri", "url")
)


def statement_page(view: View, statement: JSON) -> bytes:
    """What this base does, and its operations with forms to try them."""
    rest = statement["rest"][0]
    return shown(
        "statement.html",
        view,
        f"What {view.root} does",
        statement=statement,
        rest=rest,
        resources=rest["resource"],
        operations=[*_operations(view)],
    )


def _operations(view: View) -> Iterator[dict[str, Any]]:
    """Each operation that changes nothing, where it is called, and what can be given to it in an address."""
    service = view.service
    registry = service.registry(view.version)
    for code, one in sorted(service.operations.items()):
        types = sorted(kind for kind in one.types if registry.serves(kind))
        if one.affects_state:
            continue
        places = [f"{kind}/${code}" for kind in types] if "type" in one.levels else []
        if "system" in one.levels:
            places.insert(0, f"${code}")
        yield {
            "code": code,
            "definition": one.definition,
            "levels": ", ".join(sorted(one.levels)),
            "places": [view.to(place) for place in places],
            "arguments": [given for given in one.arguments if given.type in _TYPED],
            "others": [given for given in one.arguments if given.type not in _TYPED],
        }
