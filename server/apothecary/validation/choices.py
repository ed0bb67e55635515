"""Elements with a choice of types: of all their JSON names an object has one (https://hl7.org/fhir/R5/formats.html#choice)."""

from __future__ import annotations

from typing import Any

from apothecary.fhir.structures import Structure, property_name
from apothecary.validation.complaints import Choices, missing
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run


def choices_of(structure: Structure) -> Choices:
    """Each choice element with its JSON names, and those of their twins."""
    found = []
    for element in structure.elements:
        if element.is_choice:
            names = frozenset(property_name(element, item.code) for item in element.types)
            found.append((element, names, frozenset(f"_{name}" for name in names)))
    return tuple(found)


def check_choices(choices: Choices, value: dict[str, Any], at: At, run: Run) -> None:
    """Check that each choice of an object has one value, or none where it need not have one."""
    for element, names, twins in choices:
        if names.isdisjoint(value) and twins.isdisjoint(value):
            if element.min:
                missing(element, at, run)
            continue
        used = [name for name in value if name in names]
        if len(used) == 1 and len(value) == 1:
            continue
        forms = {*used, *(name[1:] for name in value if name in twins)}
        if len(forms) > 1:
            listed = " and ".join(sorted(forms))
            text = f"has {listed}, but {element.name} has one value"
            run.report(BASE["choice-exclusive"], at, text)
