"""One search parameter of a resource type: what it takes from a resource, and what it may be asked.

Standard ones come from the definitions, the product's own from SearchParameter resources:
https://hl7.org/fhir/R5/searchparameter.html
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from apothecary.fhir.definitions import definitions
from apothecary.fhir.paths import Path, PathError, Track, compile_path
from apothecary.fhir.releases import FhirVersion
from apothecary.search.normalisation import STANDARD, Systems
from apothecary.search.predicates import Chain, Has, Or, Predicate, Row
from apothecary.search.rows import IndexRow
from apothecary.search.types import (
    composite,
    date,
    number,
    quantity,
    reference,
    resource_text,
    string,
    string_by_word,
    token,
    uri,
)
from apothecary.search.types.base import Request, SearchType, Value
from apothecary.search.types.composite import Component, Composite

log = logging.getLogger("apothecary")

TYPES: Mapping[str, SearchType] = {
    module.NAME: module for module in (date, number, quantity, reference, string, token, uri)
}

# Parameters that are columns of the resource itself, not index rows.
COLUMNS = frozenset({"_id", "_lastUpdated"})


@dataclass(frozen=True)
class SearchParameter:
    """One parameter of one resource type."""

    resource_type: str
    code: str
    type: str
    url: str
    description: str
    expression: str
    version: FhirVersion
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()
    """Of a composite: (parameter type, expression from this parameter's element)."""
    by_word: bool = False
    """Of a string: whether it matches from the beginning of any word, and has inexact search."""
    contradicts: tuple[str, ...] = ()
    """The code of a parameter of the same type whose values it denies, and of those that a denial leaves out."""
    indexed_as: str = ""
    """The name of its rows in the index, where that is not its code."""

    @property
    def index(self) -> str:
        """The name under which the index holds the rows of this parameter."""
        return self.indexed_as or self.code

    @cached_property
    def path(self) -> Path:
        """The compiled expression; of a parameter of the whole resource, one that selects nothing. Raises PathError."""
        if self.code in resource_text.PARAMETERS:
            return Path("", ())
        return compile_path(self.version, self.resource_type, self.expression)

    @cached_property
    def kind(self) -> SearchType:
        """What the parameter's type does; of a composite, what its first component's type does."""
        if self.of_resource:
            return resource_text
        if self.by_word:
            return string_by_word
        return TYPES[self.components[0][0] if self.components else self.type]

    @property
    def of_resource(self) -> bool:
        """Whether it is about words: of the whole resource, or of all narratives that an expression selects."""
        return self.type == resource_text.NAME or self.code in resource_text.PARAMETERS

    @cached_property
    def composite(self) -> Composite | None:
        """The components, where the parameter is a composite."""
        if not self.components:
            return None
        parts = (
            Component(f"{self.index}${number}", TYPES[kind], expression)
            for number, (kind, expression) in enumerate(self.components)
        )
        return Composite(tuple(parts), self.path, self.version, self.resource_type)

    def check(self) -> None:
        """Raises PathError where an expression of the parameter cannot be evaluated."""
        _ = self.composite.paths if self.composite is not None else self.path

    @cached_property
    def by_url(self) -> bool:
        """Whether it is a reference that may name its target by a canonical URL instead of pointing to it."""
        return self.type == "reference" and not self.path.types <= {"Reference", "CodeableReference", "Resource"}

    def leads_to(self, target_type: str, of: Predicate) -> Predicate:
        """It points to a resource of `target_type` for which `of` holds."""
        by_id = Chain(self.index, target_type, of)
        return Or((by_id, Chain(self.index, target_type, of, by_url=True))) if self.by_url else by_id

    def led_from(self, of: Predicate) -> Predicate:
        """A resource for which `of` holds points here by it."""
        by_id = Has(self.resource_type, self.index, of)
        return Or((by_id, Has(self.resource_type, self.index, of, by_url=True))) if self.by_url else by_id

    @property
    def modifiers(self) -> frozenset[str]:
        """Modifiers that may follow the code; a reference takes resource types besides."""
        if self.code in COLUMNS:
            return frozenset({"missing", "not"}) if self.code == "_id" else frozenset({"missing"})
        if self.components:
            return composite.MODIFIERS
        if self.type == "reference" and "canonical" not in self.path.types:
            # Only versions of a canonical are above or below one another; hierarchies of resources are not known here.
            return self.kind.MODIFIERS - {"above", "below"}
        return self.kind.MODIFIERS

    @property
    def prefixes(self) -> frozenset[str]:
        return self.kind.PREFIXES

    def rows(self, resource: Mapping[str, Any], systems: Systems = STANDARD) -> Iterator[IndexRow]:
        """The index rows that `resource` (JSON, in this parameter's FHIR version) leaves for this parameter."""
        if self.composite is not None:
            yield from self.composite.rows(resource, systems)
            return
        if self.of_resource:
            yield from resource_text.rows(self.code, self.index, resource, self.version, self.path.tracks)
            return
        for track in self.readable:
            for node in track.walk(resource):
                yield from self.extract(track, node, systems)

    def extract(self, track: Track, node: Any, systems: Systems = STANDARD) -> Iterable[IndexRow]:
        """The index rows of one value at the end of `track`."""
        return self.kind.extract(self.index, Value(track.type, node, track.value_set, 0, systems, self.version))

    @cached_property
    def readable(self) -> tuple[Track, ...]:
        """The ways that lead to what this type of parameter reads."""
        return tuple(track for track in self.path.tracks if self.reads(track.type))

    def reads(self, element: str) -> bool:
        """Whether a value of the FHIR type `element` leaves index rows. A resource stands for a reference to itself."""
        if element in self.kind.ELEMENTS:
            return True
        return self.type == "reference" and definitions(self.version).is_resource_type(element)

    def predicate(self, modifier: str | None, text: str, request: Request) -> Predicate:
        """What one value asks for. Raises ValueError for a value that the type cannot take."""
        if self.composite is not None:
            return self.composite.predicate(text, request)
        return self.kind.predicate(self.index, modifier, text, request)

    @property
    def present(self) -> Row:
        """Holds where the resource has a value for this parameter."""
        if self.composite is not None:
            return self.composite.present
        return Row(self.kind.TABLES[0], self.index)  # type: ignore[arg-type] # TABLES holds the names of tables


def standard_parameters(resource_type: str, version: FhirVersion) -> Iterator[SearchParameter]:
    """The parameters that the specification defines for a type, but for what this server cannot evaluate: that is named
    in the log.
    """
    for code in definitions(version).search_parameters(resource_type):
        made = _standard(resource_type, version, code)
        if isinstance(made, SearchParameter):
            yield made
        elif made and (resource_type, code) not in UNSERVED:
            # Not offered rather than refusing every write of the type.
            log.warning("the search parameter %s?%s of FHIR %s is not served: %s", resource_type, code, version, made)


def sharing(parameters: Iterable[SearchParameter]) -> Iterator[SearchParameter]:
    """The parameters of a type, where those that take the same from a resource have their rows in common:
    `Medication?serial-number=` finds what `identifier` does. They stand under a name that is no code, so that one of
    these codes may still be defined anew.
    """
    every = list(parameters)
    alike: dict[Hashable, list[SearchParameter]] = {}
    for one in every:
        if one.code not in COLUMNS and one.composite is None and not one.of_resource and one.readable:
            alike.setdefault((one.kind, one.version, one.readable), []).append(one)
    names = {one.code: f"={same[0].code}" for same in alike.values() if len(same) > 1 for one in same}
    return (replace(one, indexed_as=names[one.code]) if one.code in names else one for one in every)


def unserved(resource_type: str, version: FhirVersion, code: str) -> str | None:
    """Why a parameter that the specification defines for a type is not served; None where it is, or there is none."""
    known = definitions(version)
    if not known.is_resource_type(resource_type) or code not in known.search_parameters(resource_type):
        return None
    made = _standard(resource_type, version, code)
    return made if isinstance(made, str) and made else None


# Of type special, or with a component that is, and more than a composition of what is there.
UNSERVED: Mapping[tuple[str, str], str] = {
    ("Location", "near"): "it asks for distances on the globe, for which there is no index here",
    ("Location", "contains"): "it asks whether a shape on the globe contains a point, for which there is no index here",
    ("Composition", "section-code-text"): "the words of a section cannot be joined to its code here",
}


def _standard(resource_type: str, version: FhirVersion, code: str) -> SearchParameter | str:
    """A parameter of the specification, or why there is none; an empty text for what looks at no element and is the
    parser's.
    """
    one = definitions(version).search_parameters(resource_type)[code]
    if code in resource_text.PARAMETERS:
        # Of type special in R5, and _text of type string in some releases.
        return SearchParameter(resource_type, code, resource_text.NAME, one.url, one.description, "", version)
    if not one.expression and code not in COLUMNS:
        return ""
    if (resource_type, code) in UNSERVED:
        return UNSERVED[resource_type, code]
    components = tuple((part.type, part.expression) for part in one.components)
    unknown = [kind for kind in ([kind for kind, _ in components] or [one.type]) if kind not in TYPES]
    if unknown and (components or one.type != resource_text.NAME):
        return f"it is of the type {unknown[0]}, or a component is"
    parameter = SearchParameter(
        resource_type,
        code,
        one.type,
        one.url,
        one.description,
        one.expression or "",
        version,
        one.targets,
        components,
    )
    try:
        parameter.check()
    except PathError as error:
        return str(error)
    if unknown and not parameter.path.types <= resource_text.ELEMENTS:
        return f"it is of the type {unknown[0]}"
    return parameter
