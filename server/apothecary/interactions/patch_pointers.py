"""Why an operation of a JSON Patch does not fit a resource, in words of the resource: https://www.rfc-editor.org/rfc/rfc6902"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What an operation needs beside `op` and `path`: https://www.rfc-editor.org/rfc/rfc6902#section-4
_NEEDED = {
    "add": ("value",),
    "replace": ("value",),
    "test": ("value",),
    "move": ("from",),
    "copy": ("from",),
    "remove": (),
}
# Positions are compared as numbers; no list has so many items that one would need more digits.
_MOST_DIGITS = 18


def incomplete(operation: Any) -> str | None:
    """What an operation of a JSON Patch lacks to be one, whatever it is applied to; None where it is whole."""
    if not isinstance(operation, dict):
        return "is no object"
    name = operation.get("op")
    if not isinstance(name, str) or name not in _NEEDED:
        return f"has no op that is one of {', '.join(sorted(_NEEDED))}"
    for member in ("path", *_NEEDED[name]):
        if member not in operation:
            return f"({name}) has no {member}"
        if member != "value" and not isinstance(operation[member], str):
            return f"({name}) has a {member} that is no text"
    return None


def lack(resource: Any, operation: Mapping[str, Any]) -> str | None:
    """What the resource lacks for an operation; None where its pointers lead somewhere."""
    adding = operation["op"] in ("add", "copy", "move")
    found = _lack(resource, operation["from"], False) if operation["op"] in ("copy", "move") else None
    return found or _lack(resource, operation["path"], adding)


def _lack(resource: Any, pointer: str, adding: bool) -> str | None:
    """Where `pointer` stops (https://www.rfc-editor.org/rfc/rfc6901); `adding` needs only what its end stands in."""
    if pointer and not pointer.startswith("/"):
        return f"{pointer!r} is no JSON Pointer; one begins with a slash"
    node, place = resource, "the resource"
    steps = [one.replace("~1", "/").replace("~0", "~") for one in pointer.split("/")[1:]]
    for number, step in enumerate(steps):
        last = adding and number == len(steps) - 1
        if isinstance(node, list):
            if last and step == "-":
                return None
            if not (step.isascii() and step.isdigit()):
                return f"{place} is a list, so a number follows it, or - at the end; {step!r} is neither"
            if len(step) > _MOST_DIGITS or int(step) > len(node) - (0 if last else 1):
                items = "item" if len(node) == 1 else "items"
                return f"{place} has {len(node)} {items}, counted from 0; there is no {step[:_MOST_DIGITS]}"
            if last:
                return None
            node = node[int(step)]
        elif isinstance(node, dict):
            if last:
                return None
            if step not in node:
                return f"{place} has no {step!r}; add it first, as a whole"
            node = node[step]
        else:
            return f"{place} is a single value, so nothing is inside it"
        place = f"/{'/'.join(steps[: number + 1])}"
    return None
