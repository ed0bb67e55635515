"""What happens to one JSON property: copied, converted, put in another place, or carried in an extension.

https://hl7.org/fhir/R5/versions.html#extensions and https://hl7.org/fhir/R5/json.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from apothecary.fhir.definitions import Property
from apothecary.fhir.json import JSON
from apothecary.versions.carry import add_items, decode, encode, items_of
from apothecary.versions.converted import Converted, Converter
from apothecary.versions.links import Slot
from apothecary.versions.places import is_written, part_of, part_so_far, with_extension
from apothecary.versions.run import Placed, Run, Way

# The short ways; a part that is taken APART goes the way of its own elements; everything else is GENERAL.
COPY, REFERENCE, SAME, PLAN, EXTENSIONS, SKIP = "copy", "reference", "same", "plan", "extensions", "skip"
APART = "apart"
GENERAL = "general"

Item = tuple[Any, "JSON | None"]


class Candidate(NamedTuple):
    """A property of the target and the way there."""

    target: Property
    convert: Converter


@dataclass(eq=False, slots=True)
class Step:
    """The way of one property of the source. Without a target it is carried in the extension named `url`.

    `within` are the source's structure that has the property, and what that becomes; `structures` are the same of the
    values, where a plan alone converts them.
    """

    within: tuple[str, str]
    slot: Slot
    source: Property
    url: str
    mode: str = GENERAL
    target_name: str = ""
    target: Slot | None = None
    candidates: tuple[Candidate, ...] = ()
    target_url: str = ""
    structures: tuple[str, str] = ("", "")
    is_companion: bool = False
    nothing: Item | None = None
    into: Slot | None = None
    _direct: Way | None = None

    def link(self, target: Slot, candidates: tuple[Candidate, ...], target_url: str) -> None:
        """Give the step its target element."""
        self.target = target
        self.candidates = candidates
        self.target_url = target_url

    def for_companion(self) -> Step:
        """The step of the `_name` companion: value and companion together, whatever was copied before."""
        step = Step(self.within, self.slot, self.source, self.url, target=self.target, candidates=self.candidates)
        step.is_companion = True
        step.nothing = self.nothing
        step.target_url = self.target_url
        step.target_name = self.target_name if self.mode in (COPY, REFERENCE) else ""
        if self.mode is SKIP:
            step.mode = SKIP
        return step

    def holder(self, out: JSON) -> JSON:
        """Where in `out` a short way writes."""
        return out if self.into is None else part_of(out, self.into)

    def is_direct(self, value: Any) -> bool:
        """Whether no item has extensions of its own, among which the original of an approximation could be."""
        if type(value) is list:
            return all(type(one) is dict and "extension" not in one for one in value)
        return type(value) is dict and "extension" not in value

    def direct(self, value: Any, run: Run) -> Any:
        """The value by its plan alone."""
        way = self._direct
        if way is None:
            way = self._direct = run.way(*self.structures)
        if type(value) is list:
            return [way(one, run) for one in value]
        return way(value, run)

    def items(self, source: JSON) -> list[Item]:
        """The values of the property with their companions."""
        return items_of(source, self.source)

    def says_nothing(self, items: Sequence[Item]) -> bool:
        """Whether the values only say that one is required here."""
        return self.nothing is not None and len(items) == 1 and items[0] == self.nothing

    def carry(self, items: Sequence[Item], carried: list[JSON], run: Run) -> None:
        """Put values into the cross-version extension of their element."""
        for value, companion in items:
            carried.append(encode(run, self.url, self.source, value, companion))

    def general(self, source: JSON, out: JSON, carried: list[JSON], run: Run) -> None:
        """Convert all values and put each where it belongs."""
        if self.is_companion and not self.target_name and self.source.name in source:
            return  # Value and companion were converted together.
        items = self.items(source)
        if self.says_nothing(items):
            return
        if self.target is None:
            self.carry(items, carried, run)
            return
        if self.target_name:
            # The value alone was copied before; now it is converted together with its companion.
            part_so_far(out, self._target()).pop(self.target_name, None)
        placed = [self.place(value, companion, run) for value, companion in items]
        if self.target.element.is_list:
            self._write_list(items, placed, out, carried, run)
        else:
            self._write_single(items, placed, out, carried, run)

    def place(self, value: Any, companion: JSON | None, run: Run) -> Placed | None:
        """One value in the target's form, its original inside if it only approximates; None when it cannot be said."""
        original = self._original(value, companion, run)
        if original is not None:
            return original
        for target, convert in self.candidates:
            converted = convert(value, companion, run)
            if converted is None:
                continue
            if converted.reason is not None:
                run.note(self.source.element.path.removesuffix("[x]"), converted.reason)
                converted = self._with_original(target, converted, value, companion, run)
            return Placed(target, converted.value, converted.companion)
        return None

    def placeholder(self, value: Any, companion: JSON | None, run: Run) -> Placed:
        """The target's element with nothing but the original in its extension."""
        if self.target is None:
            raise ValueError(self.url)
        target = self.candidates[0].target if self.candidates else self.target.properties[0]
        inside: JSON = {"extension": [encode(run, self.url, self.source, value, companion)]}
        return Placed(target, None, inside) if run.direction.is_primitive(target.type) else Placed(target, inside, None)

    def _write_list(
        self, items: Sequence[Item], placed: Sequence[Placed | None], out: JSON, carried: list[JSON], run: Run
    ) -> None:
        target = self._target()
        if not target.element.min and not any(placed):
            self.carry(items, carried, run)
            return
        # Each keeps its place: one that the target cannot say leaves an element that only has an extension.
        written = [one or self._noted_placeholder(item, run) for one, item in zip(placed, items, strict=True)]
        if written:
            add_items(part_of(out, target), written[0].target, [(one.value, one.companion) for one in written])

    def _write_single(
        self, items: Sequence[Item], placed: Sequence[Placed | None], out: JSON, carried: list[JSON], run: Run
    ) -> None:
        target = self._target()
        taken = is_written(part_so_far(out, target), self._all_types(target, run))
        first = placed[0] if placed else None
        if first is None and target.element.min and placed and not taken:
            first = self._noted_placeholder(items[0], run)
        if first is None or taken:
            self.carry(items, carried, run)
            return
        add_items(part_of(out, target), first.target, [(first.value, first.companion)])
        self.carry(items[1:], carried, run)

    def _noted_placeholder(self, item: Item, run: Run) -> Placed:
        run.note(self.source.element.path.removesuffix("[x]"), "the other release cannot say this value")
        return self.placeholder(*item, run)

    def _target(self) -> Slot:
        if self.target is None:
            raise ValueError(self.url)
        return self.target

    def _all_types(self, target: Slot, run: Run) -> tuple[Property, ...]:
        """The properties of the target's element, also those that another link writes."""
        if not target.element.is_choice:
            return target.properties
        name = target.part.structure if target.part else self.within[1]
        structure = run.direction.target.structure(name)
        return tuple(one for one in structure.properties.values() if one.element.path == target.element.path)

    def _with_original(
        self, target: Property, converted: Converted, value: Any, companion: JSON | None, run: Run
    ) -> Converted:
        inside = encode(run, self.url, self.source, value, companion)
        primitive = run.direction.is_primitive(target.type)
        holder = converted.companion if primitive else converted.value
        holder = with_extension(holder or {}, inside)
        return Converted(converted.value, holder) if primitive else Converted(holder, None)

    def _original(self, value: Any, companion: JSON | None, run: Run) -> Placed | None:
        """What the value was before it was approximated, as long as it still says what the approximation said."""
        holder = value if isinstance(value, dict) else companion
        if not holder or "extension" not in holder or self.target is None:
            return None
        for extension in holder["extension"]:
            if extension.get("url") != self.target_url:
                continue
            decoded = decode(run, extension, self._all_types(self.target, run))
            if decoded is not None and self._still_says(decoded, value, companion, run):
                return Placed(*decoded)
        return None

    def _still_says(
        self, decoded: tuple[Property, Any, JSON | None], value: Any, companion: JSON | None, run: Run
    ) -> bool:
        part = self._target().part
        source, target = self.within
        found, original, beside = decoded
        again = run.back().placed((target, source), part.name if part else None, found.name, original, beside)
        return again is not None and (again.target.name, again.value, again.companion) == (
            self.source.name,
            value,
            companion,
        )
