"""One direction between two releases, and what a conversion asks of their definitions
(https://hl7.org/fhir/R5/versions.html).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

from apothecary.fhir.definitions import Element, Property, Structure, definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.versions.maps import BY_STRUCTURES

BACKBONES = frozenset({"BackboneElement", "Element"})
NUMBERS = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
ANY_TEXT = frozenset({"string", "markdown"})
OPAQUE = frozenset({"boolean", "base64Binary", "xhtml"})
_ORDER = tuple(FhirVersion)


class Direction:
    """The way from one release to another. Get it by `direction(source, target)`: all of it follows from the
    definitions and is worked out when it is first asked for.
    """

    def __init__(self, source: FhirVersion, target: FhirVersion) -> None:
        self.source = definitions(source)
        self.target = definitions(target)
        self.to_newer = _ORDER.index(source) < _ORDER.index(target)
        self._identical: dict[str, bool] = {}
        self._primitive = frozenset(self.source.primitive_types()) | frozenset(self.target.primitive_types())
        both = set(self.source.complex_types()) & set(self.target.complex_types()) | self._primitive
        values = self.target.structure("Extension").properties.values()
        # What the target's Extension.value[x] may be, as far as this direction can write it.
        self.carried_types = frozenset(one.type for one in values if one.name.startswith("value")) & both

    @cached_property
    def inverse(self) -> Direction:
        """The way back."""
        return direction(self.target.version, self.source.version)

    def our_url(self, path: str) -> str:
        """The cross-version extension for an element of the source release."""
        return f"http://hl7.org/fhir/{self.source.version.mime}/StructureDefinition/extension-{path}"

    def their_url(self, path: str) -> str:
        """The cross-version extension for an element of the target release."""
        return f"http://hl7.org/fhir/{self.target.version.mime}/StructureDefinition/extension-{path}"

    def is_primitive(self, name: str) -> bool:
        """Whether a type is one JSON value."""
        return name in self._primitive

    def is_unchanged(self, value: Any) -> bool:
        """Whether a value of an identical type also has only such extensions in it as stay what they are."""
        if type(value) is dict:
            for key, one in value.items():
                kind = type(one)
                if kind is not dict and kind is not list:
                    if key == "reference" and kind is str and self.is_unknown_reference(one):
                        return False
                    continue
                if key == "extension" or key == "modifierExtension":
                    for extension in one:
                        if not self.is_unchanged_extension(extension):
                            return False
                elif not self.is_unchanged(one):
                    return False
        elif type(value) is list:
            for one in value:
                kind = type(one)
                if (kind is dict or kind is list) and not self.is_unchanged(one):
                    return False
        return True

    def is_unknown_reference(self, reference: str) -> bool:
        """Whether a relative reference names a type of resource that the target does not have."""
        return reference.partition("/")[0] in self._lost_types

    @cached_property
    def _lost_types(self) -> frozenset[str]:
        return frozenset(self.source.resource_types()) - frozenset(self.target.resource_types())

    def is_unchanged_extension(self, extension: JSON) -> bool:
        """Whether an extension, with all in it, stays what it is."""
        for key, one in extension.items():
            if key == "url":
                if one.startswith(self._their_prefix):
                    return False
            elif key == "extension":
                for inner in one:
                    if not self.is_unchanged_extension(inner):
                        return False
            elif key not in self._unchanged_values:
                return False
            else:
                kind = type(one)
                if (kind is dict or kind is list) and not self.is_unchanged(one):
                    return False
        return True

    @cached_property
    def _their_prefix(self) -> str:
        return self.their_url("")

    @cached_property
    def _unchanged_values(self) -> frozenset[str]:
        """The properties of Extension, and their companions, that are the same in the target."""
        source, target = self.source.structure("Extension").properties, self.target.structure("Extension").properties
        found = {"id"}
        for name, one in source.items():
            if name.startswith("value") and name in target:
                if self.is_primitive(one.type):
                    found |= {name, "_" + name}
                elif self.identical(one.type):
                    found.add(name)
        return frozenset(found)

    def same_shape(self, source: Property, target: Property) -> bool:
        """Whether two types without a common name are the same backbone, or a backbone that became a data type."""
        if source.type in BACKBONES and target.type in BACKBONES:
            return True
        pair = (source.structure, target.structure) if self.to_newer else (target.structure, source.structure)
        return pair in BY_STRUCTURES and (source.type in BACKBONES or target.type in BACKBONES)

    def allowed_codes(self, source: Property, target: Property) -> frozenset[str] | None:
        """The codes that `target` allows, None when it allows all that `source` does."""
        bound = _required_codes(self.target.version, target.element)
        if bound is None:
            return None
        own = _required_codes(self.source.version, source.element)
        return None if own is not None and own <= bound else bound

    def is_plain_copy(self, source: Property, target: Property) -> bool:
        """Whether every primitive value of `source` is, unchanged, a value of `target`."""
        if source.type != target.type:
            return self.is_primitive(source.type) and source.type not in NUMBERS | OPAQUE and target.type in ANY_TEXT
        return self.is_primitive(source.type) and self.allowed_codes(source, target) is None

    def refused_targets(self, source: Property, target: Property) -> Callable[[str | None], bool] | None:
        """Tells the types of resource that `source` may refer to and `target` may not; None when there are none."""
        own, allowed = _targets(source), _targets(target)
        if allowed is None or (own is not None and own <= allowed):
            return None
        return lambda name: name is not None and name not in allowed and (own is None or name in own)

    def targets(self, one: Property) -> frozenset[str] | None:
        """The types of resource a property may refer to, None for any."""
        return _targets(one)

    def identical(self, name: str) -> bool:
        """Whether every value of the data type `name`, but for its extensions, is the same in the target."""
        found = self._identical.get(name)
        if found is None:
            found = self._is_identical(name, set())
            self._identical[name] = found
        return found

    def _is_identical(self, name: str, assumed: set[str]) -> bool:
        if name in assumed:
            return True
        assumed.add(name)
        try:
            source, target = self.source.structure(name), self.target.structure(name)
        except KeyError:
            return False
        if not self._has_all(source, target) or (name, name) in BY_STRUCTURES:
            return False
        for key, one in source.properties.items():
            other = target.properties[key]
            if key in ("extension", "modifierExtension"):
                continue
            if self.is_primitive(one.type):
                if not self.is_plain_copy(one, other):
                    return False
            elif (
                one.type == "Resource"
                or self.refused_targets(one, other) is not None
                or not self._is_identical(one.structure, assumed)
            ):
                return False
        return True

    @staticmethod
    def _has_all(source: Structure, target: Structure) -> bool:
        for key, one in source.properties.items():
            other = target.properties.get(key)
            if other is None or other.type != one.type or other.element.is_list != one.element.is_list:
                return False
            # What only the source requires may say nothing, and is then dropped.
            if one.structure != other.structure or bool(one.element.min) > bool(other.element.min):
                return False
        # A new required element must be written.
        own = {one.element.path for one in source.properties.values() if one.element.min}
        return all(not one.element.min or one.element.path in own for one in target.properties.values())


def _targets(one: Property) -> frozenset[str] | None:
    """The types of resource a property may refer to, None for any."""
    for type_ref in one.element.types:
        if type_ref.code == one.type:
            targets = frozenset(type_ref.targets)
            return None if not targets or "Resource" in targets else targets
    return None


@cache
def _codes_of(version: FhirVersion, url: str) -> frozenset[str] | None:
    found = definitions(version).value_set(url)
    if found is None or not found.complete:
        return None
    return frozenset(code for concepts in found.concepts.values() for code in concepts)


def _required_codes(version: FhirVersion, element: Element) -> frozenset[str] | None:
    binding = element.binding
    if binding is None or binding.strength != "required":
        return None
    return _codes_of(version, binding.value_set)


@cache
def direction(source: FhirVersion, target: FhirVersion) -> Direction:
    """The direction, shared by the whole process."""
    return Direction(source, target)
