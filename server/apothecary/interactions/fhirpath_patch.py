"""FHIRPath Patch: operations on the elements that a FHIRPath selects. https://hl7.org/fhir/R5/fhirpatch.html"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from apothecary.errors import Unprocessable
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.paths import PathError, compile_path
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Property
from apothecary.interactions.patch_parameters import Operation, Parts
from apothecary.interactions.patch_places import Place, list_at, places, structure_at


def apply(resource: JSON, patch: list[Operation], version: FhirVersion) -> JSON:
    """The patched copy of `resource`. Raises Unprocessable for an operation that does not fit, naming it."""
    result = copy.deepcopy(resource)
    for number, one in enumerate(patch):
        try:
            _run(result, one, version)
        except (PathError, ValueError, KeyError, RecursionError) as error:
            raise Unprocessable(
                f"{one.kind} {one.path[:200]}: {error}", expression=f"Parameters.parameter[{number}]", code="processing"
            ) from None
    return result


def _run(resource: JSON, one: Operation, version: FhirVersion) -> None:
    if one.kind == "add":
        _add(resource, one, version)
    elif one.kind == "insert":
        parent, key, items = list_at(resource, one.path, version)
        if one.index > len(items):
            raise ValueError(f"the list has {len(items)} elements, index {one.index} is beyond its end")
        value = _shaped(one.value, structure_at(resource, one.path, version), version)
        parent[key] = items
        _each_twin(parent, key, lambda beside: beside.insert(one.index, None))
        items.insert(one.index, value)
    elif one.kind == "move":
        parent, key, items = list_at(resource, one.path, version)
        if max(one.source, one.destination) >= len(items):
            raise ValueError(f"the list has {len(items)} elements")
        _each_twin(parent, key, lambda beside: beside.insert(one.destination, beside.pop(one.source)))
        items.insert(one.destination, items.pop(one.source))
    elif one.kind == "delete":
        found = places(resource, one.path, version)
        if len(found) > 1:
            raise ValueError(f"the path selects {len(found)} elements; a deletion removes one")
        for place in found:
            _remove(place)
            _prune(resource)
    else:
        found = places(resource, one.path, version)
        if len(found) != 1:
            raise ValueError(f"the path selects {len(found)} elements; a replacement needs one")
        _replace(found[0], one, structure_at(resource, one.path, version), version)


def _each_twin(parent: JSON, key: str, change: Callable[[list[Any]], None]) -> None:
    """Change the list that holds the extensions of the list of primitives `key`, if there is one, at the same places:
    https://hl7.org/fhir/R5/json.html#primitive
    """
    beside = parent.get(f"_{key}")
    if isinstance(beside, list):
        beside += [None] * (len(parent[key]) - len(beside))
        change(beside)


def _prune(node: Any) -> None:
    """Take out objects and lists that a deletion left empty: FHIR has none."""
    if isinstance(node, dict):
        for key, value in list(node.items()):
            _prune(value)
            if value in ({}, []):
                del node[key]
    elif isinstance(node, list):
        for item in node:
            _prune(item)
        node[:] = [item for item in node if item not in ({}, [])]


def _add(resource: JSON, one: Operation, version: FhirVersion) -> None:
    path = compile_path(version, resource["resourceType"], one.path)
    found = [(track.structure, node) for track in path.tracks for node in track.walk(resource)]
    if len(found) != 1 or not isinstance(found[0][1], dict):
        raise ValueError(f"the path selects {len(found)} elements; an addition needs one")
    structure, parent = found[0]
    key, property_ = _named(structure, one.name, one.value_type, version)
    value = _shaped(one.value, property_.structure, version)
    if property_.element.is_list:
        items = parent.setdefault(key, [])
        _each_twin(parent, key, lambda beside: beside.append(None))
        items.append(value)
    elif key in parent:
        raise ValueError(f"{one.name} is there already and does not repeat; use replace")
    else:
        parent[key] = value


def _named(structure: str, name: str, value_type: str, version: FhirVersion) -> tuple[str, Property]:
    """The JSON key and property of an element; the name of a choice goes with the type of the value."""
    properties = definitions(version).structure(structure).properties
    for key in (name, f"{name}{value_type[:1].upper()}{value_type[1:]}"):
        if key in properties:
            return key, properties[key]
    raise ValueError(f"{structure} has no element {name!r}")


def _shaped(value: Any, structure: str, version: FhirVersion) -> Any:
    """A value as it stands in JSON: a backbone element put together from its parts."""
    if not isinstance(value, Parts):
        return value
    built: JSON = {}
    for name, inner, kind in value.items:
        key, property_ = _named(structure, name, kind, version)
        shaped = _shaped(inner, property_.structure, version)
        if property_.element.is_list:
            built.setdefault(key, []).append(shaped)
        elif key in built:
            raise ValueError(f"{name} stands twice in the value and does not repeat")
        else:
            built[key] = shaped
    return built


def _remove(place: Place) -> None:
    """Take an element out, with the twin that holds a primitive's extensions; no empty list stays."""
    for key in (place.key, f"_{place.key}"):
        if key not in place.parent:
            continue
        if place.index is None:
            del place.parent[key]
            continue
        items = place.parent[key]
        if place.index < len(items):
            del items[place.index]
        if not [item for item in items if item is not None]:
            del place.parent[key]


def _replace(place: Place, one: Operation, structure: str, version: FhirVersion) -> None:
    value = _shaped(one.value, structure, version)
    beside = place.parent.get(f"_{place.key}")
    if place.index is not None:
        place.parent[place.key][place.index] = value
        # The new element has none of the old one's extensions.
        if isinstance(beside, list) and place.index < len(beside):
            beside[place.index] = None
            if not any(beside):
                del place.parent[f"_{place.key}"]
        return
    place.parent.pop(f"_{place.key}", None)
    if place.key not in place.parent:
        # It had extensions only.
        place.parent[place.key] = None
    properties = definitions(version).structure(place.structure).properties
    element = properties[place.key].element
    kind = one.value_type[:1].lower() + one.value_type[1:]
    names = [
        key
        for key, same in properties.items()
        if same.element.path == element.path and same.type in (kind, one.value_type)
    ]
    key = names[0] if element.is_choice and names else place.key
    # A choice element may change its type, and its JSON name with it; its place in the order stays.
    items = [(key, value) if name == place.key else (name, old) for name, old in place.parent.items()]
    place.parent.clear()
    place.parent.update(items)
