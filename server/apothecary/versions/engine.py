"""The plans of one direction, made when first needed, and what they ask of the definitions (https://hl7.org/fhir/R5/versions.html)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property
from typing import Any

from apothecary.fhir.definitions import Element, Property, Structure, definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion
from apothecary.versions.maps import BY_STRUCTURES
from apothecary.versions.plan import Plan
from apothecary.versions.run import Run
from apothecary.versions.values import BACKBONES, is_plain_copy

_ORDER = tuple(FhirVersion)


class Engine:
    """Conversion from one release to another. Get it by `engine(source, target)`; it is filled as types are first met.

    Plans are stored only when whole, so threads that build the same one at the same time store equal ones.
    """

    def __init__(self, source: FhirVersion, target: FhirVersion) -> None:
        self.source = definitions(source)
        self.target = definitions(target)
        self.to_newer = _ORDER.index(source) < _ORDER.index(target)
        self._plans: dict[tuple[str, str], Plan] = {}
        self._identical: dict[str, bool] = {}
        self._primitive = frozenset(self.source.primitive_types()) | frozenset(self.target.primitive_types())
        both = set(self.source.complex_types()) & set(self.target.complex_types()) | self._primitive
        values = self.target.structure("Extension").properties.values()
        # What the target's Extension.value[x] may be, as far as this direction can write it.
        self.carried_types = frozenset(one.type for one in values if one.name.startswith("value")) & both

    @cached_property
    def inverse(self) -> Engine:
        """The way back."""
        return engine(self.target.version, self.source.version)

    def new_run(self) -> Run:
        """A conversion to begin."""
        return Run(self)

    def our_url(self, path: str) -> str:
        """The cross-version extension for an element of the source release."""
        return f"http://hl7.org/fhir/{self.source.version.mime}/StructureDefinition/extension-{path}"

    def their_url(self, path: str) -> str:
        """The cross-version extension for an element of the target release."""
        return f"http://hl7.org/fhir/{self.target.version.mime}/StructureDefinition/extension-{path}"

    def plan(self, source: str, target: str) -> Plan:
        """How the structure `source` becomes `target`."""
        found = self._plans.get((source, target))
        if found is None:
            found = Plan(self, source, target)
            self._plans[source, target] = found
        return found

    def is_primitive(self, name: str) -> bool:
        """Whether a type is one JSON value."""
        return name in self._primitive

    def extension(self, extension: JSON, run: Run) -> JSON:
        """One extension, its value and inner extensions converted."""
        return extension if self._is_unchanged_extension(extension) else self._extension_plan.apply(extension, run)

    def extensions(self, extensions: list[JSON], run: Run) -> list[JSON]:
        """A list of extensions, each converted."""
        return [self.extension(one, run) for one in extensions]

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
                        if not self._is_unchanged_extension(extension):
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

    def _is_unchanged_extension(self, extension: JSON) -> bool:
        for key, one in extension.items():
            if key == "url":
                if one.startswith(self._their_prefix):
                    return False
            elif key == "extension":
                for inner in one:
                    if not self._is_unchanged_extension(inner):
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

    @cached_property
    def _extension_plan(self) -> Plan:
        return self.plan("Extension", "Extension")

    def companion(self, companion: JSON | None, run: Run) -> JSON | None:
        """The id and the extensions of a primitive, converted."""
        if companion and "extension" in companion:
            return {**companion, "extension": self.extensions(companion["extension"], run)}
        return companion

    def adopt(self, structure: str, value: JSON, run: Run) -> JSON:
        """A value whose outer shape is the target's `structure` already, the data types in it still the source's."""
        if structure in self.source.complex_types():
            return self.plan(structure, structure).apply(value, run)
        result = {}
        properties = self.target.structure(structure).properties
        for key, one in value.items():
            found = properties.get(key)
            if found is None or self.is_primitive(found.type):
                result[key] = one
            else:
                result[key] = self.plan(found.type, found.type).apply(one, run)
        return result

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

    def refused_targets(self, source: Property, target: Property) -> Callable[[str | None], bool] | None:
        """Tells the types of resource that `source` may refer to and `target` may not; None when there are none."""
        own, allowed = _targets(source), _targets(target)
        if allowed is None or (own is not None and own <= allowed):
            return None
        return lambda name: name is not None and name not in allowed and (own is None or name in own)

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
                if not is_plain_copy(self, one, other):
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
def engine(source: FhirVersion, target: FhirVersion) -> Engine:
    """The engine of one direction, shared by the whole process."""
    return Engine(source, target)
