"""Resources that together use every element that a search can ask for (https://hl7.org/fhir/R5/resourcelist.html).

Every place in a type has its own turn: each time it is filled, the next of its types, codes, targets and lengths is
taken. So after enough resources each of them was used, whatever stands beside it. Values are all different, so that
one is never taken for another. Codes cannot be: so every other resource leaves out some of its elements, not always
the same.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from apothecary.fhir.definitions import Definitions, Property, definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.search.parameter import standard_parameters

# Resources of a type: no fewer, for the mixtures; no more, for the time.
FEWEST, MOST = 24, 60
# Backbones inside backbones, and data types inside data types, are filled so deep.
_BACKBONES, _DATATYPES = 5, 4
_LEFT_OUT = frozenset({"id", "extension", "modifierExtension", "contained", "implicitRules", "meta"})
_EXTENSION = re.compile(r"\b(?P<place>[A-Z]\w*(?:\.\w+)*)\.extension\('(?P<url>[^']+)'\)")
_RESOLVED = re.compile(r"\btype = '(\w+)'")
_VALUES = ("CodeableConcept", "Reference", "string", "Period", "dateTime", "Quantity", "Address", "Range")
# Resources inside others, as parameters of Bundle look for them.
_INSIDE = ("Composition", "MessageHeader", "Patient")
_BACKBONE_TYPES = frozenset({"BackboneElement", "Element"})


def resources(version: FhirVersion, resource_type: str) -> Iterator[JSON]:
    """The resources of one type, as a release writes them."""
    maker = _Maker(version, resource_type)
    count = 0
    while count < FEWEST or (count < MOST and not maker.whole):
        yield {"resourceType": resource_type, "id": f"g-{count}", **maker.resource(sparse=count % 2 == 1)}
        count += 1


class _Maker:
    def __init__(self, version: FhirVersion, resource_type: str) -> None:
        self._definitions: Definitions = definitions(version)
        self._type = resource_type
        self._turns: dict[str, tuple[int, int]] = {}
        self._open: list[str] = []
        self._sparse = False
        self._random = random.Random(f"{version} {resource_type}")  # noqa: S311 (the same resources every time)
        self._count = 0
        self._extensions = _extensions(version, resource_type)
        expressions = " ".join(one.expression for one in standard_parameters(resource_type, version))
        self._asked_for = sorted(set(_RESOLVED.findall(expressions)))

    @property
    def whole(self) -> bool:
        """Whether every place has had all of its turns."""
        return all(taken >= options for taken, options in self._turns.values())

    def resource(self, *, sparse: bool) -> JSON:
        self._sparse = sparse
        made = self._structure(self._type, self._type, 0, 0)
        return {"meta": self._meta(), **made}

    def _meta(self) -> JSON:
        number = self._next()
        return {
            "profile": [f"http://example.org/StructureDefinition/{number}"],
            "security": [{"system": "http://example.org/security", "code": f"s{number}"}],
            "tag": [{"system": "http://example.org/tag", "code": f"t{number}"}],
            "source": f"http://example.org/source/{number}",
        }

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _turn(self, place: str, options: int) -> int:
        """Which of `options` it is this time."""
        taken, _ = self._turns.get(place, (0, 0))
        self._turns[place] = taken + 1, options
        return taken % options

    def _structure(self, name: str, place: str, backbones: int, datatypes: int) -> JSON:
        structure = self._definitions.structure(name)
        self._open.append(name)
        by_path: dict[str, list[Property]] = {}
        for one in structure.properties.values():
            by_path.setdefault(one.element.path, []).append(one)
        made: JSON = {}
        for element in structure.elements:
            types = by_path.get(element.path, [])
            if not types or element.name in _LEFT_OUT or types[0].type == "Narrative":
                continue
            if element.min == 0 and (self._too_deep(types, backbones, datatypes) or self._is_left_out()):
                continue
            here = f"{place}.{element.name}"
            one = types[self._turn(f"{here}=", len(types))] if len(types) > 1 else types[0]
            values = [self._value(one, here, backbones, datatypes) for _ in range(self._length(one, here, backbones))]
            made[one.name] = values if one.element.is_list else values[0]
        self._open.pop()
        if not made and self._sparse:
            # An element must say something.
            self._sparse = False
            made = self._structure(name, place, backbones, datatypes)
            self._sparse = True
            return made
        self._extend(made, place)
        return made or {"extension": [{"url": "http://example.org/nothing", "valueBoolean": True}]}

    def _is_left_out(self) -> bool:
        return self._sparse and self._random.random() < 0.4

    def _too_deep(self, types: Sequence[Property], backbones: int, datatypes: int) -> bool:
        if datatypes >= _DATATYPES or backbones >= _BACKBONES:
            return True
        # A structure inside itself: once is enough to be met.
        inside_itself = types[0].structure in self._open and backbones > 1
        return inside_itself or (types[0].type == "Identifier" and datatypes > 1)

    def _length(self, one: Property, place: str, backbones: int) -> int:
        """Of a list two values and one in turn: the other release may have room for one only."""
        if not one.element.is_list or backbones > 1:
            return 1
        return 2 - self._turn(f"{place}#", 2)

    def _value(self, one: Property, place: str, backbones: int, datatypes: int) -> Any:
        if self._is_primitive(one.type):
            return self._code(one, place) if one.type == "code" else _primitive(one.type, self._next())
        if one.type == "Reference":
            return self._reference(one, place)
        if one.type == "Resource":
            return {"resourceType": _INSIDE[self._turn(place, len(_INSIDE))], "id": f"in-{self._next()}"}
        if one.type == "CodeableReference":
            return self._codeable_reference(one, place)
        if one.type in _BACKBONE_TYPES:
            return self._structure(one.structure, place, backbones + 1, datatypes)
        made = self._structure(one.structure, f"{place}:{one.type}", backbones, datatypes + 1)
        binding = one.element.binding
        if one.type in ("CodeableConcept", "Coding") and binding and binding.strength == "required":
            coding = self._coding(binding.value_set, place)
            if coding:
                made = coding if one.type == "Coding" else {"coding": [coding]}
        return made

    def _is_primitive(self, name: str) -> bool:
        return name in _PRIMITIVE_TYPES

    def _coding(self, value_set: str, place: str) -> JSON | None:
        known = _codings(self._definitions.version, value_set)
        if not known:
            return None
        system, code = known[self._turn(f"{place}!", len(known))]
        return {"system": system, "code": code}

    def _code(self, one: Property, place: str) -> str:
        binding = one.element.binding
        coding = self._coding(binding.value_set, place) if binding and binding.strength == "required" else None
        return coding["code"] if coding else f"code-{self._next()}"

    def _codeable_reference(self, one: Property, place: str) -> JSON:
        number = self._next()
        concept = {"coding": [{"system": "http://example.org/cs", "code": f"c{number}"}], "text": f"Concept {number}"}
        either = self._turn(f"{place}?", 3)
        made: JSON = {}
        if either != 0:
            made["concept"] = concept
        if either != 1:
            made["reference"] = self._reference(one, place)
        return made

    def _reference(self, one: Property, place: str) -> JSON:
        number = self._next()
        targets = next(found.targets for found in one.element.types if found.code == one.type)
        if not targets or "Resource" in targets:
            targets = (*_anything(self._definitions.version), *self._asked_for)
        kinds = self._turn(f"{place}@", len(targets) + 2)
        if kinds == len(targets):
            return {"reference": f"http://example.org/else/{targets[0]}/{number}"}
        if kinds > len(targets):
            return {"identifier": {"system": "http://example.org/id", "value": f"i{number}"}, "display": f"D {number}"}
        return {"reference": f"{targets[kinds]}/r{number}", "display": f"Display {number}"}

    def _extend(self, made: JSON, place: str) -> None:
        """Add the extensions that search parameters look for here."""
        for url in self._extensions.get(place, ()):
            kind = _VALUES[self._turn(f"{place}:{url}", len(_VALUES))]
            made.setdefault("extension", []).append({"url": url, f"value{kind[0].upper()}{kind[1:]}": self._any(kind)})

    def _any(self, kind: str) -> Any:
        number = self._next()
        if kind in _PRIMITIVE_TYPES:
            return _primitive(kind, number)
        if kind == "Reference":
            return {"reference": f"Organization/r{number}"}
        return self._structure(kind, f"*{kind}", 0, _DATATYPES - 1)


@cache
def _codings(version: FhirVersion, value_set: str) -> list[tuple[str, str]]:
    """The codes of a value set with their systems: first those that another release does not have there."""
    values = definitions(version).value_set(value_set)
    others = [found for other in FhirVersion if (found := definitions(other).value_set(value_set)) is not None]
    known = [(system, code) for system, codes in values.concepts.items() for code in sorted(codes)] if values else []
    return sorted(known, key=lambda one: all(one[1] in found.concepts.get(one[0], ()) for found in others))


@cache
def _anything(version: FhirVersion) -> tuple[str, ...]:
    """What stands for every type where a reference may point to any: types that only this release has, or not all."""
    by_releases: dict[tuple[FhirVersion, ...], list[str]] = {}
    for name in definitions(version).resource_types():
        having = tuple(other for other in FhirVersion if definitions(other).is_resource_type(name))
        by_releases.setdefault(having, []).append(name)
    return tuple(name for names in by_releases.values() for name in names[:2])


def _extensions(version: FhirVersion, resource_type: str) -> dict[str, list[str]]:
    """The urls of the extensions that search parameters look for, by the place where they look."""
    found: dict[str, dict[str, None]] = {}
    for parameter in standard_parameters(resource_type, version):
        for match in _EXTENSION.finditer(parameter.expression):
            found.setdefault(match["place"], {})[match["url"]] = None
    return {place: list(urls) for place, urls in found.items()}


_PRIMITIVE_TYPES = frozenset(
    {"boolean", "integer", "integer64", "positiveInt", "unsignedInt", "decimal", "date", "dateTime", "instant", "time"}
    | {"base64Binary", "uri", "url", "canonical", "oid", "uuid", "id", "code", "string", "markdown", "xhtml"}
)


def _primitive(kind: str, number: int) -> Any:
    """A value of a primitive type: another one for each number, as far as there are others."""
    day = f"{1900 + number // 336 % 200:04}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}"
    match kind:
        case "boolean":
            return number % 2 == 0
        case "integer" | "positiveInt" | "unsignedInt":
            return number
        case "integer64":
            return str(number)
        case "decimal":
            return number + 0.5
        case "date":
            return day
        case "dateTime" | "instant":
            return f"{day}T12:00:00Z"
        case "time":
            return f"{number // 60 % 24:02}:{number % 60:02}:00"
        case "base64Binary":
            return "TWFu"
        case "uri" | "url":
            return f"http://example.org/thing/{number}"
        case "canonical":
            return f"http://example.org/canonical/{number}|1"
        case "oid":
            return f"urn:oid:1.2.{number}"
        case "uuid":
            return f"urn:uuid:c757873d-ec9a-4326-a141-{number:012}"
        case "id":
            return f"id-{number}"
        case "xhtml":
            return f'<div xmlns="http://www.w3.org/1999/xhtml">Text {number}</div>'
    return f"Text {number}"
