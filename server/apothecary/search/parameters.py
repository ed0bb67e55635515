"""The search parameters of every served type in one FHIR version: https://hl7.org/fhir/R5/searchparameter-registry.html"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import replace
from functools import cached_property
from typing import Any

from apothecary.errors import StartError
from apothecary.fhir.paths import Track
from apothecary.fhir.references import local_targets
from apothecary.fhir.releases import FhirVersion
from apothecary.search import contained, renames
from apothecary.search.named import NamedQuery
from apothecary.search.normalisation import STANDARD, Systems
from apothecary.search.parameter import COLUMNS, SearchParameter, from_resource, standard_parameters
from apothecary.search.rows import ContainedRow, Indexed, IndexRow, ReferenceRow, StringRow, TextRow, TokenRow
from apothecary.search.text import key
from apothecary.search.words import passages

# Changes when extraction changes what it writes, so that a database made by an older version is indexed anew.
EXTRACTION = 10

# Every reference of a resource stands in the index under this name besides, whether a parameter reads it or not: what
# points to a resource must be known before it is deleted.
ANY = "*"

# Under this name stands what a canonical resource calls itself: what names it by its URL is found by that.
CANONICAL = "#canonical"


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
        self.served = frozenset(self.types)
        self._own: dict[str, list[SearchParameter]] = {}
        self._loaded: dict[str, dict[str, SearchParameter]] = {}
        self._canonical = canonical
        self._convert = convert
        self._others: list[Registry] = []
        self.queries = tuple(queries)
        for resource in content:
            for parameter in from_resource(resource, version, self.served):
                self._own.setdefault(parameter.resource_type, []).append(parameter)
        if canonical is not None:
            canonical._others.append(self)

    def serves(self, resource_type: str) -> bool:
        return resource_type in self.served

    def parameters(self, resource_type: str) -> Mapping[str, SearchParameter]:
        """All parameters of the type by code, those of the content over standard ones of the same code."""
        loaded = self._loaded.get(resource_type)
        if loaded is None:
            loaded = {one.code: one for one in standard_parameters(resource_type, self.version)}
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
                tracks = parameter.readable
                whole = parameter.composite is not None or parameter.of_resource
                if whole or not all(one.steps and isinstance(one.steps[0], str) for one in tracks):
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

    def rows(self, resource: Mapping[str, Any]) -> list[Indexed]:
        """Every index row of `resource` (R5), without repetitions; those of contained resources come first. Raises
        ValueError for a value that cannot be indexed.
        """
        found = self._rows(resource)
        url, version = resource.get("url"), resource.get("version")
        if isinstance(url, str):
            named = key(url), key(version) if isinstance(version, str) else ""
            found[ReferenceRow(CANONICAL, "", "", *named)] = None
        for target in local_targets(resource):
            found[ReferenceRow(ANY, str(target.type), str(target.id), "", target.version or "")] = None
        return self._contained(resource, found) if resource.get("contained") else list(found)

    def _contained(self, resource: Mapping[str, Any], found: Iterable[IndexRow]) -> list[Indexed]:
        """The rows of a resource and of what it contains. A type that is not served is not searched either."""
        types = contained.local_types(resource)
        inside: list[ContainedRow] = []
        links: list[ReferenceRow] = []
        for local, one in zip(contained.local_ids(resource), resource["contained"], strict=True):
            if self.serves(one["resourceType"]):
                own = contained.pointed((*self._rows(one), TokenRow("_id", "", local)), types)
                inside.append(ContainedRow(one["resourceType"], local, tuple(own)))
                links.append(ReferenceRow(contained.CONTAINS, types[f"#{local}"], f"#{local}", "", ""))
        if not inside:
            return list(found)
        return [*inside, *links, *contained.pointed(found, types)]

    def _rows(self, resource: Mapping[str, Any]) -> dict[IndexRow, None]:
        """The rows of one resource, without those that stand for its references whoever reads them."""
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
        return found


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
