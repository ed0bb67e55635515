"""Where a reference leads, and whence one comes: https://hl7.org/fhir/R5/search.html#chaining"""

from __future__ import annotations

from collections.abc import Sequence

from apothecary.errors import BadRequest
from apothecary.search.parameter import SearchParameter
from apothecary.search.parameters import Registry
from apothecary.search.suggestions import instead
from apothecary.suggestions import or_rather


def reference(registry: Registry, resource_type: str, code: str, name: str) -> SearchParameter | None:
    """The reference parameter that `name`, a whole parameter name, follows from `resource_type`; None where the type
    has none of that code. Raises BadRequest for a parameter of another type.
    """
    parameter = registry.get(resource_type, code)
    if parameter is not None and parameter.type != "reference":
        raise BadRequest(
            f"{name}: {code} is a {parameter.type} parameter; only references can be followed", expression=name
        )
    return parameter


def lacking(
    registry: Registry,
    resource_type: str,
    written: str,
    name: str,
    *,
    place: str = "",
    kinds: tuple[str, ...] | None = None,
) -> BadRequest:
    """What to raise where a type lacks a parameter on which the sense of the search `name` hangs. `place` says where
    in it; only parameters of the types `kinds` would do.
    """
    reason = f"{place}{resource_type} has no search parameter {written.partition(':')[0]!r}"
    return BadRequest(reason, expression=name, remedy=instead(registry, (resource_type,), written, kinds))


def targets(registry: Registry, parameter: SearchParameter, modifier: str | None) -> tuple[str, ...]:
    """The served types that a reference may point to: the one that `modifier` names, or all. Raises BadRequest."""
    if modifier is not None:
        if not registry.serves(modifier):
            raise BadRequest(
                f"{parameter.code}:{modifier}: this server has no resource type {modifier!r}"
                + or_rather(modifier, registry.types),
                expression=f"{parameter.code}:{modifier}",
            )
        names_type(parameter, modifier)
        return (modifier,)
    found = registry.types if not parameter.targets or "Resource" in parameter.targets else parameter.targets
    return tuple(one for one in found if registry.serves(one))


def names_type(parameter: SearchParameter, modifier: str) -> bool:
    """Whether `modifier` is the type of what a reference points to: https://hl7.org/fhir/R5/search.html#modifiertype

    Raises BadRequest for a type that the parameter never points to.
    """
    if parameter.type != "reference" or not modifier[:1].isupper():
        return False
    if parameter.targets and "Resource" not in parameter.targets and modifier not in parameter.targets:
        raise BadRequest(
            f"{parameter.code}:{modifier}: {parameter.code} points to {', '.join(parameter.targets)}",
            expression=f"{parameter.code}:{modifier}",
        )
    return True


def reverse(
    registry: Registry, resource_type: str, name: str, searched: Sequence[str] = ()
) -> tuple[str, SearchParameter, str]:
    """The type, the reference and the parameter that `_has:Type:reference:parameter` names. Of several types that are
    `searched` at once, those that the reference never points to have no matches. Raises BadRequest where it points to
    none.

    https://hl7.org/fhir/R5/search.html#has
    """
    parts = name.split(":", 3)
    if len(parts) < 4 or not all(parts):
        raise BadRequest(f"{name}: write _has:Type:reference:parameter", expression=name)
    _, source, code, rest = parts
    if not registry.serves(source):
        near = or_rather(source, registry.types)
        raise BadRequest(f"{name}: this server has no resource type {source!r}{near}", expression=name)
    parameter = reference(registry, source, code, name)
    if parameter is None:
        raise lacking(registry, source, code, name, place=f"{name}: ", kinds=("reference",))
    if not {resource_type, *searched} & set(targets(registry, parameter, None)):
        raise BadRequest(f"{name}: {source}.{code} never points to {resource_type}", expression=name)
    return source, parameter, rest
