"""One value of one type, said in another release's type: https://hl7.org/fhir/R5/datatypes.html.

A converter takes a value and its companion (the `_name` object of a primitive), both in the source's form, and gives
the target's form; with a reason when that only approximates; or None when the target cannot say it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from apothecary.fhir.definitions import Property
from apothecary.fhir.json import JSON
from apothecary.versions.converted import Converted, Converter
from apothecary.versions.direction import ANY_TEXT, BACKBONES, NUMBERS, OPAQUE, Direction
from apothecary.versions.places import with_extension
from apothecary.versions.references import checked, from_codeable, into_codeable, may_not_refer
from apothecary.versions.rules import Codes, Value
from apothecary.versions.run import Run

REFERENCE_TEXT = "Reference.reference"
_QUANTITIES = frozenset({"Quantity", "Age", "Count", "Distance", "Duration"})
_LEAST = {"positiveInt": 1, "unsignedInt": 0, "integer": -(2**31)}


def converter(
    direction: Direction, source: Property, target: Property, value: Value | None = None, codes: Codes | None = None
) -> Converter | None:
    """The way from `source`'s type to `target`'s; None when the types are not about the same thing."""
    if value is not None:
        forward, back = (value.newer, value.older) if direction.to_newer else (value.older, value.newer)
        return _by_rule(direction, source, target, forward, back)
    convert = _by_type(direction, source, target, codes)
    if convert is None or source.type == target.type or not source.element.is_choice:
        return convert
    if direction.is_primitive(source.type) or any(target.type == one.code for one in source.element.types):
        return _as_another_type(convert, source.type)
    return convert


def _as_another_type(convert: Converter, name: str) -> Converter:
    """`convert`, but an approximation: its result does not tell that the choice was of the type `name`."""

    def approximate(value: Any, companion: JSON | None, run: Run) -> Converted | None:
        converted = convert(value, companion, run)
        return converted and converted._replace(reason=converted.reason or f"a {name} is said in another type")

    return approximate


def _by_type(direction: Direction, source: Property, target: Property, codes: Codes | None) -> Converter | None:
    if source.type == target.type and source.type not in BACKBONES:
        return _same_type(direction, source, target, codes)
    if direction.is_primitive(source.type) and direction.is_primitive(target.type):
        return _between_primitives(direction, source, target)
    pair = source.type, target.type
    if pair == ("CodeableConcept", "CodeableReference"):
        return into_codeable(direction, "concept")
    if pair == ("Reference", "CodeableReference"):
        return checked(direction, source, target, into_codeable(direction, "reference"))
    if pair == ("CodeableReference", "CodeableConcept"):
        return from_codeable(direction, "concept", may_not_refer(direction, source, target))
    if pair == ("CodeableReference", "Reference"):
        return from_codeable(direction, "reference", direction.refused_targets(source, target))
    if pair == ("code", "CodeableConcept"):
        return _code_to_concept(direction, source)
    if pair == ("CodeableConcept", "code"):
        return _concept_to_code(direction, target)
    if direction.same_shape(source, target) or (source.type in _QUANTITIES and target.type in _QUANTITIES):
        return _structure(direction, source.structure, target.structure)
    return None


def _structure(direction: Direction, source: str, target: str) -> Converter:
    def convert(value: Any, companion: JSON | None, run: Run) -> Converted:
        return Converted(run.structure(source, target, value), None)

    return convert


def _same_type(direction: Direction, source: Property, target: Property, codes: Codes | None) -> Converter:
    if direction.is_primitive(source.type):
        if source.element.path == REFERENCE_TEXT:
            return _known_reference(direction)
        allowed = direction.allowed_codes(source, target)
        return _primitive(direction) if allowed is None else _code(direction, target, allowed, codes)
    if source.type == "Resource":
        return _resource
    convert = _structure(direction, source.structure, target.structure)
    if source.type == "CodeableConcept":
        return _bound_concept(direction, source, target, convert)
    return checked(direction, source, target, convert)


def _resource(value: Any, companion: JSON | None, run: Run) -> Converted:
    return Converted(run.nested(value), None)


def _primitive(direction: Direction) -> Converter:
    def convert(value: Any, companion: JSON | None, run: Run) -> Converted:
        return Converted(value, run.companion(companion))

    return convert


def _known_reference(direction: Direction) -> Converter:
    """The text of a reference; where it names a type of resource that an older target does not have, the Basic that
    stands for it there, with the text in the cross-version extension of it.
    """
    url = direction.our_url(REFERENCE_TEXT)

    def convert(value: Any, companion: JSON | None, run: Run) -> Converted | None:
        if value is None or not direction.is_unknown_reference(value):
            return Converted(value, run.companion(companion))
        if direction.to_newer:
            return None
        beside = with_extension(run.companion(companion) or {}, {"url": url, "valueString": value})
        return Converted("/".join(["Basic", *value.split("/")[1:]]), beside)

    return convert


def _code(direction: Direction, target: Property, allowed: frozenset[str], codes: Codes | None) -> Converter:
    table: Mapping[str, str] = {}
    back: Mapping[str, str] = {}
    if codes is not None:
        table, back = (codes.newer, codes.older) if direction.to_newer else (codes.older, codes.newer)

    def convert(value: Any, companion: JSON | None, run: Run) -> Converted | None:
        if value is None or value in allowed:
            return Converted(value, run.companion(companion))
        near = table.get(value)
        if near is None:
            return None
        reason = None if back.get(near) == value else f"{value!r} is said as its nearest neighbour {near!r}"
        return Converted(near, run.companion(companion), reason)

    return convert


def _between_primitives(direction: Direction, source: Property, target: Property) -> Converter | None:
    if source.type == "xhtml" or target.type == "xhtml":
        return None
    check = _text_check(direction, source, target) if source.type not in NUMBERS else None
    if source.type in NUMBERS and target.type in NUMBERS:
        check = _number_check(target.type)
    elif source.type in NUMBERS and target.type == "integer64":
        check = _to_integer64
    elif source.type == "integer64" and target.type in _LEAST:
        check = _from_integer64(target.type)
    if check is None:
        return None

    def convert(value: Any, companion: JSON | None, run: Run) -> Converted | None:
        if value is not None:
            value = check(value)
            if value is None:
                return None
        return Converted(value, run.companion(companion))

    return convert


def _text_check(direction: Direction, source: Property, target: Property) -> Callable[[Any], Any] | None:
    if (
        source.type in OPAQUE
        or target.type in OPAQUE
        or target.type in NUMBERS
        or "integer64" in (source.type, target.type)
    ):
        return None
    if target.type in ANY_TEXT:
        return lambda value: value
    regex = direction.target.structure(target.type).regex
    pattern = re.compile(regex) if regex else None
    allowed = direction.allowed_codes(source, target)

    def check(value: Any) -> Any:
        fits = (pattern is None or pattern.fullmatch(value)) and (allowed is None or value in allowed)
        return value if fits else None

    return check


def _number_check(target: str) -> Callable[[Any], Any]:
    if target == "decimal":
        return lambda value: value
    return lambda value: value if type(value) is int and _LEAST[target] <= value < 2**31 else None


def _to_integer64(value: Any) -> Any:
    # JSON writes an integer64 as a string: https://hl7.org/fhir/R5/json.html#primitive
    return str(value) if type(value) is int else None


def _from_integer64(target: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if type(value) is int:
            # Not R5's JSON, but widely written; R4 writes a number here.
            value = str(value)
        try:
            number = int(value)
        except ValueError:
            return None
        return number if str(number) == value and _LEAST[target] <= number < 2**31 else None

    return check


def _bound_concept(direction: Direction, source: Property, target: Property, convert: Converter) -> Converter:
    binding, bound = source.element.binding, target.element.binding
    if bound is None or bound.strength != "required" or (binding and binding == bound):
        return convert
    values = direction.target.value_set(bound.value_set)
    if values is None or not values.complete:
        return convert

    def checked(value: Any, companion: JSON | None, run: Run) -> Converted | None:
        codings = value.get("coding", ())
        if any(values.contains(coding.get("system"), coding.get("code", "")) for coding in codings):
            return convert(value, companion, run)
        return None

    return checked


def _code_to_concept(direction: Direction, source: Property) -> Converter | None:
    binding = source.element.binding
    values = direction.source.value_set(binding.value_set) if binding else None
    if values is None:
        return None

    def convert(value: Any, companion: JSON | None, run: Run) -> Converted | None:
        frame = run.companion(companion) or {}
        if value is None:
            return Converted(frame, None)
        system = values.system_of(value)
        if system is None:
            return None
        return Converted({**frame, "coding": [{"system": system, "code": value}]}, None)

    return convert


def _concept_to_code(direction: Direction, target: Property) -> Converter | None:
    binding = target.element.binding
    values = direction.target.value_set(binding.value_set) if binding else None
    if values is None:
        return None

    def convert(value: Any, companion: JSON | None, run: Run) -> Converted | None:
        for coding in value.get("coding", ()):
            system, code = coding.get("system"), coding.get("code")
            if system is not None and code is not None and values.contains(system, code):
                exact = value.keys() <= {"id", "extension", "coding"} and value["coding"] == [
                    {"system": system, "code": code}
                ]
                frame = run.companion({key: value[key] for key in ("id", "extension") if key in value})
                exact = exact and values.system_of(code) == system
                return Converted(code, frame or None, None if exact else "of the concept only its code is said")
        return None

    return convert


def _by_rule(
    direction: Direction, source: Property, target: Property, forward: Callable[[Any], Any], back: Callable[[Any], Any]
) -> Converter:
    from_primitive, to_primitive = direction.is_primitive(source.type), direction.is_primitive(target.type)

    def convert(value: Any, companion: JSON | None, run: Run) -> Converted | None:
        frame = companion if from_primitive else None
        if from_primitive and value is None:
            return (
                Converted(None, run.companion(companion)) if to_primitive else Converted(run.companion(companion), None)
            )
        bare = value
        if to_primitive and not from_primitive:
            frame = {key: value[key] for key in ("id", "extension") if key in value}
            bare = {key: one for key, one in value.items() if key not in frame}
            if not bare:
                return Converted(None, run.companion(frame))
        result = forward(bare)
        if result is None:
            return None
        reason = None if back(result) == bare else "the two releases write this value differently"
        frame = run.companion(frame) if frame else None
        if to_primitive:
            return Converted(result, frame, reason)
        result = _adopted(target.structure, result, run)
        return Converted({**(frame or {}), **result}, None, reason)

    return convert


def _adopted(structure: str, value: JSON, run: Run) -> JSON:
    """A value whose outer shape is the target's `structure` already, the data types in it still the source's."""
    direction = run.direction
    if structure in direction.source.complex_types():
        return run.structure(structure, structure, value)
    result = {}
    properties = direction.target.structure(structure).properties
    for key, one in value.items():
        found = properties.get(key)
        if found is None or direction.is_primitive(found.type):
            result[key] = one
        else:
            result[key] = run.structure(found.type, found.type, one)
    return result
