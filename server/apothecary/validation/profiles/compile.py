"""A tree of ElementDefinitions -> the rules to check, without those that the type itself already has
(https://hl7.org/fhir/R5/elementdefinition.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apothecary.errors import StartError
from apothecary.fhir.definitions import Definitions
from apothecary.fhir.references import split_canonical
from apothecary.fhir.structures import Element, Invariant, Structure
from apothecary.validation.profiles.bindings import bound
from apothecary.validation.profiles.model import AllowedType, Discriminator, ElementRules, Fixed, Slicing
from apothecary.validation.profiles.tree import Branch, extended

CORE = "http://hl7.org/fhir/StructureDefinition/"
_MIN_LENGTH = CORE + "minLength"
_REGEX = CORE + "regex"
# R5's element, as R4 and R4B write it (https://hl7.org/fhir/R5/versions.html#extensions).
_MUST_HAVE_VALUE = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition.mustHaveValue"
_EXTENSIONS = frozenset({"extension", "modifierExtension"})
# The type of `id`, and of the url of an extension, as published: a FHIRPath type instead of a FHIR one.
_SYSTEM = "http://hl7.org/fhirpath/System."


def compile_rules(root: Branch, structure: Structure, tables: Definitions, profile: str) -> ElementRules:
    """The rules of a whole profile on `structure`. Raises StartError for an element that the type does not have.

    `profile` is the name of the profile for messages.
    """
    return _Compiler(tables, profile).rules(root, None, structure)


class _Compiler:
    def __init__(self, tables: Definitions, profile: str) -> None:
        self.tables = tables
        self.profile = profile

    def rules(
        self, branch: Branch, element: Element | None, structure: Structure | None, slice_name: str | None = None
    ) -> ElementRules:
        """The rules of a branch. `element` is what it constrains, None for a root or where the definitions have none;
        `structure` is the shape of its values, None where that is open.
        """
        definition = branch.definition
        lowest, most = _count(definition.get("min")), _count(definition.get("max"))
        types = _types(definition.get("type"))
        return ElementRules(
            name=branch.name,
            id=branch.id,
            min=lowest or 0,
            max=most,
            counted=slice_name is None and _is_counted(lowest, most, element),
            types=types,
            restricts_types=_restricts_types(types, element),
            restricts_targets=_restricts_targets(types, element),
            fixed=_value(definition, "fixed"),
            pattern=_value(definition, "pattern"),
            least=_value(definition, "minValue"),
            most=_value(definition, "maxValue"),
            min_length=extended(definition, _MIN_LENGTH),
            max_length=_count(definition.get("maxLength")),
            regex=_regex(definition),
            needs_value=definition.get("mustHaveValue", extended(definition, _MUST_HAVE_VALUE)) is True,
            alternatives=_texts(definition.get("valueAlternatives")),
            bound=bound(definition.get("binding"), element),
            constraints=self._constraints(definition.get("constraint"), element, structure),
            slicing=_slicing(branch),
            slice_name=slice_name,
            slices=tuple(self.rules(inner, element, structure, name) for name, inner in branch.slices.items()),
            children=tuple(
                rules for child in branch.children.values() if _asks(rules := self._child(child, structure, types))
            ),
        )

    def _child(self, branch: Branch, parent: Structure | None, types: tuple[AllowedType, ...]) -> ElementRules:
        if parent is None and len(types) == 1 and self.tables.has_structure(types[0].code):
            parent = self.tables.structure(types[0].code)  # One form of a choice was chosen by the profile.
        if parent is None or parent.abstract:
            return self.rules(branch, None, None)
        if parent.kind == "primitive-type" and branch.name == "value":
            # Not an element of the tables, but what the primitive itself holds.
            return self.rules(branch, None, None)
        element = next((item for item in parent.elements if item.name == branch.name), None)
        found = parent.properties.get(branch.name)
        if element is None and found is None:
            raise StartError(
                f"the profile {self.profile} constrains {branch.id}, but {parent.name} has no element {branch.name}"
                f" in FHIR {self.tables.version}"
            )
        if element is None and found is not None:
            # `valueQuantity`: one form of a choice, which the whole choice says nothing about.
            return self.rules(branch, None, self.tables.structure(found.structure))
        if found is None:
            return self.rules(branch, element, None)
        return self.rules(branch, element, self.tables.structure(found.structure))

    def _constraints(self, listed: Any, element: Element | None, structure: Structure | None) -> tuple[Invariant, ...]:
        known = {"ele-1", "ext-1"}  # On every element, and on every extension.
        if element is not None:
            known.update(invariant.key for invariant in element.invariants)
        if structure is not None:
            known.update(invariant.key for invariant in structure.invariants)
        return tuple(
            Invariant(
                key=item["key"],
                severity="warning" if item.get("severity") == "warning" else "error",
                human=str(item.get("human") or item["key"]),
                expression=item["expression"],
            )
            for item in _objects(listed)
            if isinstance(item.get("key"), str) and isinstance(item.get("expression"), str) and item["key"] not in known
        )


def _asks(rules: ElementRules) -> bool:
    """Whether there is anything to check; most elements of a snapshot only repeat their type."""
    return bool(
        rules.counted
        or rules.restricts_types
        or rules.restricts_targets
        or rules.fixed
        or rules.pattern
        or rules.least
        or rules.most
        or rules.min_length is not None
        or rules.max_length is not None
        or rules.regex
        or rules.needs_value
        or rules.alternatives
        or rules.bound
        or rules.constraints
        or rules.slices
        or rules.children
        or any(item.profiles or item.aggregation or item.versioning for item in rules.types)
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _count(value: Any) -> int | None:
    """A min, max or maxLength; None for `*` and where there is none."""
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None


def _is_counted(lowest: int | None, most: int | None, element: Element | None) -> bool:
    if element is None:
        return lowest is not None or most is not None
    return (lowest or 0) > element.min or (most is not None and (element.max is None or most < element.max))


def _types(listed: Any) -> tuple[AllowedType, ...]:
    return tuple(
        AllowedType(
            item["code"].removeprefix(_SYSTEM),
            _texts(item.get("profile")),
            _texts(item.get("targetProfile")),
            _texts(item.get("aggregation")),
            item["versioning"] if item.get("versioning") in ("specific", "independent") else None,
        )
        for item in _objects(listed)
        if isinstance(item.get("code"), str)
    )


def _restricts_types(types: tuple[AllowedType, ...], element: Element | None) -> bool:
    if element is None or not types:
        return False
    known = {item.code for item in element.types}
    # Only a choice and a resource can be restricted: any other element has its one type by its name.
    return (element.is_choice or "Resource" in known) and not known <= {item.code for item in types}


def _restricts_targets(types: tuple[AllowedType, ...], element: Element | None) -> bool:
    known = {item.code: {f"{CORE}{target}" for target in item.targets} for item in element.types} if element else {}
    return any(
        item.targets
        and f"{CORE}Resource" not in (urls := {split_canonical(target)[0] for target in item.targets})
        and urls != known.get(item.code)
        for item in types
    )


def _value(definition: Mapping[str, Any], prefix: str) -> Fixed | None:
    for key, value in definition.items():
        if key.startswith(prefix) and key[len(prefix) : len(prefix) + 1].isupper():
            return Fixed(value)
    return None


def _regex(definition: Mapping[str, Any]) -> str | None:
    """A pattern that texts have: https://hl7.org/fhir/extensions/StructureDefinition-regex.html"""
    owners = (definition, *_objects(definition.get("type")))
    return next((found for owner in owners if isinstance(found := extended(owner, _REGEX), str)), None)


def _slicing(branch: Branch) -> Slicing | None:
    if not branch.slices:
        return None
    slicing = branch.definition.get("slicing")
    if not isinstance(slicing, dict):
        return _implied(branch.name)
    discriminators = tuple(
        Discriminator(item["type"], item["path"])
        for item in _objects(slicing.get("discriminator"))
        if isinstance(item.get("type"), str) and isinstance(item.get("path"), str)
    )
    rules = slicing.get("rules")
    return Slicing(
        discriminators or _implied(branch.name).discriminators,
        rules if isinstance(rules, str) else "open",
        slicing.get("ordered") is True,
    )


def _implied(name: str) -> Slicing:
    """Extensions are sliced by url and choices by type, whether a differential says so or not."""
    if name in _EXTENSIONS:
        return Slicing((Discriminator("value", "url"),))
    return Slicing((Discriminator("type", "$this"),) if name.endswith("[x]") else ())
