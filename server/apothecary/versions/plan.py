"""How one structure becomes another: worked out once from definitions and maps, then one look-up a JSON property.

https://hl7.org/fhir/R5/versions.html#extensions
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from apothecary.fhir.definitions import Property
from apothecary.fhir.json import JSON
from apothecary.versions.carry import add_items, decode
from apothecary.versions.links import FRAME, Link, Slot, link
from apothecary.versions.places import absent, is_written, part_of
from apothecary.versions.rules import Derived
from apothecary.versions.steps import COPY, EXTENSIONS, PLAN, REFERENCE, SAME, SKIP, Candidate, Step
from apothecary.versions.values import BACKBONES, REFERENCE_TEXT, converter, is_plain_copy

if TYPE_CHECKING:
    from apothecary.versions.engine import Engine
    from apothecary.versions.run import Run


class Default(NamedTuple):
    """What is written for a required element of the target that the source does not have."""

    slot: Slot
    derived: Derived | None


class Plan:
    """The way from one structure to another. `apply` never changes what it is given, and may share parts of it."""

    def __init__(self, engine: Engine, source: str, target: str) -> None:
        self.engine = engine
        self.source = source
        self.target = target
        links = link(engine.source, engine.target, source, target)
        self._by_property: dict[tuple[str | None, str], Link] = {}
        self._writers: dict[str, int] = {}
        for one in links.links:
            self._writers[one.target.key] = self._writers.get(one.target.key, 0) + 1
            for source_property in one.source.properties:
                self._by_property[_part_name(one.source), source_property.name] = one
        self._derived = links.derived
        self.part_steps: dict[str, dict[str, Step]] = {part.name: {} for part in links.source_parts}
        self.steps: dict[str, Step] = {}
        for slot in links.source:
            steps = self.part_steps[slot.part.name] if slot.part else self.steps
            for source_property in slot.properties:
                step = self._step(slot, source_property)
                steps[source_property.name] = step
                if engine.is_primitive(source_property.type):
                    steps["_" + source_property.name] = step.for_companion()
        self.restores: dict[str, Slot] = {
            engine.their_url(slot.element.path.removesuffix("[x]")): slot
            for slot in links.target
            if slot.part or slot.base_name not in ("id", "extension")
        }
        self._defaults = tuple(
            self._find_defaults(links.target, {one.target.key for one in links.links if one.source.element.min})
        )
        self._order = self._find_order(links.target)
        self._keeps_order = self._is_in_order()
        structure = engine.target.structure(target)
        # Bundle, Binary and Parameters cannot have extensions: those stand on meta, the nearest element that can.
        self._on_meta = "extension" not in structure.properties and "meta" in structure.properties

    def apply(self, source: JSON, run: Run) -> JSON:
        """`source` in the target's form, its elements in the target's order."""
        out: JSON = {}
        carried: list[JSON] = []
        restored: list[tuple[Slot, JSON]] = []
        moved = self.take(self.steps, source, out, carried, restored, run) or not self._keeps_order
        if self._on_meta and "meta" in out:
            self._restore_from_meta(out, restored)
        if restored:
            self._restore(restored, out, run)
        for default in self._defaults:
            self._write_default(default, source, out)
        if self._derived and not self.engine.to_newer:
            self._drop_derived(source, out, carried, run)
        if carried:
            holder = out
            if self._on_meta:
                holder = out["meta"] = dict(out.get("meta", ()))
            holder["extension"] = [*holder.get("extension", ()), *carried]
        return self._ordered(out) if moved or carried or restored else out

    def take(
        self,
        steps: dict[str, Step],
        source: JSON,
        out: JSON,
        carried: list[JSON],
        restored: list[tuple[Slot, JSON]],
        run: Run,
    ) -> bool:
        """Send each property of `source` its way; tells whether any went a long way, so that order may be lost."""
        moved = False
        for key, value in source.items():
            step = steps.get(key)
            if step is None:
                # Not an element of the source release: left as it is, for the validator to judge.
                out[key] = value
                continue
            mode = step.mode
            if mode is COPY:
                step.holder(out)[step.target_name] = value
            elif mode is REFERENCE and not self.engine.is_unknown_reference(value):
                out[step.target_name] = value
            elif mode is SAME and self.engine.is_unchanged(value):
                step.holder(out)[step.target_name] = value
            elif (mode is PLAN or mode is SAME) and step.is_direct(value):
                step.holder(out)[step.target_name] = step.direct(value, run)
            elif mode is EXTENSIONS:
                self._extensions(key, value, out, restored, run)
            elif mode is not SKIP:
                step.general(source, out, carried, run)
                moved = True
        return moved

    def step_for(self, slot_part: str | None, name: str) -> Step | None:
        """The step that a property of the source takes."""
        steps = self.part_steps.get(slot_part, {}) if slot_part else self.steps
        return steps.get(name)

    def _extensions(self, key: str, value: list[JSON], out: JSON, restored: list[tuple[Slot, JSON]], run: Run) -> None:
        if key != "extension":
            out[key] = self.engine.extensions(value, run)
            return
        kept = []
        for extension in value:
            slot = self.restores.get(extension.get("url", ""))
            if slot is None:
                kept.append(self.engine.extension(extension, run))
            else:
                restored.append((slot, extension))
        if kept:
            out["extension"] = kept

    def _restore_from_meta(self, out: JSON, restored: list[tuple[Slot, JSON]]) -> None:
        extensions = out["meta"].get("extension", ())
        found = [one for one in extensions if one.get("url") in self.restores]
        if not found:
            return
        restored.extend((self.restores[one["url"]], one) for one in found)
        rest = [one for one in extensions if one not in found]
        meta = {key: value for key, value in out["meta"].items() if key != "extension"}
        if rest:
            meta["extension"] = rest
        if meta:
            out["meta"] = meta
        else:
            del out["meta"]

    def _restore(self, restored: list[tuple[Slot, JSON]], out: JSON, run: Run) -> None:
        # What belongs inside a part comes first: a further whole part follows the one it makes.
        for slot, extension in sorted(restored, key=lambda one: one[0].part is None):
            holder = part_of(out, slot)
            if slot.base_name in FRAME:
                holder[slot.base_name] = self._decode_frame(slot, extension, run)
                continue
            decoded = decode(self.engine, extension, slot.properties, run)
            if decoded is None or (not slot.element.is_list and is_written(holder, slot.properties)):
                out.setdefault("extension", []).append(self.engine.extension(extension, run))
                continue
            found, value, companion = decoded
            add_items(holder, found, [(value, companion)])

    def _decode_frame(self, slot: Slot, extension: JSON, run: Run) -> Any:
        """The id or the extensions of a part that the source release does not have."""
        if slot.base_name == "id":
            return extension.get("valueString")
        return self.engine.extensions(extension.get("extension", []), run)

    def _write_default(self, default: Default, source: JSON, out: JSON) -> None:
        slot, derived = default
        if slot.part and slot.part.name not in out:
            return
        holder = part_of(out, slot)
        if is_written(holder, slot.properties):
            return
        first = slot.properties[0]
        if derived is not None:
            holder[first.name] = derived.value(source)
        else:
            value, companion = absent(self.engine.target, first)
            add_items(holder, first, [(value, companion)])

    def _drop_derived(self, source: JSON, out: JSON, carried: list[JSON], run: Run) -> None:
        for name, derived in self._derived.items():
            step = self.steps[name]
            if source.get(name) == derived.value(out) and "_" + name not in source:
                continue
            step.carry(step.items(source), carried, run)

    def _step(self, slot: Slot, source: Property) -> Step:
        engine = self.engine
        found = self._by_property.get((_part_name(slot), source.name))
        own_url = engine.our_url(slot.element.path.removesuffix("[x]"))
        step = Step(self, slot, source, own_url)
        if slot.element.min and source is slot.properties[0] and not (found and found.target.element.min):
            step.nothing = absent(engine.source, source)
        if slot.part is None and slot.base_name in self.part_steps:
            return step
        if slot.base_name in FRAME:
            if slot.part is None:
                step.mode = COPY if slot.base_name == "id" else EXTENSIONS
                step.target_name = source.name
            return step
        if source.name in self._derived and not engine.to_newer and slot.part is None:
            step.mode = SKIP
            return step
        if found is None:
            return step
        candidates = []
        # A choice that still has the type keeps it; other types are ways out only for a type that is gone.
        same = [target for target in found.target.properties if target.type == source.type]
        for target in same if found.value is None and same else found.target.properties:
            convert = converter(engine, source, target, found.value, found.codes)
            if convert is not None:
                candidates.append(Candidate(target, convert))
        step.link(found.target, tuple(candidates), engine.their_url(found.target.element.path.removesuffix("[x]")))
        if found.value is None and len(candidates) == 1:
            self._shorten(step, found, candidates[0].target)
        return step

    def _shorten(self, step: Step, found: Link, target: Property) -> None:
        """Give a step that only copies, or only applies one plan, its short way."""
        source = step.source
        if source.element.is_list != target.element.is_list or self._writers[found.target.key] > 1:
            return
        if source.element.is_choice and source.type != target.type:
            return
        if step.nothing is not None and "extension" not in (step.nothing[0] or step.nothing[1] or ()):
            return  # Only the long way knows a value that says nothing; a short way turns to it for extensions alone.
        step.target_name = target.name
        if source.element.path == REFERENCE_TEXT:
            step.mode = REFERENCE
        elif is_plain_copy(self.engine, source, target):
            step.mode = COPY
        elif self.engine.is_primitive(source.type) or source.type == "Resource":
            return
        elif source.type in BACKBONES and target.type in BACKBONES:
            step.mode = PLAN
        elif source.type == target.type and self.engine.refused_targets(source, target) is None:
            bound = target.element.binding
            if bound is None or bound.strength != "required" or source.element.binding == bound:
                # A value that says nothing has an extension, which the way of PLAN stops at.
                step.mode = SAME if self.engine.identical(source.type) and step.nothing is None else PLAN
        step.structures = source.structure, target.structure
        step.into = found.target if found.target.part else None

    def _find_defaults(self, slots: tuple[Slot, ...], required_in_both: set[str]) -> list[Default]:
        found = []
        for slot in slots:
            if slot.element.min and slot.properties and slot.key not in required_in_both:
                derived = self._derived.get(slot.key) if self.engine.to_newer else None
                if slot.element.name != "url" or self.target != "Extension":
                    found.append(Default(slot, derived))
        return found

    def _find_order(self, slots: tuple[Slot, ...]) -> dict[str, int]:
        order: dict[str, int] = {"resourceType": 0}
        for slot in slots:
            if slot.part is None:
                for one in slot.properties:
                    order[one.name] = len(order)
                    order["_" + one.name] = len(order)
        return order

    def _is_in_order(self) -> bool:
        """Whether the short ways alone put the elements into the target's order."""
        last = -1
        for step in self.steps.values():
            if step.target is None or not step.target_name:
                continue
            place = self._order.get(step.target_name, -1)
            if step.target.part is not None or place < last:
                return False
            last = place
        return True

    def _ordered(self, out: JSON) -> JSON:
        order, last = self._order, -1
        for key in out:
            place = order.get(key, 0)
            if place < last:
                return {key: out[key] for key in sorted(out, key=lambda key: order.get(key, 0))}
            last = place
        return out


def _part_name(slot: Slot) -> str | None:
    return slot.part.name if slot.part else None
