"""The plan from one structure to another, worked out once from the definitions and the maps
(https://hl7.org/fhir/R5/versions.html#extensions).
"""

from __future__ import annotations

from collections.abc import Mapping

from apothecary.fhir.definitions import Property
from apothecary.versions.direction import BACKBONES, Direction
from apothecary.versions.links import FRAME, Link, Links, Slot, link
from apothecary.versions.places import absent
from apothecary.versions.plan import Default, Plan
from apothecary.versions.regrouping import Regrouping
from apothecary.versions.rules import Regrouped
from apothecary.versions.steps import APART, COPY, EXTENSIONS, PLAN, REFERENCE, SAME, SKIP, Candidate, Step
from apothecary.versions.values import REFERENCE_TEXT, converter


def make_plan(direction: Direction, source: str, target: str) -> Plan:
    """How the structure `source` becomes `target`."""
    links = link(direction.source, direction.target, source, target)
    planner = _Planner(direction, (source, target), links)
    steps: dict[str, Step] = {}
    part_steps: dict[str, dict[str, Step]] = {part.name: {} for part in links.source_parts}
    for slot in links.source:
        own = part_steps[slot.part.name] if slot.part else steps
        for source_property in slot.properties:
            step = planner.step(slot, source_property)
            own[source_property.name] = step
            if direction.is_primitive(source_property.type):
                own["_" + source_property.name] = step.for_companion()
    order = _order(links.target)
    structure = direction.target.structure(target)
    return Plan(
        direction=direction,
        steps=steps,
        part_steps=part_steps,
        restores={
            direction.their_url(slot.element.path.removesuffix("[x]")): slot
            for slot in links.target
            if slot.part or slot.base_name not in ("id", "extension")
        },
        defaults=planner.defaults(),
        derived=links.derived,
        order=order,
        keeps_order=_keeps_order(steps, order),
        regrouped=tuple(planner.regrouping(one, steps) for one in links.regrouped),
        on_meta="extension" not in structure.properties and "meta" in structure.properties,
    )


class _Planner:
    """The steps and defaults of one plan, from the links between its two structures."""

    def __init__(self, direction: Direction, structures: tuple[str, str], links: Links) -> None:
        self.direction = direction
        self.structures = structures
        self.links = links
        self.parts = {part.name for part in links.source_parts}
        # What is written from the whole, once all else is.
        self.skipped = {name for one in links.regrouped for name in (one.older if direction.to_newer else one.newer)}
        if not direction.to_newer:
            self.skipped |= links.derived.keys()
        self.by_property: dict[tuple[str | None, str], Link] = {}
        self.writers: dict[str, int] = {}
        for one in links.links:
            self.writers[one.target.key] = self.writers.get(one.target.key, 0) + 1
            for source_property in one.source.properties:
                self.by_property[_part_name(one.source), source_property.name] = one

    def step(self, slot: Slot, source: Property) -> Step:
        """The step of one property of `slot`."""
        direction = self.direction
        found = self.by_property.get((_part_name(slot), source.name))
        step = Step(self.structures, slot, source, direction.our_url(slot.element.path.removesuffix("[x]")))
        if slot.element.min and source is slot.properties[0] and not (found and found.target.element.min):
            step.nothing = absent(direction.source, source)
        if slot.part is None and slot.base_name in self.parts:
            step.mode = APART
        elif slot.base_name in FRAME:
            if slot.part is None:
                step.mode = COPY if slot.base_name == "id" else EXTENSIONS
                step.target_name = source.name
        elif slot.part is None and source.name in self.skipped:
            step.mode = SKIP
        elif found is not None:
            self._link(step, found)
        return step

    def regrouping(self, rule: Regrouped, steps: Mapping[str, Step]) -> Regrouping:
        """A rule in this direction."""
        newer = self.direction.to_newer
        ours, theirs = (rule.older, rule.newer) if newer else (rule.newer, rule.older)
        return Regrouping(
            structures=self.structures,
            steps={name: steps[name] for name in ours if name in steps},
            target=theirs,
            there=rule.to_newer if newer else rule.to_older,
            back=rule.to_older if newer else rule.to_newer,
        )

    def _link(self, step: Step, found: Link) -> None:
        """Give a step its target element, and the ways there."""
        source, direction = step.source, self.direction
        candidates = []
        # A choice that still has the type keeps it; other types are ways out only for a type that is gone.
        same = [target for target in found.target.properties if target.type == source.type]
        for target in same if found.value is None and same else found.target.properties:
            convert = converter(direction, source, target, found.value, found.codes)
            if convert is not None:
                candidates.append(Candidate(target, convert))
        step.link(found.target, tuple(candidates), direction.their_url(found.target.element.path.removesuffix("[x]")))
        if found.value is None and len(candidates) == 1:
            self._shorten(step, found, candidates[0].target)

    def _shorten(self, step: Step, found: Link, target: Property) -> None:
        """Give a step that only copies, or only applies one plan, its short way."""
        source, direction = step.source, self.direction
        if source.element.is_list != target.element.is_list or self.writers[found.target.key] > 1:
            return
        if source.element.is_choice and source.type != target.type:
            return
        if step.nothing is not None and "extension" not in (step.nothing[0] or step.nothing[1] or ()):
            return  # Only the long way knows a value that says nothing; a short way turns to it for extensions alone.
        step.target_name = target.name
        if source.element.path == REFERENCE_TEXT:
            step.mode = REFERENCE
        elif direction.is_plain_copy(source, target):
            step.mode = COPY
        elif direction.is_primitive(source.type) or source.type == "Resource":
            return
        elif source.type in BACKBONES and target.type in BACKBONES:
            step.mode = PLAN
        elif source.type == target.type and direction.refused_targets(source, target) is None:
            bound = target.element.binding
            if bound is None or bound.strength != "required" or source.element.binding == bound:
                # A value that says nothing has an extension, which the way of PLAN stops at.
                step.mode = SAME if direction.identical(source.type) and step.nothing is None else PLAN
        step.structures = source.structure, target.structure
        step.into = found.target if found.target.part else None

    def defaults(self) -> tuple[Default, ...]:
        """What stands for the target's required elements that the source need not have."""
        required_in_both = {one.target.key for one in self.links.links if one.source.element.min}
        found = []
        for slot in self.links.target:
            if slot.element.min and slot.properties and slot.key not in required_in_both:
                derived = self.links.derived.get(slot.key) if self.direction.to_newer else None
                if slot.element.name != "url" or self.structures[1] != "Extension":
                    found.append(Default(slot, derived))
        return tuple(found)


def _part_name(slot: Slot) -> str | None:
    return slot.part.name if slot.part else None


def _order(slots: tuple[Slot, ...]) -> dict[str, int]:
    """The place of each property of the target, and of its companion."""
    order: dict[str, int] = {"resourceType": 0}
    for slot in slots:
        if slot.part is None:
            for one in slot.properties:
                order[one.name] = len(order)
                order["_" + one.name] = len(order)
    return order


def _keeps_order(steps: Mapping[str, Step], order: Mapping[str, int]) -> bool:
    """Whether the short ways alone put the elements into the target's order."""
    last = -1
    for step in steps.values():
        if step.target is None or not step.target_name:
            continue
        place = order.get(step.target_name, -1)
        if step.target.part is not None or place < last:
            return False
        last = place
    return True
