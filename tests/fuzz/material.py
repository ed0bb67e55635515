"""What requests are made of: official examples and resources made from the definitions, by release and type."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import parse
from apothecary.fhir.releases import FhirVersion
from apothecary.search.parameter import SearchParameter
from apothecary.search.parameters import Registry
from tests.fuzz.dice import Dice
from tests.versions.corpus import content, vendored
from tests.versions.generate import pruned, resources

JSON = dict[str, Any]
# What takes longest to make, and is refused for its size anyway.
_LARGEST = 60_000
# What a server acts upon when it is stored.
ACTING = (
    "SearchParameter",
    "StructureDefinition",
    "CodeSystem",
    "ValueSet",
    "ConceptMap",
    "OperationDefinition",
    "CompartmentDefinition",
    "NamingSystem",
    "Binary",
    "List",
    "Group",
    "Bundle",
    "Parameters",
)
FAVOURITES = ("Medication", "MedicationKnowledge", "Organization", "ClinicalUseDefinition", "Substance", "Observation")


class Material:
    """The examples of each release by type. `examples` are texts of resources with their releases."""

    def __init__(self, examples: Sequence[tuple[FhirVersion, bytes]]) -> None:
        self._examples: dict[tuple[FhirVersion, str], list[bytes]] = {}
        self.types: Mapping[FhirVersion, tuple[str, ...]] = {one: types_of(one) for one in FhirVersion}
        for version, text in examples:
            self.add(version, text)

    def add(self, version: FhirVersion, text: bytes) -> None:
        """One more example, unless it is a large one."""
        if len(text) <= _LARGEST:
            kind = json.loads(text).get("resourceType", "")
            self._examples.setdefault((version, kind), []).append(text)

    def kind(self, dice: Dice, version: FhirVersion) -> str:
        """A resource type, those that the server acts upon more often than others."""
        group = dice.choice((ACTING, FAVOURITES, FAVOURITES, self.types[version]))
        found = dice.choice(group)
        return found if found in self.types[version] else dice.choice(self.types[version])

    def resource(self, dice: Dice, version: FhirVersion, kind: str) -> JSON:
        """A resource of a type: an example, or one made from the definitions with some of its elements."""
        known = self._examples.get((version, kind))
        if known and dice.chance(0.6):
            return dict(parse(dice.choice(known)))
        whole = made(version, kind)[dice.randrange(_VARIANTS)]
        share = dice.choice((0.05, 0.3, 0.8))
        return pruned(version, whole, lambda: dice.chance(share))


_VARIANTS = 4


@cache
def made(version: FhirVersion, kind: str) -> tuple[JSON, ...]:
    """Resources that fill every element of a type."""
    return tuple(resources(version, kind, _VARIANTS))


@cache
def types_of(version: FhirVersion) -> tuple[str, ...]:
    """Every resource type of a release."""
    return tuple(sorted(definitions(version).resource_types()))


@cache
def _registry(version: FhirVersion) -> Registry:
    return Registry(version, types_of(version))


def parameters(version: FhirVersion, kind: str) -> Mapping[str, SearchParameter]:
    """The search parameters of a type; none where the release has no such type."""
    return _registry(version).parameters(kind) if kind in types_of(version) else {}


@cache
def committed() -> Material:
    """What the repository itself holds."""
    files = [*((FhirVersion.R5, file) for file in content()), *vendored()]
    return Material([(version, file.read_bytes()) for version, file in files])
