"""Composite parameters: https://hl7.org/fhir/R5/search.html#composite

The rows of the components of one element carry the element's number, so that `a$b` matches only where both stand on the
same element.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

from apothecary.fhir.paths import Path, PathError, compile_path
from apothecary.fhir.releases import FhirVersion
from apothecary.search.normalisation import STANDARD, Systems
from apothecary.search.predicates import Joined, Or, Predicate, Row, any_of
from apothecary.search.rows import IndexRow
from apothecary.search.text import split
from apothecary.search.types.base import Request, SearchType, Value

MODIFIERS = frozenset({"missing"})
_RESOURCE = "%resource."


@dataclass(frozen=True)
class Component:
    """One component: its name in the index, its parameter type, and its expression from the composite's element."""

    name: str
    kind: SearchType
    expression: str

    @property
    def root(self) -> bool:
        """Whether the expression begins at the resource, not at the composite's element:
        https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.component.expression
        """
        return self.expression.startswith(_RESOURCE)


@dataclass(frozen=True)
class Composite:
    """The components of one composite parameter."""

    components: tuple[Component, ...]
    path: Path
    version: FhirVersion
    resource_type: str

    @cached_property
    def paths(self) -> list[list[Path]]:
        """For each track of the parameter, the paths of the components from there, or from the resource. Raises
        PathError.
        """
        return [
            [
                compile_path(
                    self.version,
                    self.resource_type if one.root else track.structure,
                    one.expression.removeprefix(_RESOURCE),
                )
                for one in self.components
            ]
            for track in self.path.tracks
        ]

    def check(self) -> None:
        """Raises PathError where a component's expression leads nowhere, or to nothing that its type reads."""
        for number, one in enumerate(self.components):
            found = {name for paths in self.paths for name in paths[number].types}
            if not found & one.kind.ELEMENTS:
                raise PathError(f"{one.expression!r}: a {one.kind.NAME} cannot read {', '.join(sorted(found))}")

    def rows(self, resource: Mapping[str, Any], systems: Systems = STANDARD) -> Iterator[IndexRow]:
        """The rows of every element that has all components; an element that lacks one can match nothing."""
        element = 0
        for track, paths in zip(self.path.tracks, self.paths, strict=True):
            for node in track.walk(resource):
                element += 1
                found = [
                    list(self._component(part, path, resource if part.root else node, element, systems))
                    for part, path in zip(self.components, paths, strict=True)
                ]
                if all(found):
                    for rows in found:
                        yield from rows

    def _component(self, part: Component, path: Path, node: Any, element: int, systems: Systems) -> Iterator[IndexRow]:
        for track in path.tracks:
            if track.type in part.kind.ELEMENTS:
                for value in track.walk(node):
                    found = Value(track.type, value, track.value_set, element, systems, self.version)
                    yield from part.kind.extract(part.name, found)

    def predicate(self, text: str, request: Request) -> Predicate:
        """`value$value`, one for each component. Raises ValueError for another number of values."""
        values = split(text, "$")
        if len(values) != len(self.components) or not all(values):
            raise ValueError(f"{text!r}: a composite takes {len(self.components)} values joined by $")
        alternatives = [
            _rows(one.kind.predicate(one.name, None, value, request))
            for one, value in zip(self.components, values, strict=True)
        ]
        return any_of([Joined(rows) for rows in product(*alternatives)])

    @property
    def present(self) -> Row:
        """Holds where the resource has an element with every component."""
        first = self.components[0]
        return Row(first.kind.TABLES[0], first.name)  # type: ignore[arg-type] # TABLES holds the names of tables


def _rows(predicate: Predicate) -> list[Row]:
    """The rows any of which will do."""
    if isinstance(predicate, Row):
        return [predicate]
    if isinstance(predicate, Or):
        return [row for one in predicate.of for row in _rows(one)]
    raise ValueError("this value cannot stand in a composite")
