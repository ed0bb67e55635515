"""All rules by id: the validator's own, the medication rules, and the invariants of the specification.

https://hl7.org/fhir/R5/conformance-rules.html#constraints
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType

from apothecary.fhir.definitions import Definitions, definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Invariant, Structure
from apothecary.validation.rules import GROUPS, Rule

RULES: Mapping[str, Rule] = MappingProxyType({rule.id: rule for group in GROUPS.values() for rule in group})


def find_rule(rule_id: str, version: FhirVersion = FhirVersion.R5) -> Rule | None:
    """The rule of that id, an invariant's key included; None when there is no such rule in `version`."""
    found = RULES.get(rule_id)
    if found is not None:
        return found
    # Most are found long before every table of the release is read.
    invariant = next((one for one in _each_invariant(version) if one.key == rule_id), None)
    return None if invariant is None else invariant_rule(invariant)


def invariant_rule(invariant: Invariant) -> Rule:
    """An invariant told as a rule."""
    return Rule(
        id=invariant.key,
        severity=invariant.severity,
        code="invariant",
        what=invariant.human,
        why="It is an invariant of the specification, written in FHIRPath.",
        example=invariant.expression,
        remedy="Change the element so that the invariant holds.",
    )


@cache
def invariants(version: FhirVersion) -> Mapping[str, Invariant]:
    """Every invariant of the release by key; a key that several types share is described by the first."""
    found: dict[str, Invariant] = {}
    for invariant in _each_invariant(version):
        found.setdefault(invariant.key, invariant)
    return MappingProxyType(dict(sorted(found.items())))


def _each_invariant(version: FhirVersion) -> Iterator[Invariant]:
    """The invariants of every structure and its elements; many keys come up often."""
    for structure in structures(definitions(version)):
        yield from structure.invariants
        for element in structure.elements:
            yield from element.invariants


def structures(tables: Definitions) -> Iterator[Structure]:
    """Every structure of the release: types, and the backbones inside them."""
    for name in (*tables.resource_types(), *tables.complex_types(), *tables.primitive_types()):
        waiting, seen = [name], {name}
        while waiting:
            structure = tables.structure(waiting.pop())
            yield structure
            for item in structure.properties.values():
                if item.structure.startswith(f"{name}.") and item.structure not in seen:
                    seen.add(item.structure)
                    waiting.append(item.structure)
