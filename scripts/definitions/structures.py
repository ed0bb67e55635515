"""StructureDefinitions to `types/<Type>.json` and `types.json` (https://hl7.org/fhir/R5/structuredefinition.html)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from apothecary.fhir.definitions import Binding, Element, Invariant, TypeRef
from apothecary.fhir.structures import BACKBONES, Kind, TypeTable
from scripts.definitions.ledger import Repairs
from scripts.definitions.packages import Resource, Source

_PROFILE = "http://hl7.org/fhir/StructureDefinition/"
_FHIR_TYPE = _PROFILE + "structuredefinition-fhir-type"
_REGEX = _PROFILE + "regex"
_MAXIMUM = _PROFILE + "elementdefinition-maxValueSet"
# `name.matches(...)` alone, or `fullUrl.contains(...).not()`: it is empty, which is no success, where there is no name.
_UNGUARDED = re.compile(r"(\w+)\.(?:matches|contains)\('[^']*'\)(?:\.not\(\))?")
_REFERRING = frozenset({"Reference", "canonical", "CodeableReference"})


def core_types(source: Source) -> dict[str, Resource]:
    """The resource and data types of the release by name: no profiles, no logical models."""
    return {
        definition["name"]: definition
        for definition in source.structures.values()
        if definition["kind"] != "logical" and definition.get("derivation") != "constraint"
    }


def index(types: dict[str, Resource]) -> dict[str, list[str]]:
    """The names by kind: `types.json`."""

    def names(kind: str, *abstract: bool) -> list[str]:
        return sorted(name for name, found in types.items() if found["kind"] == kind and found["abstract"] in abstract)

    return {
        "resources": names("resource", False),
        "abstractResources": names("resource", True),
        "complexTypes": names("complex-type", False, True),
        "primitiveTypes": names("primitive-type", False),
    }


def words(types: dict[str, Resource]) -> dict[str, dict[str, str]]:
    """What each element is, in the short words of its definition, by type and by path within it; the type itself under
    the empty path (https://hl7.org/fhir/R5/elementdefinition-definitions.html#ElementDefinition.short). What an element
    is inherited with is not repeated.
    """
    shorts = {
        element["path"]: " ".join(element["short"].split())
        for definition in types.values()
        for element in definition["snapshot"]["element"]
        if "short" in element
    }
    found: dict[str, dict[str, str]] = {}
    for name, definition in types.items():
        for element in definition["snapshot"]["element"]:
            path = element["path"]
            base = (element.get("base") or {}).get("path", path)
            if path in shorts and (base == path or shorts.get(base) != shorts[path]):
                found.setdefault(name, {})[path.removeprefix(name).removeprefix(".")] = shorts[path]
    return found


def type_name(profile: str) -> str:
    """The type that the canonical url of its definition names."""
    return profile.removeprefix(_PROFILE)


def type_ref(published: Resource) -> TypeRef:
    """An ElementDefinition.type, its profiles reduced to type names."""
    code = published["code"]
    for extension in published.get("extension", []):
        if extension["url"] == _FHIR_TYPE:
            code = extension.get("valueUrl") or extension["valueUri"]
    targets = tuple(type_name(profile) for profile in published.get("targetProfile", []))
    return TypeRef(code, targets or ("Resource",) if code in _REFERRING else ())


def binding(published: Resource) -> Binding | None:
    """The binding of an ElementDefinition; None for one that names no value set."""
    found = published.get("binding", {})
    if "valueSet" not in found:
        return None
    return Binding(found["strength"], found["valueSet"].partition("|")[0])


def max_value_set(published: Resource) -> str | None:
    """The value set beyond which an ElementDefinition allows no code, without its version."""
    found = published.get("binding", {})
    named = [item["valueSet"] for item in found.get("additional", []) if item["purpose"] == "maximum"]
    named += [
        extension.get("valueCanonical") or extension["valueUri"]
        for extension in found.get("extension", [])
        if extension["url"] == _MAXIMUM
    ]
    return named[0].partition("|")[0] if named else None


def invariants(published: Resource) -> tuple[Invariant, ...]:
    """The constraints that stand on an ElementDefinition."""
    return tuple(
        Invariant(rule["key"], rule["severity"], " ".join(rule["human"].split()), rule["expression"])
        for rule in published.get("constraint", [])
    )


class TypeCompiler:
    """Makes the table of each type; it knows them all, because an element leaves out what its type already says."""

    def __init__(self, source: Source, repairs: Repairs) -> None:
        self._types = core_types(source)
        self._profiles = source.structures
        self._repairs = repairs

    def table(self, name: str) -> TypeTable:
        """The finished table of the type `name`."""
        definition = self._types[name]
        published = definition["snapshot"]["element"]
        kind: Kind = definition["kind"]
        paths = {element["path"]: element for element in published}
        elements = tuple(
            self._element(element, paths)
            for element in published[1:]
            if not (kind == "primitive-type" and element["path"] == f"{name}.value")
        )
        base = definition.get("baseDefinition")
        return TypeTable(
            name=name,
            kind=kind,
            base=type_name(base) if base else None,
            abstract=definition["abstract"],
            elements=elements,
            invariants=self._root_invariants(name),
            **(self._value_limits(name, paths) if kind == "primitive-type" else {}),
        )

    def _root_invariants(self, name: str) -> tuple[Invariant, ...]:
        definition = self._types[name]
        paths = {element["path"]: element for element in definition["snapshot"]["element"]}
        own = self._guarded(invariants(paths[name]), name, paths)
        base = type_name(definition.get("baseDefinition", ""))
        if base not in self._types or self._types[base]["kind"] != definition["kind"]:
            return own
        keys = {rule.key for rule in own}
        inherited = tuple(rule for rule in self._root_invariants(base) if rule.key not in keys)
        if inherited:
            self._repairs.apply_rule("inherited invariants", f"{name}: {' '.join(rule.key for rule in inherited)}")
        return inherited + own

    def _element(self, published: Resource, paths: dict[str, Resource]) -> Element:
        path = published["path"]
        reference = published.get("contentReference", "").partition("#")[2] or None
        types = tuple(type_ref(item) for item in (paths[reference] if reference else published)["type"])
        if path.endswith(".id"):
            types = (self._id_type(path, types[0]),)
        # A backbone's shape is found by its path, not by its type: the rules of BackboneElement must stand on the path.
        said = {rule.key for item in types if item.code not in BACKBONES for rule in self._type_rules(item.code)}
        if reference:
            said |= {rule.key for rule in invariants(paths[reference])}
        rules = [rule for rule in self._guarded(invariants(published), path, paths) if rule.key not in said]
        for item in published.get("type", []):
            for profile in item.get("profile", []):
                rules.extend(self._profile_rules(profile, {rule.key for rule in rules} | said))
        maximum = published["max"]
        return Element(
            path=path,
            types=types,
            min=published["min"],
            max=None if maximum == "*" else int(maximum),
            is_summary=published.get("isSummary", False),
            is_modifier=published.get("isModifier", False),
            binding=binding(published),
            invariants=tuple(rules),
            content_reference=reference,
            max_value_set=max_value_set(published),
        )

    def _guarded(self, rules: tuple[Invariant, ...], path: str, paths: dict[str, Resource]) -> tuple[Invariant, ...]:
        """The invariants of `path`, repaired where they test an element that may be absent as if it were there."""
        return tuple(self._guard(rule, path, paths) for rule in rules)

    def _guard(self, rule: Invariant, path: str, paths: dict[str, Resource]) -> Invariant:
        where = f"{path} {rule.key}"
        if self._repairs.has(where):
            return msgspec.structs.replace(rule, expression=self._repairs.repaired(where, rule.expression) or "")
        found = _UNGUARDED.fullmatch(rule.expression)
        tested = paths.get(f"{path}.{found[1]}") if found is not None else None
        if found is None or tested is None or tested["min"]:
            return rule
        self._repairs.apply_rule("invariant on an absent element", f"{path}: {rule.key}")
        return msgspec.structs.replace(rule, expression=f"{found[1]}.exists() implies {rule.expression}")

    def _id_type(self, path: str, published: TypeRef) -> TypeRef:
        owner = self._types.get(path.removesuffix(".id"))
        of_resource = owner is not None and owner["kind"] == "resource"
        code = "id" if of_resource else "string"
        if published.code != code:
            self._repairs.apply_rule("resource id" if of_resource else "element id", path)
        return TypeRef(code)

    def _type_rules(self, code: str) -> tuple[Invariant, ...]:
        return self._root_invariants(code) if code in self._types and code != "Resource" else ()

    def _profile_rules(self, profile: str, known: set[str]) -> list[Invariant]:
        """What a data type profile such as SimpleQuantity adds at its root; profiles on resources add nothing here."""
        definition = self._profiles.get(profile)
        if definition is None or definition["kind"] != "complex-type":
            return []
        return [rule for rule in invariants(definition["snapshot"]["element"][0]) if rule.key not in known]

    def _value_limits(self, name: str, paths: dict[str, Resource]) -> dict[str, Any]:
        value = paths.get(f"{name}.value", {})
        published = None
        for item in value.get("type", []):
            for extension in item.get("extension", []):
                if extension["url"] == _REGEX:
                    published = extension["valueString"]
        limits: dict[str, Any] = {"regex": self._repairs.repaired(f"{name} regex", published)}
        if "maxLength" in value:
            limits["max_length"] = value["maxLength"]
        for limit in ("min", "max"):
            for suffix in ("Integer", "Integer64"):
                if f"{limit}Value{suffix}" in value:
                    limits[f"{limit}_value"] = int(value[f"{limit}Value{suffix}"])
        return limits
