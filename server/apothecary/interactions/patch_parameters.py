"""A FHIRPath Patch as it is sent: a Parameters resource with one parameter for each operation
(https://hl7.org/fhir/R5/fhirpatch.html).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apothecary.errors import BadRequest
from apothecary.fhir.json import JSON
from apothecary.fhir.releases import FhirVersion

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
