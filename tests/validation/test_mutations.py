"""Each official medication example, broken in every way that the definitions forbid, is caught at the right place."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from apothecary.fhir.definitions import Definitions, definitions
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Property
from apothecary.validation import validate
from apothecary.validation.run import Pointer, expression
from tests.validation.corpus import vendored

Mutant = tuple[str, Pointer, Any, frozenset[str]]


def objects(tables: Definitions, value: Any, structure: str, at: Pointer = ()) -> Iterator[tuple[Pointer, Any, str]]:
    """Every object of a resource with the name of its structure."""
    if structure == "Resource":
        structure = value["resourceType"]
    yield at, value, structure
    for key, found in tables.structure(structure).properties.items():
        if key not in value or tables.structure(found.structure).kind == "primitive-type":
            continue
        items = value[key]
        if isinstance(items, list):
            for index, item in enumerate(items):
                yield from objects(tables, item, found.structure, (*at, key, index))
        else:
            yield from objects(tables, items, found.structure, (*at, key))


def mutants(tables: Definitions, at: Pointer, value: Any, structure: str) -> Iterator[Mutant]:
    """What breaks the object at `at`: a name, the place of the issue, the broken object, the rules that may say so."""
    shape = tables.structure(structure)
    yield "unknown", (*at, "notAnElement"), {**value, "notAnElement": "x"}, frozenset({"unknown-element"})
    for element in shape.elements:
        names = [name for name, found in shape.properties.items() if found.element is element]
        present = [name for name in names if name in value]
        if element.min and present and not any(f"_{name}" in value for name in names):
            rest = {key: item for key, item in value.items() if key not in present}
            if rest and rest.keys() != {"id"}:
                yield f"drop {element.name}", at, rest, frozenset({"cardinality-min"})
        if element.is_choice and len(present) == 1 and "valueBoolean" in names and present != ["valueBoolean"]:
            yield f"two {element.name}", at, {**value, "valueBoolean": True}, frozenset({"choice-exclusive"})
    for key, found in shape.properties.items():
        if key in value:
            yield from of_property(tables, (*at, key), value, key, found)


def of_property(tables: Definitions, at: Pointer, value: Any, key: str, found: Property) -> Iterator[Mutant]:
    """What breaks one property."""
    item = value[key]
    is_primitive = tables.structure(found.structure).kind == "primitive-type"

    def changed(new: Any) -> Any:
        return {**value, key: new}

    yield f"null {key}", at, changed(None), frozenset({"null-value"})
    if isinstance(item, list):
        yield f"empty array {key}", at, changed([]), frozenset({"empty-array"})
        yield f"not an array {key}", at, changed(item[0]), frozenset({"not-an-array"})
        yield f"null in {key}", (*at, len(item)), changed([*item, None]), frozenset({"null-value"})
        at, first = (*at, 0), item[0]

        def changed(new: Any) -> Any:
            return {**value, key: [new, *item[1:]]}
    else:
        yield f"array {key}", at, changed([item]), frozenset({"unexpected-array"})
        first = item
    if not is_primitive:
        yield f"empty {key}", at, changed({}), frozenset({"empty-object", "resource-type-missing"})
        yield f"text for {key}", at, changed("x"), frozenset({"wrong-type", "not-an-object"})
        return
    wrong = 5 if isinstance(first, str) else "x"
    yield f"type of {key}", at, changed(wrong), frozenset({"wrong-type"})
    if isinstance(first, str):
        yield f"blank {key}", at, changed(""), frozenset({"empty-string"})
    binding = found.element.binding
    if found.type == "code" and binding is not None and binding.strength == "required":
        value_set = tables.value_set(binding.value_set)
        if value_set is not None and value_set.complete:
            yield f"code {key}", at, changed("no-such-code"), frozenset({"code-not-in-value-set"})
    if found.type in ("date", "dateTime", "instant"):
        yield f"date {key}", at, changed("2026-02-30"), frozenset({"bad-date"})
    if found.type in ("uri", "url", "canonical"):
        yield f"uri {key}", at, changed("http://example.org/ x"), frozenset({"bad-uri"})


def replaced(resource: Any, at: Pointer, new: Any) -> Any:
    """A copy of `resource` with `new` at `at`."""
    if not at:
        return new
    result = copy.deepcopy(resource)
    value = result
    for step in at[:-1]:
        value = value[step]
    value[at[-1]] = new
    return result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "name", "resource"), vendored(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_mutant_of_an_example_is_caught_at_its_place(version: FhirVersion, name: str, resource: Any) -> None:
    tables = definitions(version)
    count = 0
    for at, value, structure in objects(tables, resource, resource["resourceType"]):
        for label, place, broken, rules in mutants(tables, at, value, structure):
            mutant = replaced(resource, at, broken)
            found = [issue for issue in validate(mutant, version) if issue.rule in rules]
            where = expression(tables, mutant, place)
            assert any(issue.expression == (where,) and issue.severity == "error" for issue in found), (label, where)
            count += 1
    assert count > 30
