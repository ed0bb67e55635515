"""How one structure becomes another: one look-up a JSON property. https://hl7.org/fhir/R5/versions.html#extensions"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from apothecary.fhir.json import JSON
from apothecary.versions.carry import add_items, decode
from apothecary.versions.direction import Direction
from apothecary.versions.links import FRAME, Slot
from apothecary.versions.places import absent, is_written, part_of
from apothecary.versions.regrouping import Regrouping
from apothecary.versions.rules import Derived
from apothecary.versions.run import Run
from apothecary.versions.steps import APART, COPY, EXTENSIONS, PLAN, REFERENCE, SAME, SKIP, Step

Restored = list[tuple[Slot, JSON]]


class Default(NamedTuple):
    """What is written for a required element of the target that the source does not have."""

    slot: Slot
    derived: Derived | None


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """The way from one structure to another. `apply` never changes what it is given, and may share parts of it.

    `steps` are by property of the source, `part_steps` the same by part and then by property of that part. `restores`
    are the target's elements by the extension that carries them in the source. `regrouped` are the elements that have
    no steps. `order` is the place of each property
    of the target, and `keeps_order` whether the short ways alone keep to it. `on_meta` says that the target cannot have
    extensions: they stand on its meta, the nearest element that can (Bundle, Binary, Parameters).
    """

    direction: Direction
    steps: Mapping[str, Step]
    part_steps: Mapping[str, Mapping[str, Step]]
    restores: Mapping[str, Slot]
    defaults: Sequence[Default]
    derived: Mapping[str, Derived]
    order: Mapping[str, int]
    keeps_order: bool
    regrouped: Sequence[Regrouping]
    on_meta: bool

    def apply(self, source: JSON, run: Run) -> JSON:
        """`source` in the target's form, its elements in the target's order."""
        out: JSON = {}
        carried: list[JSON] = []
        restored: Restored = []
        moved = self._take(self.steps, source, out, carried, restored, run) or not self.keeps_order
        if self.on_meta and "meta" in out:
            self._restore_from_meta(out, restored)
        for regrouping in self.regrouped:
            moved = self._regroup(regrouping, source, out, carried, restored, run) or moved
        if restored:
            self._restore(restored, out, run)
        for default in self.defaults:
            self._write_default(default, source, out)
        if self.derived and not self.direction.to_newer:
            self._drop_derived(source, out, carried, run)
        if carried:
            holder = out
            if self.on_meta:
                holder = out["meta"] = dict(out.get("meta", ()))
            holder["extension"] = [*holder.get("extension", ()), *carried]
        return self._ordered(out) if moved or carried or restored else out

    def step_for(self, part: str | None, name: str) -> Step | None:
        """The step that a property of the source, or of a part of it, takes."""
        steps = self.part_steps.get(part, {}) if part else self.steps
        return steps.get(name)

    def sources(self, names: Set[str]) -> frozenset[str] | None:
        """The properties of the source without which the properties `names` of the target would be others than they
        are; None where that may be any of them.
        """
        if "extension" in names or "modifierExtension" in names:
            # What the target has no element for is carried there.
            return None
        # Elements, by their keys, that change one of `names` where they are written: a choice is one of all its types.
        keys = {
            slot.key
            for slot in self.restores.values()
            if (slot.part.name in names if slot.part else any(one.name in names for one in slot.properties))
        }
        if self.direction.to_newer and any(one.derived and one.slot.key in keys for one in self.defaults):
            return None
        # Originals stand in extensions; and what is no element of the source stays what it is.
        found = {"resourceType", "id", "extension", *names, *(("meta",) if self.on_meta else ())}
        for name, step in self.steps.items():
            parts = self.part_steps.get(step.source.name, {}).values()
            if any(one.target is not None and one.target.key in keys for one in (step, *parts)):
                found.add(name)
        for regrouping in self.regrouped:
            if not names.isdisjoint(regrouping.target):
                found.update(f"{mark}{name}" for name in regrouping.steps for mark in ("", "_"))
        return frozenset(found)

    def _take(
        self, steps: Mapping[str, Step], source: JSON, out: JSON, carried: list[JSON], restored: Restored, run: Run
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
            elif mode is REFERENCE and not self.direction.is_unknown_reference(value):
                out[step.target_name] = value
            elif mode is SAME and self.direction.is_unchanged(value):
                step.holder(out)[step.target_name] = value
            elif (mode is PLAN or mode is SAME) and step.is_direct(value):
                step.holder(out)[step.target_name] = step.direct(value, run)
            elif mode is EXTENSIONS:
                self._extensions(key, value, out, restored, run)
            elif mode is APART:
                self._take_apart(step, source, out, carried, run)
                moved = True
            elif mode is not SKIP:
                step.general(source, out, carried, run)
                moved = True
        return moved

    def _take_apart(self, step: Step, source: JSON, out: JSON, carried: list[JSON], run: Run) -> None:
        """A backbone whose elements stand elsewhere in the target: the first is taken apart, any others are carried."""
        steps = self.part_steps[step.source.name]
        items = step.items(source)
        inner: JSON = items[0][0]
        frame = {key: value for key, value in inner.items() if key in ("extension", "modifierExtension")}
        for key, value in frame.items():
            carried.append({"url": steps[key].url, "extension": run.extensions(value)})
        if frame:
            inner = {key: value for key, value in inner.items() if key not in frame}
        self._take(steps, inner, out, carried, [], run)
        step.carry(items[1:], carried, run)

    def _extensions(self, key: str, value: list[JSON], out: JSON, restored: Restored, run: Run) -> None:
        if key != "extension":
            out[key] = run.extensions(value)
            return
        kept = []
        for extension in value:
            slot = self.restores.get(extension.get("url", ""))
            if slot is None:
                kept.append(run.extension(extension))
            else:
                restored.append((slot, extension))
        if kept:
            out["extension"] = kept

    def _regroup(
        self, one: Regrouping, source: JSON, out: JSON, carried: list[JSON], restored: Restored, run: Run
    ) -> bool:
        """Write elements that are divided in another way here; tells whether there were any."""
        given = one.given(source)
        originals = [item for item in restored if one.is_target(item[0])]
        if not given and not originals:
            return False
        restored[:] = [item for item in restored if item not in originals]
        if originals:
            whole: JSON = {}
            self._restore(originals, whole, run)
            beside = whole.pop("extension", [])
            if not given or one.still_says(whole, given, run):
                out.update(whole)
                if beside:
                    out.setdefault("extension", []).extend(beside)
                return True
            # Edited in between: the edit counts. What was before stays where everybody can see it.
            out.setdefault("extension", []).extend(run.extension(extension) for _, extension in originals)
        one.write(given, out, carried, run)
        return True

    def _restore_from_meta(self, out: JSON, restored: Restored) -> None:
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

    def _restore(self, restored: Restored, out: JSON, run: Run) -> None:
        # What belongs inside a part comes first: a further whole part follows the one it makes.
        for slot, extension in sorted(restored, key=lambda one: one[0].part is None):
            holder = part_of(out, slot)
            if slot.base_name in FRAME:
                holder[slot.base_name] = self._decode_frame(slot, extension, run)
                continue
            decoded = decode(run, extension, slot.properties)
            if decoded is None or (not slot.element.is_list and is_written(holder, slot.properties)):
                out.setdefault("extension", []).append(run.extension(extension))
                continue
            found, value, companion = decoded
            add_items(holder, found, [(value, companion)])

    def _decode_frame(self, slot: Slot, extension: JSON, run: Run) -> Any:
        """The id or the extensions of a part that the source release does not have."""
        if slot.base_name == "id":
            return extension.get("valueString")
        return run.extensions(extension.get("extension", []))

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
            value, companion = absent(self.direction.target, first)
            add_items(holder, first, [(value, companion)])

    def _drop_derived(self, source: JSON, out: JSON, carried: list[JSON], run: Run) -> None:
        for name, derived in self.derived.items():
            step = self.steps[name]
            if source.get(name) == derived.value(out) and "_" + name not in source:
                continue
            step.carry(step.items(source), carried, run)

    def _ordered(self, out: JSON) -> JSON:
        order, last = self.order, -1
        for key in out:
            place = order.get(key, 0)
            if place < last:
                return {key: out[key] for key in sorted(out, key=lambda key: order.get(key, 0))}
            last = place
        return out
