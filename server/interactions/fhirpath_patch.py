"""FHIRPath Patch: operations on the elements that a FHIRPath selects. https://hl7.org/fhir/R5/fhirpatch.html"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any

from server.errors import BadRequest, Unprocessable
from server.fhir.definitions import definitions
from server.fhir.json import JSON
from server.fhir.paths import PathError, compile_path
from server.fhir.releases import FhirVersion

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
class Place:
    """Where a selected element stands: in `parent` under `key`, at `index` where that is a list."""

    parent: JSON
    key: str
    index: int | None
    structure: str
    """What `parent` is: a type or the path of a backbone element."""


def operations(parameters: Any, version: FhirVersion) -> list[Operation]:
    """The operations of a Parameters resource. Raises BadRequest for one that lacks a part or has one too many."""
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise BadRequest("a FHIRPath Patch is a Parameters resource", code="structure")
    found = []
    for number, one in enumerate(parameters.get("parameter", ())):
        where = f"Parameters.parameter[{number}]"
        if not isinstance(one, dict) or one.get("name") != "operation":
            raise BadRequest(
                "every parameter of a FHIRPath Patch is named operation", expression=where, code="structure"
            )
        found.append(_operation(one, where))
    if not found:
        raise BadRequest("the patch has no operation", expression="Parameters", code="structure")
    return found


def _operation(one: JSON, where: str) -> Operation:
    parts: JSON = {}
    for part in one.get("part", ()):
        name = part.get("name")
        if name in parts:
            raise BadRequest(f"the part {name!r} stands twice", expression=where, code="structure")
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
        values[name] = _simple(parts[name], where)
        if name in ("index", "source", "destination") and not (isinstance(values[name], int) and values[name] >= 0):
            raise BadRequest(f"{name} is a number from 0", expression=where, code="value")
    if "value" in wanted:
        values["value"], values["value_type"] = _value(parts["value"])
    return Operation(kind, **values)


def _simple(part: Any, where: str) -> Any:
    found = [value for key, value in (part or {}).items() if key.startswith("value")]
    if len(found) != 1:
        raise BadRequest("a part of an operation has one value", expression=where, code="structure")
    return found[0]


def _value(part: JSON) -> tuple[Any, str]:
    """The value to write and its type. A backbone element comes as parts, one for each of its elements."""
    for key, value in part.items():
        if key.startswith("value"):
            return value, key.removeprefix("value")
    if "resource" in part:
        return part["resource"], "Resource"
    built: JSON = {}
    for one in part.get("part", ()):
        value, kind = _value(one)
        built[one["name"]] = (value, kind)
    return built, "BackboneElement"


def apply(resource: JSON, patch: list[Operation], version: FhirVersion) -> JSON:
    """The patched copy of `resource`. Raises Unprocessable for an operation that does not fit, naming it."""
    result = copy.deepcopy(resource)
    for number, one in enumerate(patch):
        try:
            _run(result, one, version)
        except (PathError, ValueError, KeyError) as error:
            raise Unprocessable(
                f"{one.kind} {one.path}: {error}", expression=f"Parameters.parameter[{number}]", code="processing"
            ) from None
    return result


def _run(resource: JSON, one: Operation, version: FhirVersion) -> None:
    if one.kind == "add":
        _add(resource, one, version)
        return
    if one.kind in ("insert", "move"):
        parent, key, _ = _list_at(resource, one.path, version)
        items = parent[key]
        if one.kind == "insert":
            if one.index > len(items):
                raise ValueError(f"the list has {len(items)} elements, index {one.index} is beyond its end")
            items.insert(one.index, _shaped(one.value, _structure_at(resource, one.path, version), version))
        else:
            if max(one.source, one.destination) >= len(items):
                raise ValueError(f"the list has {len(items)} elements")
            items.insert(one.destination, items.pop(one.source))
        return
    places = _places(resource, one.path, version)
    if one.kind == "delete":
        if len(places) > 1:
            raise ValueError(f"the path selects {len(places)} elements; a deletion removes one")
        for place in places:
            _remove(place)
        return
    if len(places) != 1:
        raise ValueError(f"the path selects {len(places)} elements; a replacement needs one")
    _replace(places[0], one, _structure_at(resource, one.path, version), version)


def _add(resource: JSON, one: Operation, version: FhirVersion) -> None:
    path = compile_path(version, resource["resourceType"], one.path)
    found = [(track.structure, node) for track in path.tracks for node in track.walk(resource)]
    if len(found) != 1 or not isinstance(found[0][1], dict):
        raise ValueError(f"the path selects {len(found)} elements; an addition needs one")
    structure, parent = found[0]
    properties = definitions(version).structure(structure).properties
    key = one.name
    if key not in properties:
        key = f"{one.name}{one.value_type[:1].upper()}{one.value_type[1:]}"
    if key not in properties:
        raise ValueError(f"{structure} has no element {one.name!r}")
    value = _shaped(one.value, properties[key].structure, version)
    if properties[key].element.is_list:
        parent.setdefault(key, []).append(value)
    elif key in parent:
        raise ValueError(f"{one.name} is there already and does not repeat; use replace")
    else:
        parent[key] = value


def _shaped(value: Any, structure: str, version: FhirVersion) -> Any:
    """A value as it stands in JSON: a backbone element put together from its parts."""
    if not isinstance(value, dict) or not all(isinstance(item, tuple) for item in value.values()) or not value:
        return value
    properties = definitions(version).structure(structure).properties
    built: JSON = {}
    for name, (inner, kind) in value.items():
        key = name if name in properties else f"{name}{kind[:1].upper()}{kind[1:]}"
        if key not in properties:
            raise ValueError(f"{structure} has no element {name!r}")
        shaped = _shaped(inner, properties[key].structure, version)
        built[key] = [shaped] if properties[key].element.is_list else shaped
    return built


def _structure_at(resource: JSON, path: str, version: FhirVersion) -> str:
    return compile_path(version, resource["resourceType"], path).tracks[0].structure


def _split(path: str) -> tuple[str, str, str]:
    """`Medication.ingredient.where(isActive = true)[0]` as its parent, the last element's name, and its filters."""
    depth = 0
    cut = -1
    # The last element is the last dot outside of parentheses that no function follows.
    for position, character in enumerate(path):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "." and depth == 0 and re.match(r"\.(?!first\(|where\(|ofType\(|as\()", path[position:]):
            cut = position
    if cut < 0:
        raise ValueError("the path names no element of the resource")
    match = re.fullmatch(r"([a-zA-Z][a-zA-Z0-9]*)(.*)", path[cut + 1 :], re.DOTALL)
    if match is None:
        raise ValueError("the path does not end in an element")
    return path[:cut], match[1], match[2]


def _list_at(resource: JSON, path: str, version: FhirVersion) -> tuple[JSON, str, str]:
    """The parent and the key of a whole list."""
    before, name, filters = _split(path)
    parents = [node for _, node in compile_path(version, resource["resourceType"], before).values(resource)]
    holders = [parent for parent in parents if isinstance(parent, dict) and isinstance(parent.get(name), list)]
    if filters or len(holders) != 1:
        raise ValueError("the path must select one list")
    return holders[0], name, filters


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
    for position, character in enumerate(text):
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
    if place.index is not None:
        place.parent[place.key][place.index] = value
        return
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
