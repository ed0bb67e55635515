"""The cross-version extension of an element that the other release does not have.

https://hl7.org/fhir/R5/versions.html#extensions

`http://hl7.org/fhir/5.0/StructureDefinition/extension-Medication.definition` holds R5's Medication.definition in a
resource of another release. A value whose type an extension there may have stands in `value[x]`. Any other is taken
apart: one inner extension for each child, named as the child; `_datatype` names the type
(https://hl7.org/fhir/extensions/StructureDefinition-datatype.html). A whole resource stands as its JSON text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apothecary.fhir.definitions import Property
from apothecary.fhir.json import JSON, dumps, parse
from apothecary.versions.direction import BACKBONES
from apothecary.versions.run import Run

DATATYPE = "http://hl7.org/fhir/StructureDefinition/_datatype"


def encode(run: Run, url: str, source: Property, value: Any, companion: JSON | None) -> JSON:
    """The extension that carries one value of `source`, written in the target's data types."""
    if source.type == "Resource":
        return {"url": url, "valueString": dumps(value).decode()}
    if run.direction.is_primitive(source.type):
        return _encode_primitive(run, url, source, value, companion)
    if source.type in run.direction.carried_types:
        return {"url": url, f"value{source.type}": run.structure(source.type, source.type, value)}
    return _encode_parts(run, url, source, value)


def _encode_primitive(run: Run, url: str, source: Property, value: Any, companion: JSON | None) -> JSON:
    known = source.type in run.direction.carried_types
    name = "value" + (source.type[0].upper() + source.type[1:] if known else "String")
    companion = run.companion(companion)
    if not known and source.element.is_choice:
        companion = {
            **(companion or {}),
            "extension": [_datatype(source.type), *(companion or {}).get("extension", ())],
        }
    extension: JSON = {"url": url}
    if value is not None:
        extension[name] = value
    if companion:
        extension["_" + name] = companion
    return extension


def _datatype(name: str) -> JSON:
    return {"url": DATATYPE, "valueString": name}


def _encode_parts(run: Run, url: str, source: Property, value: JSON) -> JSON:
    extension: JSON = {"url": url}
    parts: list[JSON] = [] if source.type in BACKBONES else [_datatype(source.type)]
    properties = run.direction.source.structure(source.structure).properties
    for key, one in value.items():
        found = properties.get(key.removeprefix("_"))
        if key == "id":
            extension["id"] = one
        elif key in ("extension", "modifierExtension"):
            parts.extend(_encode_own(run, key, one))
        elif found is None:
            parts.append({"url": key, "valueString": dumps(one).decode()})
        elif not (key[0] == "_" and key[1:] in value):
            name = found.element.name.removesuffix("[x]")
            parts.extend(encode(run, name, found, item, beside) for item, beside in items_of(value, found))
    extension["extension"] = parts
    return extension


def _encode_own(run: Run, key: str, extensions: list[JSON]) -> list[JSON]:
    converted = run.extensions(extensions)
    if key == "extension" and all(":" in one["url"] for one in converted):
        return converted
    # An inner url without a scheme could be taken for a child's name; and an extension has no modifiers of its own.
    return [{"url": key, "extension": converted}]


def decode(run: Run, extension: JSON, candidates: Sequence[Property]) -> tuple[Property, Any, JSON | None] | None:
    """What the opposite `encode` was given: the target's property, value and companion; None if it was not."""
    key = next((key for key in extension if key.startswith(("value", "_value"))), None)
    if key is not None:
        return _decode_value(run, extension, key.removeprefix("_"), candidates)
    inner = extension.get("extension")
    if not isinstance(inner, list):
        return None
    named = next((one.get("valueString") for one in inner if one.get("url") == DATATYPE), None)
    for target in candidates:
        if run.direction.is_primitive(target.type) or target.type == "Resource":
            continue
        if (target.type in BACKBONES and named is None) or target.type == named:
            return target, _decode_parts(run, extension, target), None
    return None


def _decode_value(
    run: Run, extension: JSON, key: str, candidates: Sequence[Property]
) -> tuple[Property, Any, JSON | None] | None:
    value: Any = extension.get(key)
    companion: JSON | None = extension.get("_" + key)
    named = None
    if companion and "extension" in companion:
        named = next((one.get("valueString") for one in companion["extension"] if one.get("url") == DATATYPE), None)
        if named is not None:
            rest = [one for one in companion["extension"] if one.get("url") != DATATYPE]
            companion = {
                **{k: v for k, v in companion.items() if k != "extension"},
                **({"extension": rest} if rest else {}),
            }
    for target in candidates:
        own = "value" + target.type[0].upper() + target.type[1:]
        if target.type == "Resource":
            return target, parse(value), None
        if run.direction.is_primitive(target.type):
            stands_in = key == "valueString" and target.type not in run.direction.inverse.carried_types
            if target.type == named or (named is None and (own == key or (stands_in and not target.element.is_choice))):
                return target, value, run.companion(companion or None)
        elif own == key:
            return target, run.structure(target.type, target.type, value), None
    return None


def _decode_parts(run: Run, extension: JSON, target: Property) -> JSON:
    structure = run.direction.target.structure(target.structure)
    by_name: dict[str, list[Property]] = {}
    for one in structure.properties.values():
        by_name.setdefault(one.element.name.removesuffix("[x]"), []).append(one)
    result: JSON = {}
    if "id" in extension:
        result["id"] = extension["id"]
    for part in extension["extension"]:
        url = part["url"]
        if url == DATATYPE and target.type not in BACKBONES:
            continue
        if url in ("extension", "modifierExtension"):
            result[url] = run.extensions(part["extension"])
        elif ":" in url:
            result.setdefault("extension", []).append(run.extension(part))
        elif url not in by_name:
            result[url] = parse(part["valueString"])
        else:
            decoded = decode(run, part, by_name[url])
            if decoded is not None:
                found, value, companion = decoded
                add_items(result, found, [(value, companion)])
    return result


def items_of(holder: JSON, one: Property) -> list[tuple[Any, JSON | None]]:
    """The values of a property of `holder` with their companions, one or many."""
    value, companion = holder.get(one.name), holder.get("_" + one.name)
    if not one.element.is_list:
        return [(value, companion)]
    values = value if isinstance(value, list) else [None] * len(companion or ())
    companions = companion if isinstance(companion, list) else [None] * len(values)
    return list(zip(values, companions, strict=False))


def add_items(holder: JSON, one: Property, items: Sequence[tuple[Any, JSON | None]]) -> None:
    """Write values and companions to a property of `holder`, after those that a list already has."""
    beside = "_" + one.name
    if not one.element.is_list:
        value, companion = items[0]
        if value is not None:
            holder[one.name] = value
        if companion:
            holder[beside] = companion
        return
    all_items = [*items_of(holder, one), *items] if one.name in holder or beside in holder else items
    values, companions = [item[0] for item in all_items], [item[1] for item in all_items]
    if any(value is not None for value in values):
        holder[one.name] = values
    if any(companions):
        holder[beside] = companions
