"""Whether an extension stands where its definition allows it (https://hl7.org/fhir/R5/defining-extensions.html#context).

A context is an element by its path or type, another extension, or whatever a FHIRPath finds in the resource. Beside
that a definition may ask that something is true of the element that has the extension
(https://hl7.org/fhir/R5/structuredefinition-definitions.html#StructureDefinition.contextInvariant).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from apothecary.fhir.definitions import Context, Definitions
from apothecary.fhir.structures import Structure
from apothecary.validation.fhirpath import FhirPathError, Node, compile_expression, evaluate, item_of, truth
from apothecary.validation.invariants import environment_of
from apothecary.validation.run import At, Run, pointer_of

EXTENSIONS = frozenset({"extension", "modifierExtension"})
PUBLISHED = "http://hl7.org/fhir/StructureDefinition/"
# The steps that each evaluation has in any case, beside the budget that all have in common.
_EARNED = 200
# Places where HL7's own definitions use these extensions although the published contexts forget them.
_MORE_CONTEXTS: Mapping[str, frozenset[str]] = {
    f"{PUBLISHED}elementdefinition-bindingName": frozenset({"OperationDefinition.parameter.binding"}),
    f"{PUBLISHED}regex": frozenset({"ElementDefinition.type"}),
    f"{PUBLISHED}structuredefinition-fhir-type": frozenset({"ElementDefinition.type"}),
    f"{PUBLISHED}structuredefinition-normative-version": frozenset({"Element"}),
    f"{PUBLISHED}translation": frozenset({"ValueSet.expansion.contains"}),
    f"{PUBLISHED}valueset-concept-comments": frozenset({"CodeSystem.concept"}),
}


def in_context(url: str, contexts: tuple[Context, ...], owner: At, run: Run) -> bool:
    """Whether one of `contexts` allows an extension on the element at `owner`; true where that cannot be told."""
    names = _owner_names(run, owner)
    extension = _owner_extension(run, owner)
    for context in contexts:
        if context.type == "extension":
            if context.expression == extension:
                return True
        elif context.type == "fhirpath":
            found = _found(context.expression, run)
            if found is None or id(_value(run, owner)) in found:
                return True
        elif context.type != "element" or context.expression in names:
            return True
    return not names.isdisjoint(_MORE_CONTEXTS.get(url, ()))


def holds_around(expression: str, extension: dict[str, Any], owner: At, run: Run) -> bool | None:
    """Whether an invariant of the context is true of the element at `owner`, which has the `extension`; None where
    that cannot be told.
    """
    environment = environment_of(run, _node(run, owner))
    environment.variables["extension"] = [Node(extension, "Extension", "Extension")]
    environment.budget = run.budget.begin(run.options.max_steps_each, _EARNED)
    try:
        holds = truth(evaluate(compile_expression(expression), environment))
    except FhirPathError as error:
        run.unchecked(f"the context invariant {expression} is not evaluated: {error}")
        return None
    return None if environment.unresolved else holds is True


def _found(expression: str, run: Run) -> frozenset[int] | None:
    """The objects (their identities) that hold the elements an expression finds in the resource that the walk is in:
    elements, or of primitives what stands beside the value. None where it cannot be told.
    """
    key = expression, id(run.resource)
    # With the resource, so that its identity is not given to another one.
    known = run.found_by.get(key)
    if known is None:
        known = run.found_by[key] = (run.resource, _evaluated(expression, run))
    return known[1]


def _evaluated(expression: str, run: Run) -> frozenset[int] | None:
    environment = environment_of(run, item_of(run.tables, run.resource, "Resource"))
    environment.budget = run.budget.begin(run.options.max_steps_each, _EARNED)
    try:
        items = evaluate(compile_expression(expression), environment)
    except FhirPathError as error:
        run.unchecked(f"the extension context {expression} is not evaluated: {error}")
        return None
    nodes = [item for item in items if isinstance(item, Node)]
    # Some are published as conditions (`type = 'composed-of'`), which find no element: on what, is not said.
    if environment.unresolved or len(nodes) < len(items):
        return None
    return frozenset(id(node.value if isinstance(node.value, dict) else node.twin) for node in nodes)


def _value(run: Run, at: At) -> Any:
    value: Any = run.document
    for step in pointer_of(at):
        value = value[step]
    return value


def _node(run: Run, owner: At) -> Node:
    """The element at `owner` as the focus of an expression. Where that has extensions only, so has the node."""
    value = _value(run, owner)
    structure = run.tables.structure(run.resource["resourceType"])
    node = Node(value, structure.name, structure.name)
    base = len(pointer_of(run.resource_at))
    keys = [step for step in pointer_of(owner)[base:] if isinstance(step, str)]
    for key in keys:
        found = structure.properties.get(key.lstrip("_"))
        if found is None:
            return node
        structure = run.tables.structure(found.structure)
        node = Node(value, found.type, found.structure)
    if not keys or not keys[-1].startswith("_") or owner is None:
        return node
    # The extensions of a primitive stand beside its value.
    above, key, index = owner
    beside = _value(run, above).get(key[1:])
    if index is not None:
        beside = beside[index] if isinstance(beside, list) and index < len(beside) else None
    return Node(beside, node.type, node.structure, value)


def _owner_extension(run: Run, owner: At) -> str | None:
    """The url of the extension that has the extension, itself or on its value; `url#part` for a part of one; None on
    any other element.
    """
    if owner is not None and owner[1].lstrip("_").startswith("value") and owner[0] is not None:
        owner = owner[0]
    if owner is None or owner[1] not in EXTENSIONS:
        return None
    url = str(_value(run, owner).get("url"))
    outer = _owner_extension(run, owner[0])
    return url if outer is None or ":" in url else f"{outer}#{url}"


@cache
def _interfaces(tables: Definitions, name: str) -> frozenset[str]:
    """The interfaces that a resource type has, by their elements (https://hl7.org/fhir/R5/types.html#interfaces)."""
    elements = tables.structure(name).properties
    found = {"CanonicalResource"} if {"url", "version", "status", "date", "publisher"} <= elements.keys() else set()
    if found and {"approvalDate", "lastReviewDate", "effectivePeriod"} <= elements.keys():
        found.add("MetadataResource")
    return frozenset(found)


# "Element" is published on what in fact marks whole resources (structuredefinition-wg), and all types are of "Base"
# (https://hl7.org/fhir/R5/types.html), though R4 has no such type: an extension of cross-version use stands on it.
_ANYTHING = ("Element", "Base")


def _owner_names(run: Run, owner: At) -> set[str]:
    """The names under which a context may know the element that has the extension: its path, its type, the types
    above.
    """
    pointer = pointer_of(owner)
    base = pointer_of(run.resource_at)
    tables = run.tables
    structure: Structure = tables.structure(run.resource["resourceType"])
    names = {structure.name, *_ancestors(tables, structure.name), *_interfaces(tables, structure.name), *_ANYTHING}
    for step in pointer[len(base) :]:
        if isinstance(step, int):
            continue
        found = structure.properties.get(step.lstrip("_"))
        if found is None:
            return names
        element = found.element
        # Inside a data type the path starts at that type, as the element tables have it.
        names = {
            element.path,
            element.path.removesuffix("[x]"),
            found.type,
            *_ancestors(tables, found.type),
            *_ANYTHING,
        }
        # It may be that of any type above, which all have it: `Resource.meta`, `DomainResource.text`.
        names |= {f"{above}.{element.name}" for above in _ancestors(tables, structure.name)}
        if found.structure != found.type:
            names.add(found.structure)
        structure = tables.structure(found.structure)
        if structure.name == "Resource":
            return names
    return names


def _ancestors(tables: Definitions, name: str) -> list[str]:
    found = []
    base = tables.structure(name).base if tables.has_structure(name) else None
    while base is not None and tables.has_structure(base):
        found.append(base)
        base = tables.structure(base).base
    return found
