"""Bound value sets to `valuesets.json`, code systems to `codesystems.json` (https://hl7.org/fhir/R5/terminologies.html)."""

from __future__ import annotations

from collections.abc import Iterator

from apothecary.fhir.terminology import CodeSystem, ValueSet
from scripts.definitions.code_systems import code_system
from scripts.definitions.packages import Resource, Source

MOST_CODES = 2000


class _NotEnumerable(Exception):
    """Why the codes of a value set cannot be listed."""


class ValueSetCompiler:
    """Lists the codes of value sets from their published expansion, else from their definition."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def value_set(self, url: str) -> ValueSet:
        """The value set of that url; incomplete, with a reason, when its codes cannot all be listed."""
        definition = self._source.value_sets.get(url) or self._source.expansions.get(url)
        if definition is None:
            return ValueSet(url, {}, (), complete=False, reason="not published with the specification")
        named = self._systems(definition)
        expansion = self._source.expansions.get(url, {}).get("expansion", {})
        concepts, reason = self._listed(expansion), None
        if not concepts:
            try:
                concepts = self._composed(definition, {url})
            except _NotEnumerable as error:
                concepts, reason = {}, str(error)
        elif _is_partial(expansion):
            concepts, reason = {}, "the published expansion is only a part"
        count = sum(map(len, concepts.values()))
        if count > MOST_CODES:
            concepts, reason = {}, f"more than {MOST_CODES} codes"
        elif not count and reason is None:
            reason = "no code system lists its codes"
        systems = tuple(sorted(named | set(concepts)))
        return ValueSet(url, concepts, systems, complete=reason is None, reason=reason)

    def code_systems(self) -> dict[str, CodeSystem]:
        """The published code systems by url; supplements, which are none of their own, are left out."""
        read = {url: code_system(resource) for url, resource in self._source.code_systems.items()}
        return {url: found for url, found in read.items() if found.content != "supplement"}

    def _systems(self, definition: Resource) -> set[str]:
        """The systems that a definition and those it includes name; it may include itself."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting = [definition]
        while waiting:
            for include in waiting.pop().get("compose", {}).get("include", []):
                if "system" in include:
                    found.add(include["system"])
                new = {canonical.partition("|")[0] for canonical in include.get("valueSet", [])} - seen
                seen |= new
                waiting.extend(self._source.value_sets.get(url, {}) for url in new)
        return found

    def _listed(self, expansion: Resource) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for concept in _contained(expansion):
            # An abstract entry is there to navigate by and SHALL NOT be used as a code.
            if "code" in concept and not concept.get("abstract", False):
                found.setdefault(concept.get("system", ""), {})[concept["code"]] = concept.get("display", "")
        return found

    def _composed(self, definition: Resource, above: set[str]) -> dict[str, dict[str, str]]:
        compose = definition.get("compose", {})
        found: dict[str, dict[str, str]] = {}
        for include in compose.get("include", []):
            for system, concepts in self._included(include, above).items():
                found.setdefault(system, {}).update(concepts)
        for exclude in compose.get("exclude", []):
            for system, concepts in self._included(exclude, above).items():
                for code in concepts:
                    found.get(system, {}).pop(code, None)
        return found

    def _included(self, include: Resource, above: set[str]) -> dict[str, dict[str, str]]:
        if "filter" in include:
            raise _NotEnumerable(f"a filter on {include['system']}")
        if "valueSet" in include:
            return self._included_sets(include, above)
        system = include["system"]
        published = self._source.code_systems.get(system)
        known = dict(_codes(published.get("concept", []))) if published else {}
        if "concept" in include:
            listed = include["concept"]
            return {system: {item["code"]: item.get("display") or known.get(item["code"], "") for item in listed}}
        if published is None or published.get("content") != "complete" or not known:
            raise _NotEnumerable(f"all of {system}, which the specification does not list")
        return {system: known}

    def _included_sets(self, include: Resource, above: set[str]) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        for canonical in include["valueSet"]:
            url = canonical.partition("|")[0]
            if url in above:
                raise _NotEnumerable("includes itself")
            definition = self._source.value_sets.get(url)
            if definition is None:
                raise _NotEnumerable(f"includes {url}, which is not published with the specification")
            for system, concepts in self._composed(definition, above | {url}).items():
                if "system" not in include or system == include["system"]:
                    found.setdefault(system, {}).update(concepts)
        return found


def _contained(parent: Resource) -> Iterator[Resource]:
    for concept in parent.get("contains", []):
        yield concept
        yield from _contained(concept)


def _is_partial(expansion: Resource) -> bool:
    """Whether an expansion leaves codes out, by its own word or its own count."""
    if any(parameter["name"] == "fragment" for parameter in expansion.get("parameter", [])):
        return True
    if any(item["url"].endswith(("-unclosed", "-toocostly")) for item in expansion.get("extension", [])):
        return True
    return bool(expansion.get("total", 0) > sum(1 for _ in _contained(expansion)))


def _codes(concepts: list[Resource]) -> Iterator[tuple[str, str]]:
    for concept in concepts:
        if not any(
            item["code"] == "notSelectable" and item.get("valueBoolean") for item in concept.get("property", [])
        ):
            yield concept["code"], concept.get("display", "")
        yield from _codes(concept.get("concept", []))
