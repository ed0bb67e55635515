"""What is said about a property or an object of the wrong shape (https://hl7.org/fhir/R5/json.html)."""

from __future__ import annotations

from typing import Any

from apothecary.fhir.structures import Element, Property, Structure, property_name
from apothecary.suggestions import did_you_mean
from apothecary.validation.diagnostics import shown
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run

# Each choice element of a structure with its JSON names, and those of their twins.
Choices = tuple[tuple[Element, frozenset[str], frozenset[str]], ...]


def missing(element: Element, at: At, run: Run) -> None:
    """Report that a required element is not there."""
    remedy = None
    if element.is_choice:
        remedy = f"Add one of {', '.join(sorted(property_name(element, item.code) for item in element.types)[:8])}."
    run.report(BASE["cardinality-min"], at, f"lacks {element.name}, which is required", remedy=remedy)


def not_an_object(structure: Structure, value: Any, at: At, run: Run) -> None:
    """Report a value that should be an object of the shape."""
    name = structure.name
    text = f"is {shown(value)}, but must be an object of type {name}"
    run.report(BASE["null-value"] if value is None else BASE["wrong-type"], at, "is null" if value is None else text)


def not_single(value: Any, at: At, key: str, found: Property, run: Run) -> None:
    """Report a property whose value cannot be its one value."""
    if value is None:
        run.report(BASE["null-value"], at, "is null", key=key)
    elif isinstance(value, list):
        run.report(BASE["unexpected-array"], at, "is an array, but the element does not repeat", key=key)
    else:
        text = f"is {shown(value)}, but must be an object of type {found.type}"
        run.report(BASE["wrong-type"], at, text, key=key)


def not_list(value: Any, at: At, key: str, run: Run) -> None:
    """Report a property that should be an array with items."""
    if value is None:
        run.report(BASE["null-value"], at, "is null", key=key)
    elif isinstance(value, list):
        run.report(BASE["empty-array"], at, "is an empty array", key=key)
    else:
        run.report(BASE["not-an-array"], at, f"is {shown(value)}, but the element may repeat: it is an array", key=key)


def unknown(structure: Structure, choices: Choices, key: str, at: At, run: Run) -> None:
    """Report a property that the structure does not have."""
    for element, names, _ in choices:
        base = element.name[:-3]
        if key.lstrip("_").startswith(base) and (key == base or key[len(base) : len(base) + 1].isupper()):
            forms = did_you_mean(key, names) or f"Write one of {', '.join(sorted(names)[:8])}."
            text = f"is not one of the forms of {structure.name}.{element.name}"
            run.report(BASE["choice-type"], at, text, key=key, remedy=forms)
            return
    remedy = did_you_mean(key, structure.properties)
    text = f"is not an element of {structure.name} in {run.tables.version}"
    run.report(BASE["unknown-element"], at, text, key=key, remedy=remedy)
