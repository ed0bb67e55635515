"""What changed in meaning between two states of a content folder, drug by drug.

Both are read as sheets, so that order, narratives and the way FHIR repeats things make no difference. What no sheet
says is compared as it stands, and only named: nothing that changed is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from apothecary.authoring.imported import import_sheet
from apothecary.authoring.terms import Vocabulary
from apothecary.errors import StartError
from apothecary.fhir.json import JSON

Sort = Literal["added", "removed", "changed"]

# The parts of a sheet as a reader calls them, in the order in which they are told.
PARTS: Mapping[str, str] = {
    "uses": "Uses",
    "limitations": "Limitations of use",
    "contraindications": "Contraindications",
    "interactions": "Interactions",
    "undesirable-effects": "Undesirable effects",
    "warnings": "Warnings",
    "knowledge": "The drug",
    "products": "Products",
    "substances": "Substances",
    "populations": "Populations",
    "evidence": "Evidence",
    "discrepancies": "What the editors questioned",
    "sections": "Sections of the monograph",
    "sources": "Sources and their claims",
    "provenance": "Provenance",
    "other": "Other resources",
    "sheet": "The monograph",
}
# What tells the items of a list apart.
_KEYS = ("id", "substance", "section", "title", "type", "how", "text")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `path` leads to it within the item; `before` or `after` is None where there is nothing."""

    drug: str
    part: str
    item: str
    label: str
    sort: Sort
    path: str
    before: Any
    after: Any

    def as_json(self) -> dict[str, Any]:
        """For other tools."""
        return {
            "part": self.part,
            "item": self.item,
            "label": self.label,
            "change": self.sort,
            **({"path": self.path} if self.path else {}),
            **({"before": self.before} if self.before is not None else {}),
            **({"after": self.after} if self.after is not None else {}),
        }


@dataclass(frozen=True, slots=True)
class State:
    """A content folder at one time: its resources by reference, and its claims by source."""

    resources: Mapping[str, JSON]
    claims: Mapping[str, Mapping[str, JSON]]


def differences(before: State, after: State, vocabulary: Vocabulary) -> list[Change]:
    """What changed, by drug and by part."""
    found: list[Change] = []
    told: set[str] = set()
    drugs = sorted({*_drugs(before.resources), *_drugs(after.resources)})
    for drug in drugs:
        old, old_told = _sheet(drug, before, vocabulary)
        new, new_told = _sheet(drug, after, vocabulary)
        told |= {
            reference
            for reference in old_told | new_told
            if (reference in old_told or reference not in before.resources)
            and (reference in new_told or reference not in after.resources)
        }
        found += _of_drug(drug, old or {}, new or {})
    for reference in sorted({*before.resources, *after.resources} - told):
        one, other = (_meaning(state.resources.get(reference)) for state in (before, after))
        if one != other:
            sort: Sort = "changed" if one and other else "added" if other else "removed"
            found.append(Change("", "other", reference, reference, sort, "", None, None))
    order = [*PARTS]
    return sorted(found, key=lambda one: (not one.drug, one.drug, order.index(one.part)))


def _drugs(resources: Mapping[str, JSON]) -> Iterator[str]:
    """The drugs that have a monograph."""
    for reference in resources:
        kind, _, id = reference.partition("/")
        drug = id.removesuffix("-monograph")
        if kind == "Composition" and drug != id and f"MedicationKnowledge/{drug}" in resources:
            yield drug


def _sheet(drug: str, state: State, vocabulary: Vocabulary) -> tuple[dict[str, Any] | None, set[str]]:
    """The sheet of a drug, and the resources that it says all of."""
    try:
        sheet, left = import_sheet(drug, state.resources, state.claims, vocabulary)
    except StartError:
        return None, set()
    partly = {line.partition(" ")[0] for line in left}
    own = state.resources[f"Composition/{drug}-monograph"]
    named = {one["reference"] for part in own.get("section", ()) for one in part.get("entry", ())}
    for one in state.resources.values():
        if one["resourceType"] == "Provenance":
            targets = {target["reference"] for target in one.get("target", ()) if "reference" in target}
            if f"MedicationKnowledge/{drug}" in targets:
                named |= {*targets, f"Provenance/{one['id']}"}
    named |= {f"DocumentReference/{one['id']}" for one in sheet["sources"]}
    return sheet, {*named, f"Composition/{drug}-monograph"} - partly


def _meaning(resource: JSON | None) -> JSON | None:
    """A resource without its narrative."""
    return None if resource is None else {key: one for key, one in resource.items() if key != "text"}


def _of_drug(drug: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key in dict.fromkeys((*old, *new)):
        one, other = old.get(key), new.get(key)
        if one == other:
            continue
        if key in PARTS and (isinstance(one, list) or isinstance(other, list)):
            yield from _items(drug, key, one or [], other or [])
        elif key == "knowledge" and isinstance(one, dict) and isinstance(other, dict):
            for path, was, now in _fields(one, other, ""):
                yield _change(drug, key, drug, drug, path, was, now)
        elif key == "knowledge":
            sort: Sort = "added" if one is None else "removed"
            yield Change(drug, key, drug, drug, sort, "", None, None)
        elif old and new:
            yield _change(drug, "sheet", drug, drug, key, one, other)


def _items(drug: str, part: str, old: list[Any], new: list[Any]) -> Iterator[Change]:
    before, after = _named(old), _named(new)
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name), after.get(name)
        label = _label(other if other is not None else one)
        if one is None:
            yield Change(drug, part, name, label, "added", "", None, other)
        elif other is None:
            yield Change(drug, part, name, label, "removed", "", one, None)
        else:
            for path, was, now in _fields(one, other, ""):
                yield _change(drug, part, name, label, path, was, now)


def _change(drug: str, part: str, name: str, label: str, path: str, was: Any, now: Any) -> Change:
    return Change(drug, part, name, label, "changed", path, was, now)


def _named(items: Iterable[Any]) -> dict[str, Any]:
    """The items of a list by what tells them apart; a number follows where that is not enough."""
    found: dict[str, Any] = {}
    for one in items:
        name = _name(one)
        number = 1
        while (unique := name if number == 1 else f"{name} ({number})") in found:
            number += 1
        found[unique] = one
    return found


def _name(item: Any) -> str:
    if isinstance(item, dict):
        for key in _KEYS:
            if key in item:
                return _name(item[key])
        return ", ".join(map(str, item))
    # A code with another relation to the text is the same code.
    return str(item).lstrip("?<>~")


def _label(item: Any) -> str:
    """What a reader calls an item."""
    if not isinstance(item, dict):
        return str(item)
    for key in ("use", "label", "condition", "effect", "with", "code", "title", "name", "text", "description"):
        if key in item:
            value = item[key][0] if isinstance(item[key], list) and item[key] else item[key]
            return str(value["text"]) if isinstance(value, dict) and "text" in value else str(value)
    return _name(item)


def _fields(old: Any, new: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """What differs within an item: the path, what was there and what is."""
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _fields(old.get(key), new.get(key), f"{path}.{key}" if path else key)
    elif isinstance(old, list) and isinstance(new, list):
        before, after = _named(old), _named(new)
        for name in dict.fromkeys((*before, *after)):
            if all(isinstance(one, dict) for one in (before.get(name), after.get(name))):
                yield from _fields(before[name], after[name], f"{path}[{name}]")
            elif before.get(name) != after.get(name):
                yield path, before.get(name), after.get(name)
        if [*before] != [*after] and {*before} == {*after}:
            yield f"{path} (order)", [*before], [*after]
    else:
        yield path, old, new
