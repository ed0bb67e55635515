"""Where code systems and value sets come from: the specification's tables, resources at hand, a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Generic, Protocol, TypeVar

from apothecary.fhir import terminology as tables
from apothecary.fhir.definitions import definitions
from apothecary.fhir.hl7_terminology import hl7_terminology
from apothecary.fhir.references import split_canonical
from apothecary.fhir.releases import FhirVersion
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.reading import code_system, from_tables
from apothecary.terminology.versions import order

T_co = TypeVar("T_co", covariant=True)

# A ValueSet resource of any release, or a value set of the specification, whose codes are listed.
ValueSet = Mapping[str, Any] | tables.ValueSet
RELEASES = (FhirVersion.R5, FhirVersion.R4B, FhirVersion.R4)


@dataclass(frozen=True)
class Candidate(Generic[T_co]):
    """One version of a code system or value set; reading it in waits until it is chosen. Of several that fit the
    greatest `rank` is: active ones before others, then the newest.
    """

    version: str | None
    load: Callable[[], T_co]
    active: bool = True
    updated: int = 0

    @property
    def rank(self) -> tuple[Any, ...]:
        return self.active, order(self.version), self.updated


class Source(Protocol):
    """All versions that are held of one canonical url, in any order; supplements stand among the code systems."""

    def code_systems(self, url: str) -> Sequence[Candidate[CodeSystem]]: ...

    def value_sets(self, url: str) -> Sequence[Candidate[ValueSet]]: ...

    def code_systems_of(self, value_set: str) -> Sequence[Candidate[CodeSystem]]:
        """Those that name the url of a value set as that of all their codes (`CodeSystem.valueSet`), in all their
        versions, of which some may name none. Raises UnknownValueSet where that cannot be told.
        """
        ...


class Given:
    """CodeSystem and ValueSet resources at hand: those of packages, or those that a request brings along
    (`tx-resource`). Others are passed over.
    """

    def __init__(self, resources: Iterable[Mapping[str, Any]]) -> None:
        self._systems: dict[str, list[Candidate[CodeSystem]]] = {}
        self._sets: dict[str, list[Candidate[ValueSet]]] = {}
        self._naming: dict[str, list[Candidate[CodeSystem]]] = {}
        for place, one in enumerate(resources):
            self._add(one, place)

    def _add(self, resource: Mapping[str, Any], place: int) -> None:
        url, version = resource.get("url"), resource.get("version")
        if not isinstance(url, str) or not isinstance(version, str | None):
            return
        active = resource.get("status") == "active"
        # Of two that say the same of themselves the first counts.
        if resource.get("resourceType") == "CodeSystem":
            found = Candidate(version, _Once(resource), active, -place)
            self._systems.setdefault(url, []).append(found)
            if isinstance(resource.get("valueSet"), str):
                self._naming.setdefault(split_canonical(resource["valueSet"])[0], []).append(found)
        elif resource.get("resourceType") == "ValueSet":
            self._sets.setdefault(url, []).append(Candidate(version, lambda: resource, active, -place))

    def code_systems(self, url: str) -> Sequence[Candidate[CodeSystem]]:
        return self._systems.get(url, ())

    def value_sets(self, url: str) -> Sequence[Candidate[ValueSet]]:
        return self._sets.get(url, ())

    def code_systems_of(self, value_set: str) -> Sequence[Candidate[CodeSystem]]:
        return self._naming.get(value_set, ())


class _Once:
    """A code system, read in when it is first asked for."""

    def __init__(self, resource: Mapping[str, Any]) -> None:
        self._resource = resource

    def __call__(self) -> CodeSystem:
        return self._read

    @cached_property
    def _read(self) -> CodeSystem:
        return code_system(self._resource)


class Published:
    """What the specification publishes, as far as its tables have it; the release that is asked first goes first."""

    def __init__(self, *releases: FhirVersion) -> None:
        self._releases = releases or RELEASES
        self._known: dict[tuple[FhirVersion, str], CodeSystem] = {}

    def code_systems(self, url: str) -> Sequence[Candidate[CodeSystem]]:
        found = []
        for place, release in enumerate(self._releases):
            table = definitions(release).code_system(url)
            if table is not None:
                found.append(Candidate(table.version or release.number, self._reader(release, table), True, -place))
        return found

    def _reader(self, release: FhirVersion, table: tables.CodeSystem) -> Callable[[], CodeSystem]:
        def read() -> CodeSystem:
            key = release, table.url
            if key not in self._known:
                self._known[key] = from_tables(table)
            return self._known[key]

        return read

    def value_sets(self, url: str) -> Sequence[Candidate[ValueSet]]:
        found: list[Candidate[ValueSet]] = []
        for place, release in enumerate(self._releases):
            table = definitions(release).value_set(url)
            if table is not None:
                found.append(Candidate(release.number, _constant(table), True, -place))
        return found

    def code_systems_of(self, value_set: str) -> Sequence[Candidate[CodeSystem]]:
        """None: the specification publishes the value sets of its code systems, too."""
        return ()


class Shared:
    """What HL7 Terminology (THO) publishes for all releases. It goes before `Published`: what R4 and R4B have of it is
    where it began, whatever the numbers of the versions say (`2018-08-12`, `4.0.1`), and stays there under those.
    """

    def __init__(self) -> None:
        self._known: dict[str, CodeSystem] = {}

    def code_systems(self, url: str) -> Sequence[Candidate[CodeSystem]]:
        table = hl7_terminology().code_system(url)
        return () if table is None else (Candidate(table.version, partial(self._read, table), table.active),)

    def _read(self, table: tables.CodeSystem) -> CodeSystem:
        found = self._known.get(table.url)
        if found is None:
            found = self._known[table.url] = from_tables(table)
        return found

    def value_sets(self, url: str) -> Sequence[Candidate[ValueSet]]:
        resource = hl7_terminology().value_set(url)
        if resource is None:
            return ()
        return (Candidate(resource.get("version"), partial(_itself, resource), resource.get("status") == "active"),)

    def code_systems_of(self, value_set: str) -> Sequence[Candidate[CodeSystem]]:
        """None: the value sets of its code systems are published, too."""
        return ()


def all_codes(url: str, system: str, version: str | None = None) -> ValueSet:
    """The value set of all codes of a code system, by the url that the system gives it."""
    include = {"system": system} if version is None else {"system": system, "version": version}
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": [include]}}


def _itself(resource: Mapping[str, Any]) -> ValueSet:
    return resource


def _constant(table: tables.ValueSet) -> Callable[[], tables.ValueSet]:
    return lambda: table
