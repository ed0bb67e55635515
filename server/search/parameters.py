"""Which search parameters a resource type has, and what each of them takes from a resource.

Standard ones come from the definitions, the product's own from SearchParameter resources:
https://hl7.org/fhir/R5/searchparameter.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from server.errors import StartError
from server.fhir.definitions import definitions
from server.fhir.paths import Path, PathError, Track, compile_path
from server.fhir.references import local_targets
from server.fhir.releases import FhirVersion
from server.search import renames
from server.search.named import NamedQuery
from server.search.normalisation import STANDARD, Systems
from server.search.predicates import Predicate, Row
from server.search.rows import IndexRow, ReferenceRow, StringRow, TextRow
from server.search.types import (
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
from server.search.types.base import Request, SearchType, Value
from server.search.types.composite import Component, Composite
from server.search.words import passages

TYPES: Mapping[str, SearchType] = {
    module.NAME: module for module in (date, number, quantity, reference, string, token, uri)
}

# Parameters that are columns of the resource itself, not index rows.
COLUMNS = frozenset({"_id", "_lastUpdated"})

# Changes when extraction changes what it writes, so that a database made by an older version is indexed anew.
EXTRACTION = 7

# Every reference of a resource stands in the index under this name besides, whether a parameter reads it or not: what
# points to a resource must be known before it is deleted.
ANY = "*"


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
    indexed_as: str = ""
    """The name of its rows in the index, where that is not its code."""

    @property
    def index(self) -> str:
        """The name under which the index holds the rows of this parameter."""
        return self.indexed_as or self.code

    @cached_property
    def path(self) -> Path:
        """The compiled expression. Raises PathError."""
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
        """Whether it is about the words of the whole resource, not about what an expression selects."""
        return self.code in resource_text.PARAMETERS

    @cached_property
    def composite(self) -> Composite | None:
        """The components, where the parameter is a composite."""
        if not self.components:
            return None
        parts = (
            Component(f"{self.index}${number}", TYPES[kind], expression)
            for number, (kind, expression) in enumerate(self.components)
        )
        return Composite(tuple(parts), self.path, self.version)

    @cached_property
    def followable(self) -> bool:
        """Whether chains and includes can follow it: canonical URLs name their target, but do not point to it."""
        return self.type == "reference" and not self.path.types.isdisjoint(("Reference", "CodeableReference"))

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
            yield from resource_text.rows(self.code, self.index, resource, self.version)
            return
        for track in self.readable:
            for node in track.walk(resource):
                yield from self.extract(track, node, systems)

    def extract(self, track: Track, node: Any, systems: Systems = STANDARD) -> Iterator[IndexRow]:
        """The index rows of one value at the end of `track`."""
        return self.kind.extract(self.index, Value(track.type, node, track.value_set, systems=systems))

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


Convert = Callable[[Mapping[str, Any], FhirVersion], Mapping[str, Any] | None]
"""An R5 resource as another release writes it; None where that release has no such type."""


Reading = tuple[dict[str, list[tuple[SearchParameter, Track]]], list[SearchParameter]]
"""How the parameters of a type are read: tracks by the element they begin with, and parameters to be asked one by one.
"""


class Registry:
    """The parameters of every served type, in one FHIR version. Loads a type's parameters when it is first asked for
    them.

    There is one index for all versions, made by the registry of R5 from the R5 form of each resource. The registry of
    another version maps its parameters to that index, and hands those that R5 has nothing like to the R5 registry,
    which
    reads them from the converted resource.
    """

    def __init__(
        self,
        version: FhirVersion,
        types: Iterable[str],
        content: Iterable[Mapping[str, Any]] = (),
        *,
        canonical: Registry | None = None,
        convert: Convert | None = None,
        queries: Iterable[NamedQuery] = (),
        systems: Systems = STANDARD,
    ) -> None:
        """`content` holds SearchParameter resources (R5), `systems` what the content says of code systems; `canonical`
        is the registry of R5, for that of another version; `convert` is what the registry of R5 reads others'
        parameters with. Raises StartError for a parameter that cannot work.
        """
        self.version = version
        self.systems: Systems = systems if canonical is None else canonical.systems
        self.types = tuple(sorted(types))
        self._served = frozenset(self.types)
        self._own: dict[str, list[SearchParameter]] = {}
        self._loaded: dict[str, dict[str, SearchParameter]] = {}
        self._canonical = canonical
        self._convert = convert
        self._others: list[Registry] = []
        self.queries = tuple(queries)
        for resource in content:
            for parameter in _from_resource(resource, version, self._served):
                self._own.setdefault(parameter.resource_type, []).append(parameter)
        if canonical is not None:
            canonical._others.append(self)

    def serves(self, resource_type: str) -> bool:
        return resource_type in self._served

    def parameters(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """All parameters of the type by code, those of the content over standard ones of the same code."""
        loaded = self._loaded.get(resource_type)
        if loaded is None:
            loaded = {one.code: one for one in _standard(resource_type, self.version)}
            if self._canonical is not None:
                loaded = self._mapped(resource_type, loaded, self._canonical)
            for own in self._own.get(resource_type, ()):
                standard = loaded.get(own.code)
                if standard is not None and standard.url != own.url:
                    raise StartError(
                        f"SearchParameter {own.url}: {resource_type} has {own.code!r} already, {standard.url}"
                    )
                loaded[own.code] = own
            self._loaded[resource_type] = loaded
        return loaded

    def _mapped(
        self, resource_type: str, standard: Mapping[str, SearchParameter], canonical: Registry
    ) -> dict[str, SearchParameter]:
        """The parameters of this version, each with its name in the index, and the product's own."""
        known = canonical.parameters(resource_type) if canonical.serves(resource_type) else {}
        result = {}
        for code, one in standard.items():
            same = known.get(renames.RENAMED.get((resource_type, code), code))
            carried = renames.carried(resource_type, code)
            if same is not None and _alike(one, same):
                # What the parameter may be asked is what the index was filled with.
                result[code] = replace(same, code=code, url=one.url, description=one.description, indexed_as=same.index)
            elif carried is not None:
                foreign = replace(one, version=FhirVersion.R5, expression=carried, components=())
                result[code] = replace(foreign, indexed_as=f"{self.version}.{code}")
            else:
                result[code] = replace(one, indexed_as=f"{self.version}.{code}")
        result.update(
            {code: one for code, one in known.items() if one.url in canonical.own_urls and code not in result}
        )
        return result

    @cached_property
    def own_urls(self) -> frozenset[str]:
        """The canonical URLs of the parameters that came with the content."""
        return frozenset(one.url for found in self._own.values() for one in found)

    def _foreign(self, resource_type: str) -> list[tuple[Registry, SearchParameter]]:
        """Parameters of other versions that R5 has nothing like, with the registries they are of."""
        found = self._foreign_known.get(resource_type)
        if found is None:
            found = [
                (other, one)
                for other in self._others
                if other.serves(resource_type)
                for one in other.parameters(resource_type).values()
                if one.index.startswith(f"{other.version}.")
            ]
            self._foreign_known[resource_type] = found
        return found

    @cached_property
    def _foreign_known(self) -> dict[str, list[tuple[Registry, SearchParameter]]]:
        return {}

    def get(self, resource_type: str, code: str) -> SearchParameter | None:
        return self.parameters(resource_type).get(code)

    def _reading(self, kind: str) -> Reading:
        """The ways into a resource by its first element: most parameters look at elements that a resource does not
        have.
        """
        found = self._readings.get(kind)
        if found is None:
            by_element: dict[str, list[tuple[SearchParameter, Track]]] = {}
            others = []
            for parameter in self.parameters(kind).values():
                if parameter.code in COLUMNS:
                    continue
                if parameter.of_resource:
                    others.append(parameter)
                    continue
                tracks = parameter.readable
                if parameter.composite is not None or not all(
                    one.steps and isinstance(one.steps[0], str) for one in tracks
                ):
                    others.append(parameter)
                    continue
                for track in tracks:
                    by_element.setdefault(str(track.steps[0]), []).append((parameter, track))
            found = self._readings[kind] = by_element, others
        return found

    @cached_property
    def _readings(self) -> dict[str, Reading]:
        return {}

    def _text_names(self, kind: str) -> Set[str]:
        """The names in the index whose string rows hold whole texts. Others are for looking up a part of a value."""
        found = self._text_names_known.get(kind)
        if found is None:
            known = (*self.parameters(kind).values(), *(one for _, one in self._foreign(kind)))
            found = self._text_names_known[kind] = frozenset(one.index for one in known)
        return found

    @cached_property
    def _text_names_known(self) -> dict[str, frozenset[str]]:
        return {}

    def rows(self, resource: Mapping[str, Any]) -> list[IndexRow]:
        """Every index row of `resource` (R5), without repetitions. Raises ValueError for a value that cannot be
        indexed.
        """
        kind = resource["resourceType"]
        found: dict[IndexRow, None] = {}
        by_element, others = self._reading(kind)
        for element in resource:
            for parameter, track in by_element.get(element, ()):
                for node in track.walk(resource):
                    found.update(dict.fromkeys(parameter.extract(track, node, self.systems)))
        for parameter in others:
            found.update(dict.fromkeys(parameter.rows(resource, self.systems)))
        converted: dict[FhirVersion, Mapping[str, Any] | None] = {self.version: resource}
        for _, parameter in self._foreign(kind):
            if parameter.version not in converted:
                converted[parameter.version] = self._convert(resource, parameter.version) if self._convert else None
            form = converted[parameter.version]
            if form is not None:
                found.update(dict.fromkeys(parameter.rows(form, self.systems)))
        found.update(dict.fromkeys(_texts(found, self._text_names(kind))))
        for target in local_targets(resource):
            found[ReferenceRow(ANY, str(target.type), str(target.id), "", target.version or "")] = None
        return list(found)


def _alike(one: SearchParameter, other: SearchParameter) -> bool:
    """Whether two releases mean the same by a parameter. `_profile` became a reference in R5; its values did not
    change.
    """
    return one.type == other.type or one.code == "_profile"


def _texts(rows: Iterable[IndexRow], names: Set[str]) -> Iterator[TextRow]:
    """Full text rows for what stands in the string rows of `names`: names of things, displays, titles."""
    texts: dict[str, list[str]] = {}
    for row in rows:
        if isinstance(row, StringRow) and row.parameter in names:
            texts.setdefault(row.parameter, []).append(row.exact)
    for code, found in texts.items():
        for passage in passages(found):
            yield TextRow(code, *passage)


def _standard(resource_type: str, version: FhirVersion) -> Iterator[SearchParameter]:
    for code, one in definitions(version).search_parameters(resource_type).items():
        if code in resource_text.PARAMETERS:
            # Of type special in R5, and _text of type string in some releases.
            yield SearchParameter(resource_type, code, resource_text.NAME, one.url, one.description, "", version)
            continue
        components = tuple((part.type, part.expression) for part in one.components)
        readable = all(kind in TYPES for kind, _ in components) if components else one.type in TYPES
        if readable and (one.expression or code in COLUMNS):
            yield SearchParameter(
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


def _from_resource(
    resource: Mapping[str, Any], version: FhirVersion, served: frozenset[str]
) -> Iterator[SearchParameter]:
    """The parameters that a SearchParameter resource defines, one for each served base type; a retired one defines
    none.
    """
    name = resource.get("url") or f"SearchParameter/{resource.get('id')}"
    if resource.get("status") == "retired":
        return
    kind, expression = resource.get("type"), resource.get("expression")
    if kind not in TYPES:
        raise StartError(
            f"{name}: type {kind!r} is not one that content may define; those are {', '.join(sorted(TYPES))}"
        )
    if not expression:
        raise StartError(f"{name}: a SearchParameter needs an expression to be searched by")
    for base in resource.get("base", ()):
        if base not in served:
            continue
        parameter = SearchParameter(
            base,
            resource["code"],
            str(kind),
            name,
            resource.get("description", ""),
            _own_branches(expression, base),
            version,
            tuple(resource.get("target", ())),
            by_word=kind == "string" and _by_word(resource),
        )
        try:
            readable = parameter.path.types & parameter.kind.ELEMENTS
        except PathError as error:
            raise StartError(f"{name}: {error}") from None
        if not readable:
            raise StartError(f"{name}: a {kind} parameter cannot read {', '.join(sorted(parameter.path.types))}")
        yield parameter


def _by_word(resource: Mapping[str, Any]) -> bool:
    """Whether a SearchParameter has the extension that asks for matches at the beginning of any word."""
    return any(
        one.get("url") == string_by_word.EXTENSION and one.get("valueBoolean") is True
        for one in resource.get("extension", ())
    )


def _own_branches(expression: str, base: str) -> str:
    """The branches of a union that start at `base`; an expression over several types names each."""
    branches = [branch.strip() for branch in expression.split("|")]
    own = [branch for branch in branches if branch.lstrip("(").startswith((f"{base}.", "Resource.", "DomainResource."))]
    return " | ".join(own) if own else expression
