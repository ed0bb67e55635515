"""The JSON forms of a property: one value or an array, of objects or of primitives (https://hl7.org/fhir/R5/json.html#repeat).

Each function makes the check of one property from the check of one value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apothecary.fhir.structures import Property
from apothecary.validation.complaints import not_list, not_single
from apothecary.validation.primitives import Accept
from apothecary.validation.rules import BASE
from apothecary.validation.run import At, Run

# The check of a property: value, the object it stands in, the place of that object, depth, run.
Check = Callable[[Any, dict[str, Any], At, int, Run], None]
# The check of one primitive of a property: value, the place of the object it stands in, key, index, depth, run.
One = Callable[[Any, At, str, int | None, int, Run], None]
# The check of an object and all in it: value, its place, depth, run.
Walk = Callable[[Any, At, int, Run], None]
# The check of a whole object, after its elements: an invariant, a reference, an extension.
ObjectCheck = Callable[[dict[str, Any], At, Run], None]


def followed(walk: Walk, after: tuple[ObjectCheck, ...]) -> Walk:
    """`walk`, and then the checks of `after`."""
    if not after:
        return walk

    def both(value: Any, at: At, depth: int, run: Run) -> None:
        walk(value, at, depth, run)
        if isinstance(value, dict):
            for one in after:
                one(value, at, run)

    return both


def one_object(found: Property, walk: Walk) -> Check:
    """A property with one object, which is walked."""
    name = found.name

    def check(value: Any, parent: dict[str, Any], at: At, depth: int, run: Run) -> None:
        if not isinstance(value, dict):
            not_single(value, at, name, found, run)
            return
        walk(value, (at, name, None), depth + 1, run)

    return check


def objects(found: Property, walk: Walk) -> Check:
    """A property with an array of objects, each as in `one_object`."""
    name = found.name

    def check(value: Any, parent: dict[str, Any], at: At, depth: int, run: Run) -> None:
        if not isinstance(value, list) or not value:
            not_list(value, at, name, run)
            return
        for index, item in enumerate(value):
            if item is None:
                run.report(BASE["null-value"], at, "is null", key=name, index=index)
                continue
            walk(item, (at, name, index), depth + 1, run)

    return check


def one_primitive(found: Property, accept: Accept, one: One) -> Check:
    """A property with one primitive; of a value that `accept` takes `one` has nothing to say."""
    name = found.name

    def check(value: Any, parent: dict[str, Any], at: At, depth: int, run: Run) -> None:
        if accept(value):
            return
        if value is None or isinstance(value, list):
            not_single(value, at, name, found, run)
        else:
            one(value, at, name, None, depth, run)

    return check


def primitives(found: Property, accept: Accept, one: One) -> Check:
    """A property with an array of primitives, as `one_primitive`; null fills the gaps of its twin."""
    name, twin = found.name, f"_{found.name}"

    def check(value: Any, parent: dict[str, Any], at: At, depth: int, run: Run) -> None:
        if not isinstance(value, list) or not value:
            not_list(value, at, name, run)
            return
        for index, item in enumerate(value):
            if accept(item):
                continue
            if item is not None:
                one(item, at, name, index, depth, run)
            else:
                other = parent.get(twin)
                if not isinstance(other, list) or index >= len(other) or other[index] is None:
                    text = f"is null, and {twin} has nothing at its place"
                    run.report(BASE["null-value"], at, text, key=name, index=index)

    return check
