"""Reference, CodeableConcept and CodeableReference, one for the other: https://hl7.org/fhir/R5/references.html."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from apothecary.fhir.definitions import Property
from apothecary.fhir.json import JSON
from apothecary.versions.converted import Converted, Converter
from apothecary.versions.direction import Direction
from apothecary.versions.places import with_extension
from apothecary.versions.run import Run

_LITERAL_TYPE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.\-]{1,64}(?:/_history/.*)?$")


def checked(direction: Direction, source: Property, target: Property, convert: Converter) -> Converter:
    """`convert`, unless the value refers to a type of resource that `target` may not refer to."""
    refused = direction.refused_targets(source, target)
    if refused is None:
        return convert

    def convert_checked(value: Any, companion: JSON | None, run: Run) -> Converted | None:
        return None if refused(_referred_type(value, run)) else convert(value, companion, run)

    return convert_checked


def may_refer(direction: Direction, target: Property, value: Any, run: Run) -> bool:
    """Whether `target` may have `value`, as far as it is a Reference or has one, and its type of resource is known."""
    if target.type not in ("Reference", "CodeableReference"):
        return True
    allowed = direction.targets(target)
    if allowed is None:
        return True
    name = _referred_type(value, run)
    return name is None or name in allowed


def _referred_type(reference: Any, run: Run) -> str | None:
    """The type of resource that a Reference, or the reference of a CodeableReference, names, as far as it or what is
    around it tells.
    """
    if isinstance(reference.get("reference"), dict):
        reference = reference["reference"]
    named = reference.get("type")
    if isinstance(named, str):
        return named
    literal = reference.get("reference") or ""
    found = _LITERAL_TYPE.search(literal)
    return found[1] if found else run.links.get(literal)


def into_codeable(direction: Direction, member: str) -> Converter:
    """A concept or a reference as CodeableReference: id and extensions are the whole's, all else the member's."""
    type_name = "CodeableConcept" if member == "concept" else "Reference"
    other, other_url = ("reference", direction.their_url("CodeableReference.reference"))
    if member == "reference":
        other, other_url = ("concept", direction.their_url("CodeableReference.concept"))

    def convert(value: Any, companion: JSON | None, run: Run) -> Converted:
        plain = dict(run.structure(type_name, type_name, value))
        whole: JSON = {key: plain.pop(key) for key in ("id", "extension") if key in plain}
        if plain:
            whole[member] = plain
        for extension in whole.get("extension", ()):
            if extension["url"] == other_url:
                whole["extension"] = [one for one in whole["extension"] if one is not extension]
                whole[other] = next(found for key, found in extension.items() if key.startswith("value"))
                break
        if not whole.get("extension", True):
            del whole["extension"]
        return Converted(whole, None)

    return convert


def may_not_refer(direction: Direction, source: Property, target: Property) -> Callable[[str | None], bool] | None:
    """Tells the references that `target`, a choice with Reference, may not make; None when it is no such choice."""
    for type_ref in target.element.types:
        if type_ref.code == "Reference":
            alternative = Property(target.name, target.element, "Reference", "Reference")
            return direction.refused_targets(source, alternative) or (lambda name: False)
    return None


def from_codeable(direction: Direction, member: str, refused: Callable[[str | None], bool] | None = None) -> Converter:
    """What `into_codeable` takes: a CodeableReference as its concept or its reference, the other half beside it."""
    other = "reference" if member == "concept" else "concept"
    type_name = "CodeableConcept" if member == "concept" else "Reference"
    other_type = "Reference" if member == "concept" else "CodeableConcept"
    other_url = direction.our_url(f"CodeableReference.{other}")

    def convert(value: Any, companion: JSON | None, run: Run) -> Converted | None:
        frame: JSON = run.companion({key: value[key] for key in ("id", "extension") if key in value}) or {}
        mine, theirs = value.get(member), value.get(other)
        if member == "reference" and refused is not None and mine is not None and refused(_referred_type(mine, run)):
            return None
        reason = None
        if mine is None:
            if theirs is None:
                return Converted(frame, None)
            if member == "reference" or (refused is not None and not refused(_referred_type(theirs, run))):
                # A Reference that only displays a concept helps less than the concept in its extension; and where a
                # Reference may stand, a reference does.
                return None
            mine, reason = (
                _in_words(theirs),
                "a reference stands where only a concept may, so its display stands for it",
            )
            theirs = None
        elif "id" in mine or "extension" in mine:
            reason = f"the {member} has an id or extensions of its own"
        result = {**frame, **run.structure(type_name, type_name, mine)}
        if theirs is not None:
            half = run.structure(other_type, other_type, theirs)
            result = with_extension(result, {"url": other_url, f"value{other_type}": half})
        return Converted(result, None, reason)

    return convert


def _in_words(reference: JSON) -> JSON:
    words = reference.get("display") or reference.get("reference")
    return {"text": words} if words else {}
