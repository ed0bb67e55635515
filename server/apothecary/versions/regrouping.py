"""Elements that two releases divide in two ways, in one direction (https://hl7.org/fhir/R5/versions.html#extensions).

R4 has Procedure.reasonCode and Procedure.reasonReference, R5 Procedure.reason; R4 has Condition.recorder and asserter,
R5 has participants with a function. A rule says all such elements together. Where what it says would not come back as
it was, the originals are carried as well, and count on the way back as long as nobody edited what they were said as.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apothecary.fhir.definitions import Property
from apothecary.fhir.json import JSON
from apothecary.versions.direction import BACKBONES
from apothecary.versions.links import Slot
from apothecary.versions.references import may_refer
from apothecary.versions.run import Run
from apothecary.versions.steps import Step


@dataclass(frozen=True, eq=False, slots=True)
class Regrouping:
    """One rule in one direction: `steps` are of the properties of the source, `target` names those of the target."""

    structures: tuple[str, str]
    steps: Mapping[str, Step]
    target: tuple[str, ...]
    there: Callable[[JSON], JSON]
    back: Callable[[JSON], JSON]

    def given(self, source: JSON) -> JSON:
        """What `source` has of these elements, with the companions of primitives."""
        found: JSON = {}
        for name, step in self.steps.items():
            here = {key: source[key] for key in (name, "_" + name) if key in source}
            if here and not step.says_nothing(step.items(source)):
                found |= here
        return found

    def is_target(self, slot: Slot) -> bool:
        """Whether it is one of the elements of the target."""
        return slot.part is None and any(one.name in self.target for one in slot.properties)

    def still_says(self, originals: JSON, given: JSON, run: Run) -> bool:
        """Whether `given` is what the originals, in the target's form, are said as."""
        there, here = self.structures
        again = run.back().structure(here, there, originals)
        return self.given(again) == given

    def write(self, given: JSON, out: JSON, carried: list[JSON], run: Run) -> None:
        """Write `given` in the target's form, and carry it as well where it would not come back from there."""
        said = self.there(given)
        exact = self.back(said) == given
        properties = run.direction.target.structure(self.structures[1]).properties
        for name, value in said.items():
            one = properties[name]
            items = [_adopted(one, item, run) for item in (value if one.element.is_list else [value])]
            taken = [item for item in items if item is not None]
            exact = exact and len(taken) == len(items)
            if taken:
                out[name] = taken if one.element.is_list else taken[0]
        if exact:
            return
        for step in self.steps.values():
            originals = step.items(given)
            if any(value is not None or companion for value, companion in originals):
                step.carry(originals, carried, run)
                run.note(step.source.element.path.removesuffix("[x]"), "the two releases divide this differently")


def _adopted(target: Property, value: Any, run: Run) -> Any | None:
    """A value whose outer shape is the target's, its data types converted; None where the target may not have it."""
    direction = run.direction
    if direction.is_primitive(target.type):
        return value
    if not may_refer(direction, target, value, run):
        return None
    if target.type not in BACKBONES and target.type in direction.source.complex_types():
        return run.structure(target.type, target.type, value)
    made: JSON = {}
    properties = direction.target.structure(target.structure).properties
    for key, inner in value.items():
        one = properties.get(key)
        if key in ("extension", "modifierExtension"):
            made[key] = run.extensions(inner)
        elif one is None:
            made[key] = inner
        else:
            items = [_adopted(one, item, run) for item in (inner if one.element.is_list else [inner])]
            if any(item is None for item in items):
                return None
            made[key] = items if one.element.is_list else items[0]
    return made
