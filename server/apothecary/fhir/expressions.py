"""The FHIRPath of search parameters, its branches, its repair and where it leads:
https://hl7.org/fhir/R5/searchparameter.html.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from apothecary.fhir.structures import Structure

_AS_CALL = re.compile(r"\.as\((\w+)\)")
_AS_IN_PARENTHESES = re.compile(r"\(([\w.\[\]]+) as (\w+)\)")
_AS = re.compile(r"([\w.\[\]]+) as (\w+)")
_RESOLVE_IS = re.compile(r"where\(resolve\(\) is (\w+)\)")
_ROOT = re.compile(r"\(*([A-Z]\w*)")
_STEP = re.compile(r"(?P<name>\w+)(?:\((?P<argument>.*)\))?(?:\[\d+\])?", re.DOTALL)
_OPERATORS = (" and ", " or ", " != ", " = ")
_SAME = frozenset({"where", "first", "last"})
_BOOLEAN = frozenset({"exists", "empty", "not", "hasValue", "matches"})
_FUNCTIONS = _SAME | _BOOLEAN | {"extension", "ofType"}
_FUNCTION = re.compile(r"(\w+)\(")


class ExpressionError(ValueError):
    """An expression that is not understood, or that names an element that does not exist."""


def repair_expression(expression: str) -> str:
    """`expression` in a form that FHIRPath engines run on lists and without resolving references.

    `as` becomes `ofType`, since `as` fails on more than one item; `resolve() is T` becomes a test on the reference.
    """
    found = _AS_CALL.sub(r".ofType(\1)", expression)
    found = _AS_IN_PARENTHESES.sub(r"\1.ofType(\2)", found)
    found = _AS.sub(r"\1.ofType(\2)", found)
    return _RESOLVE_IS.sub(lambda match: f"where({reference_test(match[1])})", found)


def reference_test(type_name: str) -> str:
    """FHIRPath that is true on a Reference to `type_name`: relative, absolute, versioned, or by its `type` element."""
    return f"type = '{type_name}' or reference.matches('^(.*/)?{type_name}/[^/]+(/_history/[^/]+)?$')"


def split_top(expression: str, *separators: str) -> list[str]:
    """`expression` cut at each of `separators` that stands outside parentheses and quotes, each part stripped."""
    parts, depth, quoted, start = [], 0, False, 0
    for position, character in enumerate(expression):
        if character == "'":
            quoted = not quoted
        elif not quoted:
            depth += (character == "(") - (character == ")")
            if depth == 0:
                for separator in separators:
                    if position >= start and expression.startswith(separator, position):
                        parts.append(expression[start:position].strip())
                        start = position + len(separator)
    parts.append(expression[start:].strip())
    return parts


def branches(expression: str) -> list[str]:
    """The members of the union that `expression` is."""
    return split_top(expression, "|")


def branches_for(expression: str, type_name: str) -> list[str]:
    """The branches that start at `type_name`; when none does, those that start at no type at all."""
    found: dict[str | None, list[str]] = {}
    for branch in branches(expression):
        root = _ROOT.match(branch)
        found.setdefault(root and root[1], []).append(branch)
    return found.get(type_name) or found.get(None, [])


def leads_to(
    expression: str, structure: Callable[[str], Structure], start: str | None = None, resource: str | None = None
) -> set[str]:
    """The names of the structures that `expression` ends in: `{"CodeableConcept"}`, `{"Composition.section"}`.

    A path starts at the type it names, else at `start`; `resource` is what `%resource` stands for. `structure` is
    `Definitions.structure`. Raises ExpressionError for an element that does not exist: so a broken parameter shows.
    """
    found: set[str] = set()
    for branch in branches(expression):
        found |= _walk(branch, structure, start, resource)
    return found


def _walk(expression: str, structure: Callable[[str], Structure], start: str | None, resource: str | None) -> set[str]:
    operands = split_top(expression, *_OPERATORS)
    if len(operands) > 1:
        for operand in operands:
            if operand not in ("true", "false"):
                _walk(operand, structure, start, resource)
        return {"boolean"}
    first, *steps = split_top(expression, ".")
    if first.startswith("(") and first.endswith(")"):
        at = leads_to(first[1:-1], structure, start, resource)
    elif first == "%resource" and resource is not None:
        at = {resource}
    elif first[:1].isupper():
        at = {first}
    elif start is not None:
        at, steps = {start}, [first, *steps]
    else:
        raise ExpressionError(f"{expression!r} starts at no type")
    for step in steps:
        match = _STEP.fullmatch(step)
        if match is None:
            raise ExpressionError(f"{step!r} of {expression!r} is not a step of a path")
        if match["argument"] is None:
            at = set(_children(at, match["name"], structure, expression))
        else:
            at = _call(at, match["name"], match["argument"], structure, expression)
    return at


def _call(
    at: set[str], function: str, argument: str, structure: Callable[[str], Structure], expression: str
) -> set[str]:
    if function == "ofType":
        if at == {"Resource"} and structure(argument).kind == "resource":
            return {argument}
        if argument not in at:
            raise ExpressionError(f"no {argument} among {sorted(at)} in {expression!r}")
        return {argument}
    if function == "extension":
        return {"Extension"}
    if function in _SAME:
        unknown = set(_FUNCTION.findall(argument)) - _FUNCTIONS
        if unknown:
            raise ExpressionError(f"function {min(unknown)!r} in {expression!r} is not known")
        return at
    if function in _BOOLEAN:
        return {"boolean"}
    raise ExpressionError(f"function {function!r} in {expression!r} is not known")


def _children(at: set[str], name: str, structure: Callable[[str], Structure], expression: str) -> Iterator[str]:
    found = False
    for parent in at:
        for item in structure(parent).properties.values():
            element = item.element.name
            if element == name or element == f"{name}[x]":
                found = True
                yield item.structure
    if not found:
        raise ExpressionError(f"no element {name!r} in {', '.join(sorted(at))}: {expression!r}")
