"""What the specification of each release says, compiled from https://hl7.org/fhir/R5/downloads.html.

`make definitions` writes the tables; `docs/definitions.md` describes them and what is repaired.
Nothing is read before it is needed, each file at most once in a process, and all that is handed out is immutable.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from apothecary.fhir.lines import Lines
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import (
    Binding,
    Element,
    Invariant,
    Kind,
    Property,
    Structure,
    TypeRef,
    TypeTable,
    property_name,
)
from apothecary.fhir.terminology import CodeSystem, ValueSet

__all__ = [
    "Binding",
    "CodeSystem",
    "Component",
    "Context",
    "Definitions",
    "Element",
    "ExtensionDefinition",
    "Invariant",
    "Kind",
    "Property",
    "SearchParameterDefinition",
    "Structure",
    "TypeRef",
    "ValueSet",
    "definitions",
    "property_name",
]

_DATA = Path(__file__).parent / "data"
_OF_RESOURCES, _OF_ELEMENTS = ("DomainResource", "Resource"), ("BackboneElement", "Element")
_ANY_RESOURCE = frozenset({"Resource", "DomainResource"})


class Component(msgspec.Struct, frozen=True):
    """One part of a composite: the url of the parameter it follows, a path from the composite's value, and its type."""

    definition: str
    expression: str
    type: str


class SearchParameterDefinition(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A search parameter on one resource type (https://hl7.org/fhir/R5/searchparameter.html).

    `expression` holds only the branches for `base`; None for those that look at no element (`_text`, `_has`, ...).
    Empty `modifiers` and `comparators` mean that the specification does not restrict those of the parameter's type.
    `usage` is xpathUsage, since R5 processingMode: normal, phonetic, nearby, distance or other.
    """

    code: str
    url: str
    type: str
    expression: str | None
    base: str
    description: str = ""
    targets: tuple[str, ...] = ()
    modifiers: tuple[str, ...] = ()
    comparators: tuple[str, ...] = ()
    multiple_or: bool = True
    multiple_and: bool = True
    components: tuple[Component, ...] = ()
    usage: str = "normal"


class Context(msgspec.Struct, frozen=True, array_like=True):
    """Where an extension may stand: `type` is element, fhirpath or extension
    (https://hl7.org/fhir/R5/extensibility.html#context).
    """

    type: str
    expression: str


class ExtensionDefinition(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """An extension published with a release. It has either a value of one of `types`, or `extensions` of its own.

    `min` and `max` count the extension on its element; `value_min` is 1 when it is nothing without its value. In
    `extensions` the url of each is relative, as instances write it.
    """

    url: str
    contexts: tuple[Context, ...] = ()
    types: tuple[TypeRef, ...] = ()
    min: int = 0
    max: int | None = None
    value_min: int = 0
    is_modifier: bool = False
    binding: Binding | None = None
    extensions: tuple[ExtensionDefinition, ...] = ()


class CompartmentDefinition(msgspec.Struct, frozen=True, array_like=True):
    """A compartment: the codes of the parameters that lead into it, by resource type.
    https://hl7.org/fhir/R5/compartmentdefinition.html
    """

    url: str
    types: dict[str, tuple[str, ...]]


class _Index(msgspec.Struct, frozen=True, rename="camel"):
    """`types.json`: the names of all types by kind."""

    resources: tuple[str, ...]
    abstract_resources: tuple[str, ...]
    complex_types: tuple[str, ...]
    primitive_types: tuple[str, ...]


# Made here and not where they are used: msgspec makes ready what it knows of a Struct when the first decoder for it is
# made or used. A second thread that decodes meanwhile finds it half made, and the process ends by SIGSEGV.
_TYPE_TABLE = msgspec.json.Decoder(TypeTable)
_VALUE_SET = msgspec.json.Decoder(ValueSet)
_CODE_SYSTEM = msgspec.json.Decoder(CodeSystem)
_SEARCH_PARAMETERS = msgspec.json.Decoder(dict[str, SearchParameterDefinition])
_EXTENSION = msgspec.json.Decoder(ExtensionDefinition)
_COMPARTMENTS = msgspec.json.Decoder(dict[str, CompartmentDefinition])
_INDEX = msgspec.json.Decoder(_Index)
_PROFILE = msgspec.json.Decoder(dict[str, Any])
_NAMES = msgspec.json.Decoder(dict[str, str])


class Definitions:
    """The tables of one release. Get them by `definitions(version)`; only their compiler gives a folder of its own."""

    def __init__(self, version: FhirVersion, folder: Path | None = None) -> None:
        self.version = version
        self._folder = folder or _DATA / version.segment
        # Filled by whole values only: two threads may both read a file, and then store equal results.
        self._structures: dict[str, Structure] = {}
        self._search: dict[str, Mapping[str, SearchParameterDefinition]] = {}
        self._value_sets = Lines(self._folder / "valuesets.json", _VALUE_SET)
        self._code_systems = Lines(self._folder / "codesystems.json", _CODE_SYSTEM)
        self._extensions = Lines(self._folder / "extensions.json", _EXTENSION)
        self._profiles = Lines(self._folder / "profiles.json", _PROFILE)
        self._words = Lines(self._folder / "words.json", _NAMES)

    def resource_types(self) -> tuple[str, ...]:
        """The concrete resource types, sorted."""
        return self._index.resources

    def complex_types(self) -> tuple[str, ...]:
        """The data types with elements of their own, abstract ones included, sorted."""
        return self._index.complex_types

    def primitive_types(self) -> tuple[str, ...]:
        """The data types that are one JSON value, sorted."""
        return self._index.primitive_types

    def is_resource_type(self, name: str) -> bool:
        """Whether `name` is a concrete resource type."""
        return name in self._resources

    def short(self, path: str) -> str:
        """What the specification calls an element, or a type, in a few words; empty where it has none.
        https://hl7.org/fhir/R5/elementdefinition-definitions.html#ElementDefinition.short
        """
        name, _, rest = path.partition(".")
        found = (self._words.get(name) or {}).get(rest)
        if found is not None or not rest:
            return found or ""
        # What is inherited is said where it comes from.
        outer, _, last = rest.rpartition(".")
        bases = _OF_RESOURCES if not outer and self.is_resource_type(name) else _OF_ELEMENTS
        shorts = ((self._words.get(base) or {}).get(last) for base in bases)
        return next((one for one in shorts if one), "")

    def has_structure(self, name: str) -> bool:
        """Whether `structure(name)` would find something."""
        try:
            self.structure(name)
        except KeyError:
            return False
        return True

    def structure(self, name: str) -> Structure:
        """The shape of a type (`Quantity`) or a backbone (`Medication.ingredient`); KeyError when there is none."""
        found = self._structures.get(name)
        if found is None:
            type_name = name.partition(".")[0]
            if type_name not in self._types:
                raise KeyError(name)
            table = _TYPE_TABLE.decode((self._folder / "types" / f"{type_name}.json").read_bytes())
            self._structures.update(table.structures())
            found = self._structures[name]
        return found

    def structure_of(self, value: Mapping[str, Any], declared: str) -> str:
        """The shape of a value that stands where `declared` does. Where any resource may stand it says itself which one
        it is; elsewhere `resourceType` is an element like others, as in Consent.provision
        (https://hl7.org/fhir/R5/json.html#resources).
        """
        name = value.get("resourceType") if declared in _ANY_RESOURCE else None
        return name if isinstance(name, str) and self.is_resource_type(name) else declared

    def value_set(self, url: str) -> ValueSet | None:
        """The value set of that canonical url, a `|version` ignored; None when the tables have none."""
        return self._value_sets.get(url.partition("|")[0])

    def value_set_urls(self) -> tuple[str, ...]:
        """The urls of all value sets in the tables, sorted."""
        return self._value_sets.names()

    def code_system(self, url: str) -> CodeSystem | None:
        """The code system of that url, a `|version` ignored; None when this release publishes none."""
        return self._code_systems.get(url.partition("|")[0])

    def has_code_system(self, url: str) -> bool:
        """Whether the release publishes a code system of that url; cheaper than reading it."""
        return url in self._code_systems

    def code_system_urls(self) -> tuple[str, ...]:
        """The urls of all code systems in the tables, sorted."""
        return self._code_systems.names()

    def search_parameters(self, resource_type: str) -> Mapping[str, SearchParameterDefinition]:
        """The search parameters of a type by code, with those of Resource and DomainResource; KeyError for no type."""
        found = self._search.get(resource_type)
        if found is None:
            structure = self.structure(resource_type)
            own: dict[str, SearchParameterDefinition] = {}
            path = self._folder / "search" / f"{resource_type}.json"
            if path.is_file():
                own = _SEARCH_PARAMETERS.decode(path.read_bytes())
            if structure.base is not None and structure.base in self._types:
                own = {**self.search_parameters(structure.base), **own}
            found = MappingProxyType(own)
            self._search[resource_type] = found
        return found

    def extension(self, url: str) -> ExtensionDefinition | None:
        """The extension published under `url` for this release; None when there is none."""
        return self._extensions.get(url.partition("|")[0])

    def extension_urls(self) -> tuple[str, ...]:
        """The urls of all extensions published for this release, sorted."""
        return self._extensions.names()

    def profile(self, url: str) -> Mapping[str, Any] | None:
        """The profile on a resource published under `url` for this release: a StructureDefinition of which those
        elements are left that ask anything beyond the type. None when there is none.
        """
        return self._profiles.get(url)

    def profile_urls(self) -> tuple[str, ...]:
        """The urls of all profiles on resources published for this release, sorted."""
        return self._profiles.names()

    @cached_property
    def vital_signs(self) -> Mapping[str, str]:
        """By LOINC code the profile that an Observation of this vital sign conforms to
        (https://hl7.org/fhir/R5/observation-vitalsigns.html).
        """
        return MappingProxyType(_NAMES.decode((self._folder / "vital_signs.json").read_bytes()))

    def compartments(self) -> Mapping[str, CompartmentDefinition]:
        """The compartments by the type of the resource whose they are."""
        return self._compartments

    @cached_property
    def _compartments(self) -> Mapping[str, CompartmentDefinition]:
        path = self._folder / "compartments.json"
        return _COMPARTMENTS.decode(path.read_bytes())

    @cached_property
    def _index(self) -> _Index:
        return _INDEX.decode((self._folder / "types.json").read_bytes())

    @cached_property
    def _resources(self) -> frozenset[str]:
        return frozenset(self._index.resources)

    @cached_property
    def _types(self) -> frozenset[str]:
        index = self._index
        return self._resources.union(index.abstract_resources, index.complex_types, index.primitive_types)


@cache
def definitions(version: FhirVersion) -> Definitions:
    """The tables of `version`, shared by the whole process."""
    return Definitions(version)
