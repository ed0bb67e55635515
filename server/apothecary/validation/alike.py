"""Values that an invariant cannot tell apart: most elements of a large resource are alike in the little that it reads
(https://hl7.org/fhir/R5/conformance-rules.html#constraints).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from apothecary.fhir.structures import Structure

# These look at nothing but their input and arguments, and so at nothing that the expression does not name.
_PLAIN = frozenset(
    {
        *(
            "all",
            "allFalse",
            "as",
            "count",
            "empty",
            "endsWith",
            "exists",
            "first",
            "is",
            "isDistinct",
            "length",
            "matches",
            "not",
        ),
        *("ofType", "select", "startsWith", "substring", "tail", "toInteger", "where"),
    }
)
_WORDS = frozenset({"and", "or", "xor", "implies", "in", "contains", "is", "as", "div", "mod"})
_MOST_PARTS = 4
_LONGEST = 100


def read_by(expression: str, structure: Structure) -> frozenset[str] | None:
    """The JSON properties that an invariant on a `structure` can read; None where more may matter than those."""
    if structure.kind == "resource":
        return None  # What is named depends on the type that the resource is of.
    # Loaded with the rest of the engine, by the first invariant that needs it.
    from apothecary.validation.fhirpath.tokens import tokens

    names = set()
    parts = tokens(expression)
    for index, (kind, text) in enumerate(parts):
        if kind == "variable" or (kind == "special" and not _of_what_is_named(parts, index, structure)):
            return None
        if kind == "name" and index + 1 < len(parts) and parts[index + 1].text == "(" and text not in _WORDS - _PLAIN:
            if text not in _PLAIN:
                return None
        elif kind in ("name", "quoted"):
            names.add(text.strip("`"))
    keys = {key for key, found in structure.properties.items() if found.element.name.removesuffix("[x]") in names}
    return frozenset({*keys, *(f"_{key}" for key in keys)})


def _of_what_is_named(parts: Sequence[tuple[str, str]], index: int, structure: Structure) -> bool:
    """Whether `$this` goes over a property of the structure: `when.select($this in ('C' | 'CM'))`."""
    if index < 4 or parts[index][1] != "$this":
        return False
    name, *call = (text for _, text in parts[index - 4 : index])
    return name in structure.properties and call in ([".", "all", "("], [".", "select", "("], [".", "where", "("])


def alike(value: Any, read: frozenset[str]) -> Hashable | None:
    """What two values have in common that are the same in the properties of `read`; None where that is too much to
    keep.
    """
    if not isinstance(value, dict):
        return None
    if read.isdisjoint(value):
        return ()  # Most have nothing that an invariant reads.
    found: list[Hashable] = []
    for key, item in value.items():
        if key in read:
            part = _part(item) or _parts(item)
            if part is None:
                return None
            found.append((key, part))
    return tuple(found)


def _part(item: Any) -> Hashable | None:
    kind = item.__class__
    # True is 1 to Python.
    return (kind, item) if kind is bool or kind is int or (kind is str and len(item) <= _LONGEST) else None


def _parts(item: Any) -> Hashable | None:
    """A few values in an array or object, or in the objects of an array."""
    if not isinstance(item, list | dict) or len(item) > _MOST_PARTS:
        return None
    if isinstance(item, dict):
        pairs = [(key, _part(inner)) for key, inner in item.items()]
        return None if any(part is None for _, part in pairs) else tuple(pairs)
    parts = [_part(inner) or (_parts(inner) if isinstance(inner, dict) else None) for inner in item]
    return None if None in parts else ("list", *parts)
