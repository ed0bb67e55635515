"""Where the elements stand that the path of a patch operation selects: their parents, and their keys there
(https://hl7.org/fhir/R5/fhirpatch.html).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON
from apothecary.fhir.paths import LONGEST, compile_path
from apothecary.fhir.releases import FhirVersion


@dataclass(frozen=True, slots=True)
class Place:
    """Where a selected element stands: in `parent` under `key`, at `index` where that is a list."""

    parent: JSON
    key: str
    index: int | None
    structure: str
    """What `parent` is: a type or the path of a backbone element."""


def structure_at(resource: JSON, path: str, version: FhirVersion) -> str:
    """The type, or the path of the backbone element, of what the path selects."""
    tracks = compile_path(version, resource["resourceType"], path).tracks
    if not tracks:
        raise ValueError("the path names no element")
    return tracks[0].structure


def _split(path: str) -> tuple[str, str, str]:
    """`Medication.ingredient.where(isActive = true)[0]` as its parent, the last element's name, and its filters."""
    if len(path) > LONGEST:
        raise ValueError(f"a path has at most {LONGEST} characters, this one {len(path)}")
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


def list_at(resource: JSON, path: str, version: FhirVersion) -> tuple[JSON, str, list[Any]]:
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


def places(resource: JSON, path: str, version: FhirVersion) -> list[Place]:
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
