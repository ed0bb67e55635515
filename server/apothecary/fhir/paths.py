"""The part of FHIRPath that search parameters are written in, compiled to walks over plain JSON.

https://hl7.org/fhir/R5/searchparameter-definitions.html#SearchParameter.expression and https://hl7.org/fhirpath/N1/

Compiled are: paths, `|`, `as`, `as()`, `ofType()`, `where()` over comparisons, `resolve() is T`, `exists()` and
`hasExtension()`,
`extension(url)`, `matches()`, `[n]`, `first()`, `exists()`, `and`, `or` and `!= false`. The element definitions give
every step its type, so a result knows
whether it is a CodeableConcept or a code. An expression outside this part is a `PathError` when it is compiled, never
an empty result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from apothecary.errors import BudgetSpent, RegularExpressionError
from apothecary.fhir.budgets import Budget
from apothecary.fhir.caches import short_cache
from apothecary.fhir.definitions import definitions
from apothecary.fhir.regular_expressions import RegularExpression, regular_expression
from apothecary.fhir.releases import FhirVersion

LONGEST = 10_000
# A choice of types multiplies the ways through it: `extension.value.extension.value` has hundreds.
_MOST_TRACKS = 250
# The steps of one matches() on one value: about a second, for a value as long as a string may be.
_MATCHING = 1_000_000

Nodes = list[Any]
Step = Callable[[Nodes], Nodes]


class PathError(ValueError):
    """An expression that is not a path over the type, or not in the compiled part of FHIRPath."""


@dataclass(frozen=True, slots=True)
class Track:
    """One way through the type: `steps` lead from the root to values of the FHIR type `type` (described by
    `structure`).
    """

    steps: tuple[str | Step, ...]
    type: str
    structure: str
    # The value set of a required binding at the end of the way: it implies the system of a `code`.
    value_set: str | None = None

    def walk(self, root: Any) -> Nodes:
        """The values at the end of this way, flattened; empty where the resource has none."""
        nodes = [root]
        for step in self.steps:
            nodes = follow(nodes, step)
            if not nodes:
                break
        return nodes


def follow(nodes: Nodes, step: str | Step) -> Nodes:
    """The values one step further, flattened."""
    if step.__class__ is not str:
        return step(nodes)  # type: ignore[operator] # a name is a str
    found: Nodes = []
    for node in nodes:
        value = node.get(step) if node.__class__ is dict else None
        if value is None:
            continue
        if value.__class__ is list:
            found += value if None not in value else [item for item in value if item is not None]
        else:
            found.append(value)
    return found


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled expression: the union of its tracks."""

    expression: str
    tracks: tuple[Track, ...]

    def values(self, root: Any) -> Iterator[tuple[str, Any]]:
        """(FHIR type, JSON value) of everything that the expression selects, track by track."""
        for track in self.tracks:
            for node in track.walk(root):
                yield track.type, node

    @property
    def types(self) -> frozenset[str]:
        """The FHIR types that the expression can select."""
        return frozenset(track.type for track in self.tracks)


@short_cache(4096, longest=500)
def compile_path(version: FhirVersion, root: str, expression: str) -> Path:
    """`expression` as a walk from a value of type `root` (a type name or a backbone path). Raises PathError."""
    if len(expression) > LONGEST:
        raise PathError(f"an expression has at most {LONGEST} characters, this one {len(expression)}")
    parser = _Parser(version, expression)
    try:
        tracks = parser.union([Track((), root.rpartition(".")[2] if "." in root else root, root)])
    except RecursionError:
        raise PathError(f"{expression[:40]!r}... is nested too deep") from None
    parser.end()
    return Path(expression, tuple(dict.fromkeys(tracks)))


_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z_$][A-Za-z0-9_]*)|(?P<text>'(?:[^'\\]|\\.)*')|(?P<number>\d+)|(?P<sign>!=|[|.()\[\]=]))"
)


class _Parser:
    """A recursive-descent parser that carries tracks instead of building a tree."""

    def __init__(self, version: FhirVersion, expression: str) -> None:
        self.definitions = definitions(version)
        self.expression = expression
        self.tokens: list[str] = []
        position = 0
        text = expression.strip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise PathError(f"{expression!r}: cannot read {text[position:][:20]!r}")
            self.tokens.append(match.group().strip())
            position = match.end()
        self.position = 0

    # -- tokens

    def peek(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self, expected: str | None = None) -> str:
        found = self.peek()
        if not found or (expected is not None and found != expected):
            raise PathError(f"{self.expression!r}: expected {expected or 'more'} and found {found or 'the end'!r}")
        self.position += 1
        return found

    def end(self) -> None:
        if self.peek():
            raise PathError(
                f"{self.expression!r}: {self.peek()!r} is not in the part of FHIRPath that search parameters may use"
            )

    # -- grammar

    def union(self, tracks: list[Track]) -> list[Track]:
        result = self.logic(tracks)
        while self.peek() == "|":
            self.take()
            result = result + self.logic(tracks)
        return result

    def logic(self, tracks: list[Track]) -> list[Track]:
        """`a.exists() and a != false`, `a = 'x' or b = 'y'`: every operand, or any, is true; the two need parentheses
        to mix.
        """
        operands = [self.comparison(tracks)]
        operator = self.peek()
        while operator in ("and", "or") and self.peek() == operator:
            self.take()
            operands.append(self.comparison(tracks))
        if len(operands) == 1:
            return operands[0]
        combine = all if operator == "and" else any
        return [
            _boolean(
                lambda node: combine(
                    any(value is True for track in one for value in track.walk(node)) for one in operands
                )
            )
        ]

    def comparison(self, tracks: list[Track]) -> list[Track]:
        operand = self.typed(tracks)
        if self.peek() not in ("=", "!="):
            return operand
        wanted = self.take() == "="
        literal = self.literal()

        def compare(node: Any) -> bool | None:
            values = [value for track in operand for value in track.walk(node)]
            # FHIRPath: comparing an empty collection gives empty, which a criterion reads as false.
            return None if not values else (literal in values) is wanted

        return [_boolean(compare)]

    def literal(self) -> Any:
        found = self.take()
        if found.startswith("'"):
            return re.sub(r"\\(.)", r"\1", found[1:-1])
        if found in ("true", "false"):
            return found == "true"
        if found.isdigit():
            return int(found)
        raise PathError(f"{self.expression!r}: {found!r} is not a literal")

    def typed(self, tracks: list[Track]) -> list[Track]:
        operand = self.invocation(tracks)
        while self.peek() in ("as", "is"):
            keyword = self.take()
            name = self.take()
            if keyword == "is":
                raise PathError(f"{self.expression!r}: 'is' may only follow resolve() inside where()")
            operand = self.of_type(operand, name)
        return operand

    def invocation(self, tracks: list[Track]) -> list[Track]:
        if self.peek() == "(":
            self.take()
            result = self.union(tracks)
            self.take(")")
        else:
            result = self.term(tracks, self.take(), first=True)
        while self.peek() in (".", "["):
            if self.take() == "[":
                index = int(self.take())
                self.take("]")
                result = [_extend(track, partial(_at, index)) for track in result]
            else:
                result = self.term(result, self.take())
        return result

    def term(self, tracks: list[Track], name: str, first: bool = False) -> list[Track]:
        if self.peek() == "(" and name in _FUNCTIONS:
            self.take()
            result: list[Track] = getattr(self, f"function_{_FUNCTIONS[name]}")(tracks)
            self.take(")")
            return result
        if name == "$this":
            return tracks
        if first and name[0].isupper():
            return self.root(tracks, name)
        found = [new for track in tracks for new in self.member(track, name)]
        if not found:
            raise PathError(
                f"{self.expression!r}: {' or '.join(sorted({t.structure for t in tracks}))} has no element {name!r}"
            )
        if len(found) > _MOST_TRACKS:
            raise PathError(f"{self.expression!r} has more ways through the type than {_MOST_TRACKS}")
        return found

    def root(self, tracks: list[Track], name: str) -> list[Track]:
        """A leading type name keeps the context if it is that type or one of its ancestors."""
        for track in tracks:
            ancestor: str | None = track.structure
            while ancestor is not None:
                if ancestor == name:
                    return tracks
                ancestor = (
                    self.definitions.structure(ancestor).base if self.definitions.has_structure(ancestor) else None
                )
        raise PathError(f"{self.expression!r} starts at {name}, not at {tracks[0].structure}")

    def member(self, track: Track, name: str) -> Iterator[Track]:
        structure = self.definitions.structure(track.structure)
        for key, one in structure.properties.items():
            if key == name or one.element.name == f"{name}[x]":
                binding = one.element.binding
                required = binding.value_set if binding is not None and binding.strength == "required" else None
                yield Track((*track.steps, key), one.type, one.structure, required)

    # -- functions

    def of_type(self, tracks: list[Track], name: str) -> list[Track]:
        kept = [track for track in tracks if track.type == name]
        if self.definitions.is_resource_type(name):
            anything = [track for track in tracks if track.type in ("Resource", "DomainResource")]
            kept += [Track((*track.steps, _resources_of(name)), name, name) for track in anything]
        if not kept:
            raise PathError(f"{self.expression!r}: {' or '.join(sorted({t.type for t in tracks}))} is never a {name}")
        return kept

    def function_of_type(self, tracks: list[Track]) -> list[Track]:
        return self.of_type(tracks, self.take())

    def function_where(self, tracks: list[Track]) -> list[Track]:
        if self.tokens[self.position : self.position + 4] == ["resolve", "(", ")", "is"]:
            self.position += 4
            name = self.take()
            return [_extend(track, _pointing_to(name)) for track in tracks]
        start = self.position
        result = []
        for track in tracks:
            self.position = start
            criterion = self.logic([Track((), track.type, track.structure)])
            if any(one.type != "boolean" for one in criterion):
                raise PathError(f"{self.expression!r}: where() needs a comparison, exists() or hasExtension()")
            result.append(_extend(track, partial(_meeting, criterion)))
        return result

    def function_extension(self, tracks: list[Track]) -> list[Track]:
        url = self.literal()
        return [Track((*track.steps, "extension", _with_url(url)), "Extension", "Extension") for track in tracks]

    def function_has_extension(self, tracks: list[Track]) -> list[Track]:
        url = self.literal()
        return [
            _boolean(
                lambda node: any(
                    isinstance(value, dict) and any(one.get("url") == url for one in value.get("extension", ()))
                    for track in tracks
                    for value in track.walk(node)
                )
            )
        ]

    def function_matches(self, tracks: list[Track]) -> list[Track]:
        try:
            pattern = regular_expression(self.literal())
        except RegularExpressionError as error:
            raise PathError(f"{self.expression!r}: {error}") from None
        return [_boolean(lambda node: any(_matches(pattern, v) for track in tracks for v in track.walk(node)))]

    def function_exists(self, tracks: list[Track]) -> list[Track]:
        return [_boolean(lambda node: any(track.walk(node) for track in tracks))]

    def function_first(self, tracks: list[Track]) -> list[Track]:
        # The first of a union is the first track that has a value; tracks are in the order of the expression.
        return [replace(one, steps=(partial(_first_of, one, tracks[:number]),)) for number, one in enumerate(tracks)]


_FUNCTIONS = {
    "as": "of_type",
    "ofType": "of_type",
    "where": "where",
    "extension": "extension",
    "hasExtension": "has_extension",
    "exists": "exists",
    "first": "first",
    "matches": "matches",
}


def _matches(pattern: RegularExpression, value: Any) -> bool:
    try:
        return isinstance(value, str) and pattern.found_in(value, Budget(_MATCHING))
    except BudgetSpent as error:
        raise PathError(f"matches() on a text of {len(value)} characters: {error}") from None


def _at(index: int, nodes: Nodes) -> Nodes:
    return nodes[index : index + 1]


def _meeting(criterion: list[Track], nodes: Nodes) -> Nodes:
    return [node for node in nodes if any(True in track.walk(node) for track in criterion)]


def _first_of(track: Track, earlier: list[Track], nodes: Nodes) -> Nodes:
    """The first value of `track`, where none of the tracks before it has one."""
    if any(before.walk(node) for node in nodes for before in earlier):
        return []
    return [value for node in nodes for value in track.walk(node)][:1]


def _extend(track: Track, step: Step) -> Track:
    return replace(track, steps=(*track.steps, step))


def _boolean(test: Callable[[Any], bool | None]) -> Track:
    return Track(
        (lambda nodes: [result for node in nodes if (result := test(node)) is not None],), "boolean", "boolean"
    )


def _resources_of(name: str) -> Step:
    return lambda nodes: [node for node in nodes if isinstance(node, dict) and node.get("resourceType") == name]


def _with_url(url: str) -> Step:
    return lambda nodes: [node for node in nodes if isinstance(node, dict) and node.get("url") == url]


def _pointing_to(name: str) -> Step:
    """`resolve() is T`, decided from the reference itself: the target may live on another server."""
    pattern = re.compile(rf"(?:^|/){name}/[^/]+(?:/_history/[^/]+)?$")

    def matches(node: Any) -> bool:
        if isinstance(node, str):
            return pattern.search(node) is not None
        return isinstance(node, dict) and (
            node.get("type") == name or pattern.search(str(node.get("reference", ""))) is not None
        )

    return lambda nodes: [node for node in nodes if matches(node)]
