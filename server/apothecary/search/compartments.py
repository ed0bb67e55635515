"""What belongs to a patient, an encounter and the like: https://hl7.org/fhir/R5/compartmentdefinition.html and
https://hl7.org/fhir/R5/search.html#searchcontexts

Which parameters lead from a resource to its compartment is what the release's CompartmentDefinitions say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from apothecary.errors import NotFound
from apothecary.fhir.definitions import CompartmentDefinition, definitions
from apothecary.search.criteria import Criteria
from apothecary.search.parameters import Registry
from apothecary.search.predicates import Compare, Predicate, Resource, any_of

ALL = "*"


class Compartment(NamedTuple):
    """The compartment of one resource."""

    type: str
    id: str


def served(registry: Registry) -> dict[str, CompartmentDefinition]:
    """The compartments of the release whose own type is served, by that type."""
    known = definitions(registry.version).compartments()
    return {name: one for name, one in known.items() if registry.serves(name)}


def types_in(registry: Registry, compartment: Compartment, resource_type: str) -> tuple[str, ...]:
    """The types to search: the one that is asked for, or with `*` all that the compartment may hold. Raises NotFound
    for what is no compartment, and for a type that is in none of its kind.
    """
    known = served(registry)
    definition = known.get(compartment.type)
    if definition is None:
        named = ", ".join(known) or "none of the served types"
        raise NotFound(
            f"{compartment.type} has no compartment; those that have are: {named}",
            code="not-supported",
            remedy=_instead(registry, compartment, resource_type),
        )
    inside = tuple(
        one
        for one in registry.types
        if one == compartment.type or _references(registry, one, definition.types.get(one, ()), compartment.type)
    )
    if resource_type == ALL:
        return inside
    if resource_type not in inside:
        raise NotFound(
            f"a {resource_type} is in no compartment of a {compartment.type}",
            code="not-supported",
            remedy=_instead(registry, compartment, resource_type),
        )
    return (resource_type,)


def predicate(criteria: Criteria, compartment: Compartment, resource_type: str) -> Predicate:
    """Whether a resource of `resource_type` is in the compartment: by any of the parameters, or because it is the
    resource whose compartment this is.
    """
    registry, (kind, identity) = criteria.registry, compartment
    codes = served(registry)[kind].types.get(resource_type, ())
    found = [
        criteria.of(registry.parameters(resource_type)[code], None, f"{kind}/{identity}")
        for code in _references(registry, resource_type, codes, kind)
    ]
    if resource_type == kind:
        found.append(Resource(Compare("id", "=", identity)))
    return any_of(found)


def _references(registry: Registry, resource_type: str, codes: Sequence[str], kind: str) -> list[str]:
    """Those of the parameters that may point to a resource of `kind`. (`{def}` is none: the resource itself.)"""
    known = registry.parameters(resource_type)
    return [
        code
        for code in codes
        if code in known
        and known[code].type == "reference"
        and (not known[code].targets or kind in known[code].targets or "Resource" in known[code].targets)
    ]


def _instead(registry: Registry, compartment: Compartment, resource_type: str) -> str | None:
    """The plain search that finds what points to the resource."""
    if resource_type == ALL:
        return None
    codes = _references(registry, resource_type, sorted(registry.parameters(resource_type)), compartment.type)
    ways = [f"{resource_type}?{code}={compartment.type}/{compartment.id}" for code in codes]
    return f"Search for {' or '.join(ways)}." if ways else None
