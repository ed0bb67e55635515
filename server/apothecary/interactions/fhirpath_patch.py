"""FHIRPath Patch: operations on the elements that a FHIRPath selects. https://hl7.org/fhir/R5/fhirpatch.html"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apothecary.errors import BadRequest, Unprocessable
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.paths import PathError, compile_path
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.structures import Property

_KINDS = {
    "add": ("path", "name", "value"),
    "insert": ("path", "index", "value"),
    "delete": ("path",),
    "replace": ("path", "value"),
    "move": ("path", "source", "destination"),
}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its kind, the path, and the parts that this kind has."""

    kind: str
    path: str
    name: str = ""
    value: Any = None
    value_type: str = ""
    index: int = 0
    source: int = 0
    destination: int = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """The value of a backbone element: (name, value, type) for each of its elements, in order."""

    items: tuple[tuple[str, Any, str], ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a selected element stands: in `parent` under `key`, at `index` where that is a list."""

    parent: JSON
    key: str
    index: int | None
    structure: str
    """What `parent` is: a type or the path of a backbone element."""


def operations(parameters: Any, version: FhirVersion) -> list[Operation]:
    """The operations of a Parameters resource; there may be none. Raises BadRequest for one that lacks a part or has
    one too many.
    """
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise BadRequest("a FHIRPath Patch is a Parameters resource", code="structure")
    found = []
    for number, one in enumerate(_objects(parameters.get("parameter", []), "Parameters.parameter")):
        where = f"Parameters.parameter[{number}]"
        if one.get("name") != "operation":
            raise BadRequest(
                "every parameter of a FHIRPath Patch is named operation", expression=where, code="structure"
            )
        found.append(_operation(one, where))
    return found


def _objects(value: Any, where: str) -> list[JSON]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise BadRequest("parameters and parts are arrays of objects", expression=where, code="structure")
    return value


def _operation(one: JSON, where: str) -> Operation:
    parts: JSON = {}
    for part in _objects(one.get("part", []), where):
        name = part.get("name")
        if not isinstance(name, str) or name in parts:
            raise BadRequest(f"the part {name!r} stands twice, or has no name", expression=where, code="structure")
        parts[name] = part
    kind = _simple(parts.get("type"), where)
    if kind not in _KINDS:
        raise BadRequest(
            f"{kind!r} is not an operation: write one of {', '.join(_KINDS)}", expression=where, code="value"
        )
    wanted = {"type", *_KINDS[kind]}
    if set(parts) != wanted:
        raise BadRequest(f"{kind} has the parts {', '.join(sorted(wanted))}", expression=where, code="structure")
    values: JSON = {}
    for name in wanted - {"type", "value"}:
        value = values[name] = _simple(parts[name], where)
        if name not in ("index", "source", "destination"):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise BadRequest(f"{name} is a number from 0", expression=where, code="value")
    for name in ("path", "name"):
        if not isinstance(values.get(name, ""), str):
            raise BadRequest(f"{name} is text", expression=where, code="value")
    if "value" in wanted:
        values["value"], values["value_type"] = _value(parts["value"], where)
    return Operation(str(kind), **values)


def _simple(part: Any, where: str) -> Any:
    found = [value for key, value in (part or {}).items() if key.startswith("value")]
    if len(found) != 1 or isinstance(found[0], dict | list):
        raise BadRequest("a part of an operation has one value", expression=where, code="structure")
    return found[0]


def _value(part: JSON, where: str) -> tuple[Any, str]:
    """The value to write and its type. A backbone element comes as parts, one for each of its elements."""
    found = [key for key in part if key not in ("name", "id")]
    if len(found) != 1:
        raise BadRequest("a value is one value, one resource, or parts", expression=where, code="structure")
    key = found[0]
    if key.startswith("value"):
        return part[key], key.removeprefix("value")
    if key == "resource":
        return part[key], "Resource"
    if key != "part":
        raise BadRequest(f"{key} cannot be written by a FHIRPath Patch", expression=where, code="not-supported")
    items = []
    for one in _objects(part["part"], where):
        if not isinstance(one.get("name"), str):
            raise BadRequest("a part has a name", expression=where, code="structure")
        items.append((one["name"], *_value(one, where)))
    return Parts(tuple(items)), "BackboneElement"


def apply(resource: JSON, patch: list[Operation], version: FhirVersion) -> JSON:
    """The patched copy of `resource`. Raises Unprocessable for an operation that does not fit, naming it."""
    result = copy.deepcopy(resource)
    for number, one in enumerate(patch):
        try:
            _run(result, one, version)
        except (PathError, ValueError, KeyError, RecursionError) as error:
            raise Unprocessable(
                f"{one.kind} {one.path}: {error}", expression=f"Parameters.parameter[{number}]", code="processing"
            ) from None
    return result


def _run(resource: JSON, one: Operation, version: FhirVersion) -> None:
    if one.kind == "add":
        _add(resource, one, version)
    elif one.kind == "insert":
        parent, key, items = _list_at(resource, one.path, version)
        if one.index > len(items):
            raise ValueError(f"the list has {len(items)} elements, index {one.index} is beyond its end")
        value = _shaped(one.value, _structure_at(resource, one.path, version), version)
        parent[key] = items
        _each_twin(parent, key, lambda beside: beside.insert(one.index, None))
        items.insert(one.index, value)
    elif one.kind == "move":
        parent, key, items = _list_at(resource, one.path, version)
        if max(one.source, one.destination) >= len(items):
            raise ValueError(f"the list has {len(items)} elements")
        _each_twin(parent, key, lambda beside: beside.insert(one.destination, beside.pop(one.source)))
        items.insert(one.destination, items.pop(one.source))
    elif one.kind == "delete":
        places = _places(resource, one.path, version)
        if len(places) > 1:
            raise ValueError(f"the path selects {len(places)} elements; a deletion removes one")
        for place in places:
            _remove(place)
            _prune(resource)
    else:
        places = _places(resource, one.path, version)
        if len(places) != 1:
            raise ValueError(f"the path selects {len(places)} elements; a replacement needs one")
        _replace(places[0], one, _structure_at(resource, one.path, version), version)


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


def _structure_at(resource: JSON, path: str, version: FhirVersion) -> str:
    tracks = compile_path(version, resource["resourceType"], path).tracks
    if not tracks:
        raise ValueError("the path names no element")
    return tracks[0].structure


def _split(path: str) -> tuple[str, str, str]:
    """`Medication.ingredient.where(isActive = true)[0]` as its parent, the last element's name, and its filters."""
    depth = 0
    cut = -1
    # The last element is the last dot outside of parentheses and texts that no function follows.
    masked = _masked(path)
    for position, character in enumerate(masked):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "." and depth == 0 and re.match(r"\.(?!first\(|where\(|ofType\(|as\()", masked[position:]):
            cut = position
    if cut < 0:
        raise ValueError("the path names no element of the resource")
    match = re.fullmatch(r"([a-zA-Z][a-zA-Z0-9]*)(.*)", path[cut + 1 :], re.DOTALL)
    if match is None:
        raise ValueError("the path does not end in an element")
    return path[:cut], match[1], match[2]


def _masked(path: str) -> str:
    """`path` with what its texts hold blotted out: parentheses and dots there mean nothing."""
    return re.sub(r"'(?:[^'\\]|\\.)*'", lambda match: "'" + "_" * (len(match[0]) - 2) + "'", path, flags=re.DOTALL)


def _list_at(resource: JSON, path: str, version: FhirVersion) -> tuple[JSON, str, list[Any]]:
    """The parent and the key of a whole list, and the list: a new one where there is none yet."""
    before, name, filters = _split(path)
    holders = []
    for track in compile_path(version, resource["resourceType"], before).tracks:
        one = definitions(version).structure(track.structure).properties.get(name)
        if one is not None and one.element.is_list:
            holders += [node for node in track.walk(resource) if isinstance(node, dict)]
    if filters or len(holders) != 1:
        raise ValueError("the path must select one list")
    return holders[0], name, holders[0].get(name, [])


def _places(resource: JSON, path: str, version: FhirVersion) -> list[Place]:
    """The places of all elements that the path selects."""
    before, name, filters = _split(path)
    kind = resource["resourceType"]
    found = []
    for track in compile_path(version, kind, before).tracks:
        properties = definitions(version).structure(track.structure).properties
        for parent in track.walk(resource):
            for key, one in properties.items():
                if key != name and one.element.name != f"{name}[x]":
                    continue
                if key not in parent and f"_{key}" not in parent:
                    continue
                value = parent.get(key)
                items = value if isinstance(value, list) else [value]
                kept = _filter(items, one.structure, filters, version)
                found += [
                    Place(parent, key, index if isinstance(value, list) else None, track.structure) for index in kept
                ]
    return found


def _filter(items: list[Any], structure: str, filters: str, version: FhirVersion) -> list[int]:
    """The indexes of the items that pass the filters behind an element."""
    kept = list(range(len(items)))
    position = 0
    while position < len(filters):
        rest = filters[position:]
        if match := re.match(r"\[(\d+)\]|\.first\(\)", rest):
            number = int(match[1] or 0)
            kept = kept[number : number + 1]
            position += match.end()
            continue
        end = _closing(rest)
        criterion = compile_path(version, structure, f"$this{rest[:end]}")
        kept = [index for index in kept if any(True for _ in criterion.values(items[index]))]
        position += end
    return kept


def _closing(text: str) -> int:
    """Where the function call that `text` begins with ends."""
    depth = 0
    for position, character in enumerate(_masked(text)):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == ")" and depth == 0:
            return position + 1
    raise ValueError("a parenthesis is not closed")


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
