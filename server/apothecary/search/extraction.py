"""What search parameters take from a resource, in the form of the release that they belong to.

https://hl7.org/fhir/R5/search.html#parameters
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from apothecary.fhir.paths import Nodes, Step, Track
from apothecary.fhir.releases import FhirVersion
from apothecary.search.normalisation import Systems
from apothecary.search.parameter import COLUMNS, SearchParameter
from apothecary.search.rows import IndexRow
from apothecary.search.types.base import Value

Resource = Mapping[str, Any]

Convert = Callable[[Resource, FhirVersion, FhirVersion], Resource | None]
"""A resource of one release as another writes it; None where that has no such type."""


class Forms:
    """One resource in the form of each release: that of its own as it was written, any other converted when it is first
    asked for.
    """

    def __init__(self, resource: Resource, version: FhirVersion, convert: Convert | None) -> None:
        self.version = version
        self.written = resource
        self._convert = convert
        self._known: dict[FhirVersion, Resource | None] = {version: resource}

    def of(self, version: FhirVersion) -> Resource | None:
        """The form of `version`; None where that has no such type."""
        if version not in self._known:
            self._known[version] = self._convert(self.written, self.version, version) if self._convert else None
        return self._known[version]

    def contained(self, version: FhirVersion) -> Iterator[Forms]:
        """The forms of each contained resource, in the order that they stand in the form of `version`."""
        whole = self.of(version) or {}
        for one, other in zip(whole.get("contained", ()), self.written.get("contained", ()), strict=True):
            # What a release has no type for stands in its form as Basic; its own form is the one that is converted.
            if one["resourceType"] == other["resourceType"]:
                forms = Forms(other, self.version, self._convert)
                forms._known[version] = one
                yield forms
            else:
                yield Forms(one, version, self._convert)


class _Reader(NamedTuple):
    """One way of one parameter, with all that its extraction needs at hand."""

    track: Track
    extract: Callable[[str, Value], Iterable[IndexRow]]
    name: str
    type: str
    value_set: str | None
    version: FhirVersion


class Reading:
    """How the parameters of one type are read from a form: by the element that they begin with, because most look at
    elements that a resource does not have.
    """

    def __init__(self, parameters: Iterable[SearchParameter]) -> None:
        self._by_element: dict[str, list[_Reader]] = {}
        self._whole: list[SearchParameter] = []
        """Those to be asked one by one."""
        for parameter in parameters:
            if parameter.code in COLUMNS:
                continue
            tracks = parameter.readable
            whole = parameter.composite is not None or parameter.of_resource
            if whole or not all(one.steps and isinstance(one.steps[0], str) for one in tracks):
                self._whole.append(parameter)
                continue
            extract, version = parameter.kind.extract, parameter.version
            for track in tracks:
                reader = _Reader(track, extract, parameter.index, track.type, track.value_set, version)
                self._by_element.setdefault(str(track.steps[0]), []).append(reader)

    def rows(self, resource: Resource, systems: Systems) -> Iterator[IndexRow]:
        """What the parameters take from `resource`, in their release."""
        for element in resource:
            # Several parameters read the same values, each by its own type.
            walked: dict[tuple[str | Step, ...], Nodes] = {}
            for track, extract, name, kind, value_set, version in self._by_element.get(element, ()):
                nodes = walked.get(track.steps)
                if nodes is None:
                    nodes = walked[track.steps] = track.walk(resource)
                for node in nodes:
                    yield from extract(name, Value(kind, node, value_set, 0, systems, version))
        for parameter in self._whole:
            yield from parameter.rows(resource, systems)
