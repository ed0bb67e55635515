"""The profiles at hand, with their value sets, each found by its canonical url
(https://hl7.org/fhir/R5/profiling.html#resources).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from functools import partial
from typing import Any

from apothecary.errors import StartError
from apothecary.fhir.caches import Weighed
from apothecary.fhir.definitions import Context, Definitions, definitions
from apothecary.fhir.references import split_canonical
from apothecary.fhir.releases import FhirVersion, parse_version
from apothecary.terminology.versions import matches
from apothecary.validation.diagnostics import shown
from apothecary.validation.profiles.bindings import contexts
from apothecary.validation.profiles.canonicals import Canonicals
from apothecary.validation.profiles.compile import CORE, compile_rules
from apothecary.validation.profiles.model import Profile, weight
from apothecary.validation.profiles.tree import Branch, Taken, extensions, overlay
from apothecary.validation.profiles.valuesets import AllCodeSets, CodeSet, CodeSets, HeldSystem

# How many profiles one may be based on, each on the next; published ones have four or five.
_MOST_BASES = 60
# https://hl7.org/fhir/extensions/StructureDefinition-structuredefinition-imposeProfile.html
IMPOSES = CORE + "structuredefinition-imposeProfile"
_KINDS = frozenset({"StructureDefinition", "ValueSet", "CodeSystem"})
# The releases before R4 and after R5 have other elements; what led to those two is taken for either of them.
_FOREIGN = re.compile(r"(?![45]\.)[0-9]+\.[0-9]")
# What is kept of a profile that cannot be used, in bytes: an error with its traceback.
_REFUSAL = 5_000
# How much of memory compiled profiles may take, in bytes. A guide of a hundred profiles needs some ten megabytes.
KEPT = 64 * 1024 * 1024


class Profiles:
    """StructureDefinitions, ValueSets and CodeSystems by canonical url, before those of the specification; other
    resources are passed over.

    `asked` are profiles that every resource of their type is checked against, whatever it claims. Raises StartError
    when one of them is not among the resources or cannot be used. `needed` are further resources that those depend on,
    which are not listed.
    """

    def __init__(
        self,
        resources: Iterable[Mapping[str, Any]],
        asked: Iterable[str] = (),
        needed: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        self._found: dict[str, Canonicals] = {kind: Canonicals() for kind in _KINDS}
        self._given = tuple(each for each in resources if self._add(each))
        for resource in needed:
            self._add(resource)
        self._compiled: Weighed[tuple[str, FhirVersion], Profile | StartError] = Weighed(KEPT)
        self._code_sets = AllCodeSets(self._found["CodeSystem"], self._found["ValueSet"])
        self.asked = tuple(asked)
        for url in self.asked:
            self._require(url)

    def _add(self, resource: Mapping[str, Any]) -> bool:
        kind = resource.get("resourceType")
        if not isinstance(kind, str) or kind not in _KINDS:
            return False
        self._found[kind].add(resource)
        return True

    def _require(self, url: str) -> None:
        """A profile that claims no release must be of use in one of them."""
        version = self._version(url)
        releases = [*reversed(FhirVersion)] if version is None else [version]
        if not any(self.usable(url, release) for release in releases):
            self.profile(url, releases[0])

    def find(self, kind: str, canonical: str) -> Mapping[str, Any] | None:
        """The resource of that kind and canonical url, the newest that fits where several versions were given."""
        found = self._found[kind].find(canonical)
        if found is not None and kind == "StructureDefinition" and found.get("derivation") != "constraint":
            return None  # The definition of a type: the tables have those of the specification.
        return found

    def _definition(self, canonical: str, version: FhirVersion) -> Mapping[str, Any] | None:
        """The profile of that canonical url: one that was given, or else that of the specification."""
        found = self.find("StructureDefinition", canonical)
        if found is None:
            url, asked = split_canonical(canonical)
            if matches(asked, version.number):
                found = definitions(version).profile(url)
        return found

    def definitions(self) -> Iterator[Mapping[str, Any]]:
        """The profiles that were given."""
        given = set(map(id, self._given))
        for found in self._found["StructureDefinition"]:
            if id(found) in given and found.get("derivation") == "constraint":
                yield found

    def profile(self, canonical: str, version: FhirVersion) -> Profile:
        """The profile ready to check. Raises StartError when it, or what it is based on, is not at hand or broken."""
        known = self._compiled.get((canonical, version))
        if known is None:
            try:
                known = self._compile(canonical, version)
            except StartError as error:
                known = error
            # An expression can make up canonicals without end.
            held = weight(known.root) if isinstance(known, Profile) else _REFUSAL
            self._compiled.put((canonical, version), known, held + len(canonical))
        if isinstance(known, StartError):
            raise known
        return known

    def asking(self, urls: Iterable[str]) -> Profiles:
        """The same profiles, compiled once for all, with others that every resource is checked against. Raises
        StartError as the constructor does.
        """
        found = copy(self)
        found.asked = tuple(urls)
        for url in found.asked:
            found._require(url)
        return found

    def usable(self, canonical: str, version: FhirVersion) -> Profile | None:
        """The profile, or None where `profile` would raise."""
        try:
            return self.profile(canonical, version)
        except StartError:
            return None

    def _compile(self, canonical: str, version: FhirVersion) -> Profile:
        resource = self._definition(canonical, version)
        if resource is None:
            raise StartError(f"the profile {canonical} is not at hand{self._others(canonical)}")
        name = str(resource.get("name") or canonical)
        meant = self._version(canonical)
        if meant is not None and meant is not version:
            raise StartError(f"the profile {name} is for FHIR {meant}, not {version}")
        claimed = resource.get("fhirVersion")
        if meant is None and isinstance(claimed, str) and _FOREIGN.match(claimed):
            raise StartError(f"the profile {name} is for FHIR {claimed}, not {version}")
        type_name = resource.get("type")
        tables = definitions(version)
        if not isinstance(type_name, str) or not tables.has_structure(type_name):
            raise StartError(f"the profile {name} is for {shown(type_name)}, which is no type of FHIR {version}")
        tree = self.tree(canonical, version)
        root = compile_rules(tree, tables.structure(type_name), tables, name)
        named = resource.get("version")
        full = f"{resource['url']}|{named}" if isinstance(named, str) else str(resource["url"])
        imposed = tuple(dict.fromkeys(self._imposed(resource, version)))
        modifier = tree.definition.get("isModifier") is True
        return Profile(full, name, type_name, version, root, contexts(resource.get("useContext")), imposed, modifier)

    def _imposed(self, resource: Mapping[str, Any], version: FhirVersion) -> Iterator[str]:
        """The profiles that a profile imposes, and those that the ones it is based on do: what conforms to it, conforms
        to them as well.
        """
        above: Mapping[str, Any] | None = resource
        for _ in range(_MOST_BASES):
            if above is None:
                return
            yield from (url for url in extensions(above, IMPOSES) if isinstance(url, str))
            base = above.get("baseDefinition")
            above = self._definition(base, version) if isinstance(base, str) else None

    def _others(self, canonical: str) -> str:
        """The versions that are there where the one that was named is not."""
        known = self._found["StructureDefinition"].versions(canonical)
        return f" (only {', '.join(known[:3])})" if known else ""

    def tree(self, canonical: str, version: FhirVersion) -> Branch:
        """All elements of a profile with what it says of them; raises StartError as `profile` does."""
        return self._tree(canonical, version, (), Taken())

    def _tree(self, canonical: str, version: FhirVersion, above: tuple[str, ...], taken: Taken) -> Branch:
        resource = self._definition(canonical, version)
        if resource is None:
            chain = f", the base of {above[-1]}," if above else ""
            others = self._others(canonical) or ": give it, or the package that holds it"
            raise StartError(f"the profile {canonical}{chain} is not at hand{others}")
        if canonical in above:
            raise StartError(f"the profile {canonical} is based on itself")
        if len(above) >= _MOST_BASES:
            raise StartError(f"the profile {above[0]} is based on more than {_MOST_BASES} others")
        type_name = str(resource.get("type"))
        snapshot, differential = _elements(resource, "snapshot"), _elements(resource, "differential")
        if snapshot:
            return overlay(Branch(type_name, type_name), snapshot)
        base = resource.get("baseDefinition")
        if not isinstance(base, str) or not differential:
            missing = "neither a snapshot nor a differential" if not differential else "no baseDefinition"
            raise StartError(f"the profile {canonical} has {missing}")
        if self._definition(base, version) is None and is_core(base, definitions(version)):
            root = Branch(type_name, type_name)
        else:
            root = self._tree(base, version, (*above, canonical), taken).copy()

        def tree(url: str) -> Branch | None:
            if url in above or url == canonical:
                return None
            try:
                return self._tree(url, version, (*above, canonical), taken)
            except StartError:
                if taken.spent:
                    raise
                return None  # Who uses the type's profile is told.

        return overlay(root, differential, partial(taken.slice, tree))

    def _version(self, canonical: str) -> FhirVersion | None:
        resource = self.find("StructureDefinition", canonical)
        claimed = resource.get("fhirVersion") if resource is not None else None
        if not isinstance(claimed, str):
            return None
        # All of 4.0.x are one release (https://hl7.org/fhir/R5/versions.html#semver).
        return parse_version(claimed) or parse_version(".".join(claimed.split(".")[:2]))

    def version_of(self, resource: Any) -> FhirVersion | None:
        """The FHIR release of the first profile that a resource claims, or else was asked for its type."""
        if not isinstance(resource, dict):
            return None
        for _, url in claims(resource):
            if version := self._version(url):
                return version
        for url in self.asked:
            found = self.find("StructureDefinition", url)
            if found is not None and found.get("type") == resource.get("resourceType"):
                return self._version(url)
        return None

    def type_of(self, canonical: str, tables: Definitions) -> str | None:
        """The type that a profile or a definition of the specification is for; None when it is not at hand."""
        resource = self._definition(canonical, tables.version)
        if resource is not None:
            return str(resource.get("type"))
        return split_canonical(canonical)[0].removeprefix(CORE) if is_core(canonical, tables) else None

    def types_of(self, canonical: str) -> frozenset[str]:
        """The types that a profile is for, in any release."""
        found = (self._definition(canonical, version) for version in FhirVersion)
        return frozenset(str(resource.get("type")) for resource in found if resource is not None)

    def value_set(self, canonical: str, version: FhirVersion) -> CodeSet:
        """The codes of a value set, of the packages or else of the specification, in the version that is named."""
        return self.code_sets(version).find(canonical)

    def code_systems(self, url: str, version: FhirVersion) -> tuple[HeldSystem, ...]:
        """The code systems of that url among the resources, whose codes are known."""
        return self.code_sets(version).systems(url) if self._found["CodeSystem"].all(url) else ()

    def code_sets(self, version: FhirVersion) -> CodeSets:
        """The value sets and code systems at hand, as a release sees them."""
        return self._code_sets.of(version)

    def contexts(self, url: str) -> tuple[Context, ...]:
        """Where the definition of an extension allows it; empty when it is not at hand or says nothing."""
        resource = self.find("StructureDefinition", url)
        listed = resource.get("context") if resource is not None else None
        return tuple(
            Context(item["type"], item["expression"])
            for item in (listed if isinstance(listed, list) else ())
            if isinstance(item, dict) and isinstance(item.get("type"), str) and isinstance(item.get("expression"), str)
        )

    def context_invariants(self, url: str) -> tuple[str, ...]:
        """What the definition of an extension asks of the element that has it, as FHIRPath."""
        resource = self.find("StructureDefinition", url)
        listed = resource.get("contextInvariant") if resource is not None else None
        return tuple(one for one in (listed if isinstance(listed, list) else ()) if isinstance(one, str))


def is_core(canonical: str, tables: Definitions) -> bool:
    """Whether a canonical is that of a type of the specification, in the release of `tables` where it has a version."""
    url, asked = split_canonical(canonical)
    name = url.removeprefix(CORE)
    return name != url and matches(asked, tables.version.number) and tables.has_structure(name)


def claims(resource: Mapping[str, Any]) -> list[tuple[int, str]]:
    """The profiles in `meta.profile`, with their indexes."""
    meta = resource.get("meta")
    claimed = meta.get("profile") if isinstance(meta, dict) else None
    return [item for item in enumerate(claimed if isinstance(claimed, list) else ()) if isinstance(item[1], str)]


def _elements(resource: Mapping[str, Any], view: str) -> list[Any]:
    part = resource.get(view)
    elements = part.get("element") if isinstance(part, dict) else None
    return elements if isinstance(elements, list) else []
