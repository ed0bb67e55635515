"""The walk over a resource: elements, types, cardinality, choices, primitives (https://hl7.org/fhir/R5/json.html).

A `Shape` is a structure of the definitions made ready to check: one closure for each JSON property, compiled when
the property is first met. The closures take the value, its parent, the parent's place and the depth; they return
nothing and report to the run.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from apothecary.fhir.definitions import Definitions, definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Element, Property, Structure
from apothecary.suggestions import did_you_mean
from apothecary.validation.bundle import check_bundle
from apothecary.validation.bundle_index import BundleIndex
from apothecary.validation.choices import check_choices, choices_of
from apothecary.validation.codes import check_coding
from apothecary.validation.complaints import missing, not_an_object, not_list, not_single, unknown
from apothecary.validation.diagnostics import shown
from apothecary.validation.elements import object_checks, primitive_check
from apothecary.validation.extensions import check_extension
from apothecary.validation.invariants import judges
from apothecary.validation.medication import checks_for
from apothecary.validation.properties import (
    Check,
    ObjectCheck,
    Walk,
    followed,
    objects,
    one_object,
    one_primitive,
    primitives,
)
from apothecary.validation.references import check_reference, contained
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run, expression, pointer_of
from apothecary.validation.sparing import sparing
from apothecary.validation.systems import check_identifier, check_system, check_unit
from apothecary.validation.vital_signs import vital_sign

# What answers another resource, and the element that names it: whether it fits is not checked.
_FILLED_IN = {"QuestionnaireResponse": "questionnaire", "MeasureReport": "measure"}


class Fields(dict[str, Check]):
    """The checks of a shape by JSON property, each compiled when it is first needed."""

    __slots__ = ("shape",)

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __missing__(self, key: str) -> Check:
        check = _compile_field(self.shape, key)
        if check is None:
            # Not kept: a table must not grow with what callers invent.
            return lambda value, parent, at, depth, run: unknown(self.shape.structure, self.shape.choices, key, at, run)
        self[key] = check
        return check


class Shape:
    """A structure made ready to check; `of(version, name)` gives the shared one."""

    __slots__ = (
        "built",
        "checks",
        "choices",
        "fields",
        "is_resource",
        "medication_checks",
        "required",
        "structure",
        "tables",
        "version",
    )

    def __init__(self, version: FhirVersion, structure: Structure) -> None:
        self.version = version
        self.tables: Definitions = definitions(version)
        self.structure = structure
        self.is_resource = structure.kind == "resource"
        self.fields = Fields(self)
        self.required: tuple[tuple[str, str, Element], ...] = tuple(
            (element.name, f"_{element.name}", element)
            for element in structure.elements
            if element.min and not element.is_choice
        )
        self.choices = choices_of(structure)
        self.checks: tuple[ObjectCheck, ...] = ()
        self.medication_checks: tuple[ObjectCheck, ...] = ()
        self.built = False

    def build(self) -> None:
        """Compile what is checked on whole objects; put off, because it reads other tables."""
        structure = self.structure
        checks: list[ObjectCheck] = [*judges(self.version, structure.name, structure.invariants)]
        if structure.name == "Reference":
            checks.append(check_reference)
        elif structure.name == "Extension":
            checks.append(check_extension)
        elif structure.name == "Bundle":
            checks.append(check_bundle)
        elif structure.name == "Identifier":
            checks.append(check_identifier)
        if structure.name == "Coding" or "comparator" in structure.properties:
            checks.append(check_system)
        if structure.name == "Coding":
            checks.append(check_coding)
        if "comparator" in structure.properties:
            checks.append(check_unit)
        self.checks = tuple(checks)
        self.medication_checks = tuple(checks_for(structure.name))
        self.built = True

    def walk(self, value: Any, at: At, depth: int, run: Run) -> None:
        """Check `value`, which stands at `at`, and all in it."""
        if not isinstance(value, dict):
            not_an_object(self.structure, value, at, run)
            return
        if depth > run.max_depth:
            run.report(BASE["too-deep"], at, f"is nested deeper than {run.max_depth} levels")
            return
        fields = self.fields
        for key, item in value.items():
            fields[key](item, value, at, depth, run)
        for name, twin, element in self.required:
            if name not in value and twin not in value:
                missing(element, at, run)
        if self.choices:
            check_choices(self.choices, value, at, run)
        if len(value) < 2 and not self.is_resource and (not value or "id" in value):
            run.report(BASE["empty-object"], at, "is an object without content")
        if not self.built:
            self.build()
        for check in self.checks:
            check(value, at, run)
        if self.medication_checks and run.options.medication_rules:
            for check in self.medication_checks:
                check(value, at, run)


@cache
def shape_of(version: FhirVersion, name: str) -> Shape:
    """The shape of a type or backbone; KeyError when there is none."""
    return Shape(version, definitions(version).structure(name))


def _compile_field(shape: Shape, key: str) -> Check | None:
    structure = shape.structure
    found = structure.properties.get(key)
    if found is not None and found.element.max == 0:
        return None  # A primitive whose twin has no extension: xhtml.
    if found is None:
        if key == "resourceType" and structure.kind == "resource":
            return _nothing
        found = structure.properties.get(key[1:]) if key.startswith("_") else None
        if found is None or _kind(shape, found) != "primitive-type":
            return None
        return _twin_field(shape, found, key)
    element = found.element
    kind = _kind(shape, found)
    # In an ElementDefinition it names a path, once in the snapshot and once in the differential.
    if key == "id" and not shape.is_resource and structure.name != "ElementDefinition":
        return _element_id(one_primitive(found, *primitive_check(shape.version, found)))
    if kind == "primitive-type":
        accept, one = primitive_check(shape.version, found)
        return primitives(found, accept, one) if element.is_list else one_primitive(found, accept, one)
    walk = _walk_of(shape, found)
    if kind != "resource":
        walk = followed(walk, object_checks(shape.version, found))
        if found.type not in ("Extension", "Reference"):
            walk = sparing(walk)
    return objects(found, walk) if element.is_list else one_object(found, walk)


def _element_id(form: Check) -> Check:
    """The id of an element: its form, and that no other element of the resource has it
    (https://hl7.org/fhir/R5/element.html#id).
    """

    def check(value: Any, parent: dict[str, Any], at: At, depth: int, run: Run) -> None:
        form(value, parent, at, depth, run)
        run.alone = False
        if isinstance(value, str):
            # A resource is walked before what it contains is left, so the ids are kept by resource.
            known = run.element_ids.setdefault(id(run.resource), {})
            first = known.setdefault(value, at)
            if first is not at:
                text = f"is {shown(value)}, which {expression(run.tables, run.document, pointer_of(first))} has already"
                run.report(BASE["element-id"], at, text, key="id")

    return check


def _nothing(value: Any, parent: dict[str, Any], at: At, depth: int, run: Run) -> None:
    """`resourceType` was read before the walk."""


def _kind(shape: Shape, found: Property) -> str:
    return shape.tables.structure(found.structure).kind


def _walk_of(shape: Shape, found: Property) -> Walk:
    """What walks a value of a property with objects."""
    if _kind(shape, found) == "resource":
        return _contained if found.element.name == "contained" else _inner_resource
    return shape_of(shape.version, found.structure).walk


def _contained(value: Any, at: At, depth: int, run: Run) -> None:
    outer, outer_at = run.resource, run.resource_at
    _walk_resource(value, at, depth, run)
    run.resource, run.resource_at = outer, outer_at
    name = value.get("id") if isinstance(value, dict) else None
    if isinstance(name, str) and outer is run.root and contained(run, name) is not value:
        text = f"is {shown(name)}, which another contained resource has already"
        run.report(BASE["contained-duplicate"], at, text, key="id")


def walk_document(document: Any, run: Run) -> None:
    """Check a whole document."""
    expected = run.options.resource_type
    shape = resource_shape(document, None, run)
    if shape is None:
        return
    if expected is not None and shape.structure.name != expected:
        text = f"has the resourceType {shape.structure.name}, but a {expected} is expected"
        run.report(BASE["resource-type-unexpected"], None, text, inside=("resourceType",))
    _enter(shape, document, None, 0, run)


def _inner_resource(value: Any, at: At, depth: int, run: Run) -> None:
    """A resource that stands on its own inside another: in a Bundle's entry or a parameter."""
    outer, outer_at, root = run.resource, run.resource_at, run.root
    if isinstance(value, dict):
        run.root = value
    _walk_resource(value, at, depth, run)
    run.resource, run.resource_at, run.root = outer, outer_at, root


def _walk_resource(value: Any, at: At, depth: int, run: Run) -> None:
    run.alone = False
    shape = resource_shape(value, at, run)
    if shape is not None:
        run.resource, run.resource_at = value, at
        _enter(shape, value, at, depth, run)


def _enter(shape: Shape, value: dict[str, Any], at: At, depth: int, run: Run) -> None:
    outer, outer_url, outer_sparing = run.bundle, run.full_url, run.sparing
    # In its language all of its codes are to be displayed.
    run.sparing = run.options.usual and "language" not in value
    if outer is not None:
        run.full_url = outer.full_url(value) or outer_url
    if shape.structure.name == "Bundle":
        run.bundle = BundleIndex(value)
    shape.walk(value, at, depth, run)
    profiles = run.options.profiles
    if profiles is not None or _claims(value) or vital_sign(value, run.tables) is not None:
        # Loaded where there is something to check: most validations have none.
        from apothecary.validation.conformance import check_resource

        check_resource(profiles, value, at, run)
    if run.options.coverage is not None:
        _leave_unchecked(value, run)
    run.bundle, run.full_url, run.sparing = outer, outer_url, outer_sparing


def _leave_unchecked(value: dict[str, Any], run: Run) -> None:
    name = str(value["resourceType"])
    element = _FILLED_IN.get(name)
    named = None if element is None else value.get(element)
    if isinstance(named, str):
        run.unchecked(f"whether the {name} fits {named}, which it was made for")


def _claims(value: dict[str, Any]) -> bool:
    meta = value.get("meta")
    return isinstance(meta, dict) and "profile" in meta


def resource_shape(value: Any, at: At, run: Run) -> Shape | None:
    """The shape that `resourceType` names; None, with the reason reported, when it names none."""
    if not isinstance(value, dict):
        run.report(BASE["not-an-object"], at, f"is {shown(value)}, but a resource is an object")
        return None
    name = value.get("resourceType")
    if name is None and "resourceType" not in value:
        run.report(BASE["resource-type-missing"], at, "has no resourceType")
        return None
    if not isinstance(name, str) or not run.tables.is_resource_type(name):
        known = run.tables.resource_types()
        remedy = did_you_mean(name, known) or BASE["resource-type-unknown"].remedy
        text = f"has the resourceType {shown(name)}, which is no resource type of {run.tables.version}"
        run.report(BASE["resource-type-unknown"], at, text, inside=("resourceType",), remedy=remedy)
        return None
    return shape_of(run.tables.version, name)


def _twin_field(shape: Shape, found: Property, key: str) -> Check:
    """`_name`: the id and extensions of the primitive `name`."""
    name = found.name
    inner = shape_of(shape.version, found.structure)

    def single(value: Any, parent: dict[str, Any], at: At, depth: int, run: Run) -> None:
        if isinstance(value, dict):
            walk_twin(inner, value, parent.get(name), (at, key, None), depth, run)
        else:
            not_single(value, at, key, found, run)

    def repeated(value: Any, parent: dict[str, Any], at: At, depth: int, run: Run) -> None:
        if not isinstance(value, list) or not value:
            not_list(value, at, key, run)
            return
        values = parent.get(name)
        beside = values if isinstance(values, list) else []
        if beside and len(beside) != len(value):
            text = f"has {len(value)} items, but {name} has {len(beside)}"
            run.report(BASE["primitive-array-length"], at, text, key=key)
        for index, item in enumerate(value):
            if item is not None:
                walk_twin(inner, item, beside[index] if index < len(beside) else None, (at, key, index), depth, run)
            elif index >= len(beside):
                run.report(
                    BASE["null-value"], at, f"is null, and {name} has nothing at its place", key=key, index=index
                )

    return repeated if found.element.is_list else single


def walk_twin(shape: Shape, value: Any, primitive: Any, at: At, depth: int, run: Run) -> None:
    """Check a primitive's companion; beside a value it may be an id alone, which `Shape.walk` takes for empty."""
    if primitive is not None and isinstance(value, dict) and value.keys() == {"id"}:
        shape.fields["id"](value["id"], value, at, depth, run)
    else:
        shape.walk(value, at, depth + 1, run)
