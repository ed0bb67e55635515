"""HL7 Terminology (https://terminology.hl7.org) to `terminology/`: code systems, value sets, names of systems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from apothecary.fhir.hl7_terminology import NamedSystem
from apothecary.fhir.terminology import CodeSystem, Name
from scripts.definitions.code_systems import code_system
from scripts.definitions.packages import TERMINOLOGY, Resource, obtain, resources
from scripts.definitions.valuesets import MOST_CODES

# What answers depend on. What else THO keeps of a concept is the history of its making, or for modellers of version 3.
_KEPT = frozenset({"notSelectable", "inactive", "synonym", "deprecationDate", "retirementDate", "comment"})
_FALSE = {"notSelectable": ("false",), "inactive": ("false",)}
# Version 2 writes N for active (https://terminology.hl7.org/CodeSystem-v2-tables.html). Few concepts are anything else.
_ACTIVE = frozenset({"active", "A", "N"})


@dataclass(frozen=True)
class Published:
    """The resources of the package, by url or id."""

    code_systems: dict[str, Resource]
    value_sets: dict[str, Resource]
    naming_systems: dict[str, Resource]


def read(cache: Path) -> Published:
    """The package as it is pinned."""
    found: dict[str, dict[str, Resource]] = {"CodeSystem": {}, "ValueSet": {}, "NamingSystem": {}}
    for resource in resources(obtain(TERMINOLOGY, cache), *found):
        found[resource["resourceType"]][resource.get("url", resource["id"])] = resource
    return Published(found["CodeSystem"], found["ValueSet"], found["NamingSystem"])


def code_systems(published: Published) -> dict[str, CodeSystem]:
    """All code systems by url."""
    filtered = {
        (include.get("system"), one["property"])
        for resource in published.value_sets.values()
        for include in _parts(resource)
        for one in include.get("filter", ())
    }
    return {
        url: _code_system(resource, {name for system, name in filtered if system == url})
        for url, resource in published.code_systems.items()
    }


def _code_system(resource: Resource, filtered: set[str]) -> CodeSystem:
    found = code_system(resource)
    properties: dict[str, Mapping[str, tuple[str, ...]]] = {}
    for name, values in found.properties.items():
        kept = values
        if name == "status" and name not in filtered:
            kept = {code: said for code, said in values.items() if not _ACTIVE.issuperset(said)}
        elif name not in _KEPT | filtered:
            continue
        kept = {code: said for code, said in kept.items() if said != _FALSE.get(name)}
        if kept:
            properties[name] = kept
    names = {code: tuple(_names(concept)) for code, concept in _concepts(resource)}
    return msgspec.structs.replace(
        found,
        properties=properties,
        active=resource.get("status") == "active",
        names={code: said for code, said in names.items() if said},
        value_set=resource.get("valueSet"),
    )


def _concepts(parent: Resource) -> Iterator[tuple[str, Resource]]:
    for concept in parent.get("concept", ()):
        yield concept["code"], concept
        yield from _concepts(concept)


def _names(concept: Resource) -> Iterator[Name]:
    for one in concept.get("designation", ()):
        if one["value"] != concept.get("display"):
            yield Name(one["value"], one.get("language", ""), one.get("use", {}).get("code"))


def value_sets(published: Published) -> dict[str, Resource]:
    """The value sets by url, with what says which codes are in them; without those that list too many of another
    publisher's codes.
    """
    found = {url: _value_set(resource, published.code_systems) for url, resource in published.value_sets.items()}
    return {url: one for url, one in found.items() if _listed(one) <= MOST_CODES}


def _value_set(resource: Resource, systems: Mapping[str, Resource]) -> Resource:
    kept = {name: resource[name] for name in ("resourceType", "url", "version", "name", "status") if name in resource}
    compose = resource.get("compose", {})
    parts = {
        name: [_part(one, systems.get(one.get("system", ""))) for one in compose[name]]
        for name in ("include", "exclude")
        if name in compose
    }
    if "inactive" in compose:
        parts["inactive"] = compose["inactive"]
    return kept | {"compose": parts}


def _part(part: Resource, system: Resource | None) -> Resource:
    kept = {name: part[name] for name in ("system", "version", "valueSet", "filter") if name in part}
    # Most value sets of version 2 name a version of their table that the package itself has left behind, and that is
    # published nowhere else any more. They mean the table as it is.
    if system is not None and kept.get("version") != system["version"]:
        kept.pop("version", None)
    displays = {} if system is None else {code: one.get("display") for code, one in _concepts(system)}
    if "concept" in part:
        kept["concept"] = [
            {
                name: concept[name]
                for name in ("code", "display")
                if name in concept and (name == "code" or concept[name] != displays.get(concept["code"]))
            }
            for concept in part["concept"]
        ]
    return kept


def _parts(resource: Resource) -> Iterable[Resource]:
    compose = resource.get("compose", {})
    return (*compose.get("include", ()), *compose.get("exclude", ()))


def _listed(resource: Resource) -> int:
    return sum(len(part.get("concept", ())) for part in _parts(resource))


def named_systems(published: Published) -> dict[str, NamedSystem]:
    """What code systems are called, by the URI that FHIR wants."""
    others: dict[str, dict[str, None]] = {}
    names: dict[str, dict[str, None]] = {}
    for url, resource in published.code_systems.items():
        said = (one.get("value", "") for one in resource.get("identifier", ()))
        others[url] = dict.fromkeys(one for one in said if one.startswith("urn:oid:"))
        names[url] = dict.fromkeys((resource["name"], resource.get("title", "")))
    for resource in published.naming_systems.values():
        if resource["kind"] != "codesystem":
            continue
        uris = [one for one in resource["uniqueId"] if one["type"] == "uri"]
        # Of several the preferred one; of several of those the first.
        uris.sort(key=lambda one: not one.get("preferred", False))
        if uris:
            url = uris[0]["value"]
            oids = [f"urn:oid:{one['value']}" for one in resource["uniqueId"] if one["type"] == "oid"]
            others.setdefault(url, {}).update(dict.fromkeys((*(one["value"] for one in uris[1:]), *oids)))
            names.setdefault(url, {}).update(dict.fromkeys((resource["name"], resource.get("title", ""))))
    # What is the right URI of one system is no other name of another.
    return {
        url: NamedSystem(
            tuple(sorted(one for one in said if one not in others)), tuple(sorted(filter(None, names[url])))
        )
        for url, said in others.items()
    }
