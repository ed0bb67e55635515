"""The profiles that this server holds, for what claims one: https://hl7.org/fhir/R5/profiling.html#resources"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apothecary.fhir.json import JSON, parse
from apothecary.interactions.service import Service
from apothecary.validation.profiles import Profiles

_KINDS = ("StructureDefinition", "ValueSet", "CodeSystem")
_HELD = ("profiles",)
_NONE = Profiles(())


def definitions_held(service: Service) -> Iterator[JSON]:
    """Every definition that profiles may need, in the release it was written in."""
    for kind in _KINDS:
        for stored in service.reader.all_of_type(kind):
            if stored.body is not None:
                yield parse(stored.body)


def profiles_held(service: Service) -> Profiles:
    """All profiles; read and compiled once, until a definition changes."""
    count = service.reader.history_of_total
    if not count("StructureDefinition"):
        return _NONE
    # Every write adds a version and none is ever taken away: where the counts are the same, all is the same.
    generation = tuple(count(one) for one in _KINDS)
    known = service.profiles.of(generation)
    found: Profiles | None = known.get(_HELD)
    if found is None:
        found = known[_HELD] = Profiles(definitions_held(service))
    return found


def profiles_for(service: Service, resource: Any) -> Profiles | None:
    """What `resource` is to be checked against; None for one that claims no profile and has no extension, which costs
    nothing.
    """
    return profiles_held(service) if _concerned(resource) else None


def _concerned(node: Any) -> bool:
    if isinstance(node, list):
        return any(_concerned(item) for item in node if isinstance(item, dict | list))
    if not isinstance(node, dict):
        return False
    meta = node.get("meta")
    if "extension" in node or "modifierExtension" in node or (isinstance(meta, dict) and "profile" in meta):
        return True
    return any(_concerned(value) for value in node.values() if isinstance(value, dict | list))
