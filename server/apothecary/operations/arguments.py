"""Whether an operation was called with what it takes: https://hl7.org/fhir/R5/operations.html#extensibility

Nothing that was given is passed over: what is not known, of another type, or given twice is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from apothecary.errors import BadRequest, NotSupported
from apothecary.fhir.json import JSON
from apothecary.operations.base import Argument, Call

# Clients write one of these for another, and mean the same text.
_TEXTS = frozenset({"String", "Uri", "Url", "Canonical", "Code", "Id", "Markdown", "Oid", "Uuid"})
_KINDS = {
    **dict.fromkeys(("uri", "canonical", "code", "id", "string"), _TEXTS),
    "boolean": _TEXTS | {"Boolean"},
    "integer": _TEXTS | {"Integer", "PositiveInt", "UnsignedInt"},
    "Coding": frozenset({"Coding"}),
    "CodeableConcept": frozenset({"CodeableConcept"}),
}
# https://hl7.org/fhir/R5/operations.html#executing: only primitive values stand in an address.
_IN_ADDRESSES = frozenset(_KINDS) - {"Coding", "CodeableConcept"}


def check(call: Call, taken: Iterable[Argument]) -> None:
    """Raises NotSupported for a parameter that is not known here and would change the answer, BadRequest for one of
    another type, or given more often than it may be.
    """
    known = {one.name: one for one in taken}
    posted = [str(one.get("name")) for one in call.listed]
    for name in (*(name for name, _ in call.pairs), *posted):
        if name not in known:
            raise NotSupported(
                f"{name}: this parameter is not known here; those are {', '.join(sorted(known))}", expression=name
            )
    for name, _ in call.pairs:
        if known[name].type not in _IN_ADDRESSES:
            raise BadRequest(f"{name} is of the type {known[name].type}: POST it", expression=name, code="value")
    for name, count in Counter([*(name for name, _ in call.pairs), *posted]).items():
        if count > 1 and not known[name].repeats:
            raise BadRequest(f"{name} is given {count} times, it is taken once", expression=name, code="value")
        if name in posted and any(name == one for one, _ in call.pairs):
            raise BadRequest(f"{name} is in the address and in the body", expression=name, code="value")
    for one in call.listed:
        _check(known[str(one.get("name"))], one)


def _check(wanted: Argument, given: JSON) -> None:
    name = wanted.name
    values = {key: value for key, value in given.items() if key.startswith("value") or key in ("resource", "part")}
    if len(values) != 1:
        raise BadRequest(f"the parameter {name!r} has one value", expression=name, code="structure")
    key, value = next(iter(values.items()))
    kinds = _KINDS.get(wanted.type)
    if kinds is not None:
        right = key.removeprefix("value") in kinds and _fits(wanted.type, value)
    elif wanted.type == "BackboneElement":
        right = key == "part" and isinstance(value, list)
    else:
        right = key == "resource" and isinstance(value, dict)
        right = right and (wanted.type == "Resource" or value.get("resourceType") == wanted.type)
    if not right:
        raise BadRequest(f"{name} is of the type {wanted.type}, not {key}", expression=name, code="value")


def _fits(kind: str, value: Any) -> bool:
    if kind in ("Coding", "CodeableConcept"):
        return isinstance(value, dict)
    # What is in the text is looked at where it is used.
    return isinstance(value, str) or (kind in ("boolean", "integer") and isinstance(value, int))


def with_(call: Call, name: str, needed: str) -> None:
    """Raises BadRequest where a parameter is given without the one that it says more of."""
    if call.values(name) and not call.values(needed):
        raise BadRequest(f"{name} says nothing without {needed}", expression=name, code="value")


def alone(call: Call, *names: str) -> None:
    """Raises BadRequest where more than one is given of parameters that stand for each other."""
    given = [name for name in names if any(one not in (None, "") for one in call.values(name))]
    if len(given) > 1:
        raise BadRequest(f"{' and '.join(given)}: give one of them", expression=given[1], code="value")
