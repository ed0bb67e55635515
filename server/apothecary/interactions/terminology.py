"""The value sets and code systems that this server holds, in its store and in the specification's definitions.

https://hl7.org/fhir/R5/terminologies.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from apothecary.errors import Issue, NotEnumerable, UnknownTerminology
from apothecary.fhir.code_systems import code_system, known
from apothecary.fhir.definitions import definitions
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.references import is_id, split_canonical
from apothecary.fhir.releases import FhirVersion
from apothecary.fhir.terminology import CodeSystem, ValueSet
from apothecary.fhir.value_sets import Expansion, expand
from apothecary.interactions.known import Answers, Known
from apothecary.interactions.service import Service
from apothecary.search.own import bases
from apothecary.search.parameters import Registry
from apothecary.search.query import Query
from apothecary.search.text import escape
from apothecary.search.types import uri
from apothecary.search.types.base import Request
from apothecary.store.contract import Hit, Reader

T = TypeVar("T")
Codes = Mapping[str, tuple[str, ...]]

# In this order a release is asked for what the store does not hold.
_RELEASES = (FhirVersion.R5, FhirVersion.R4B, FhirVersion.R4)
_TYPES = ("CodeSystem", "ValueSet")
# More resources of one canonical URL than anybody keeps.
_VERSIONS = 100


class Held:
    """What one request sees. It implements what search wants (`apothecary.search.terminology.Terminology`) and what
    expansions are made from (`apothecary.fhir.value_sets.Source`).
    """

    def __init__(self, reader: Reader, registry: Registry, bases: Iterable[str], remembered: Known) -> None:
        """`remembered` must be of this very reader: a transaction sees what others do not."""
        self._reader = reader
        self._registry = registry
        self._bases = tuple(bases)
        self._remembered = remembered
        self._answers: Answers | None = None
        self._partial: set[str] = set()

    @property
    def asked(self) -> bool:
        """Whether anything was asked: the meaning of the search then depends on what the store holds."""
        return self._answers is not None

    @property
    def warnings(self) -> list[Issue]:
        """What must be said of the answers: the code systems that are held in part only."""
        return [
            Issue(
                "warning",
                "incomplete",
                f"only a part of the code system {system} is held here: codes that belong to the value set or "
                "hierarchy, but not to that part, were not taken into account",
            )
            for system in sorted(self._partial)
        ]

    # -- for search

    def members(self, value_set: str) -> Codes:
        expansion = self.expansion(self._canonical(value_set))
        self._partial |= expansion.partial
        return self._known(
            ("members", value_set),
            lambda: {
                system: self._registry.systems.all_forms(system, codes) for system, codes in expansion.concepts.items()
            },
        )

    def below(self, system: str, code: str) -> Codes:
        return self._related(system, code, CodeSystem.descendants)

    def above(self, system: str, code: str) -> Codes:
        return self._related(system, code, CodeSystem.ancestors)

    def _related(self, system: str, code: str, related: Callable[[CodeSystem, str], frozenset[str]]) -> Codes:
        held = self.hierarchy(system)
        itself = known(held, code)
        if held.content != "complete":
            self._partial.add(system)
        return {system: self._registry.systems.all_forms(system, sorted(related(held, itself) | {itself}))}

    # -- questions

    def hierarchy(self, system: str) -> CodeSystem:
        """The code system of that URL. Raises UnknownTerminology and NotEnumerable where its codes are not held."""
        held = self.code_system(system)
        if held is None:
            raise UnknownTerminology(
                f"the code system {system} is not held here",
                remedy="Load the CodeSystem, or name one that [base]/CodeSystem lists.",
            )
        if not held.concepts or held.content in ("not-present", "example"):
            raise NotEnumerable(
                f"the codes of {system} are not held here", remedy="Load a CodeSystem that has its concepts."
            )
        return held

    def expansion(self, canonical: str) -> Expansion:
        """All codes of a value set. Raises UnknownTerminology and NotEnumerable."""
        return self._known(("expansion", canonical), lambda: expand(canonical, self))

    # -- the source of expansions

    def code_system(self, canonical: str) -> CodeSystem | None:
        return self._known(("CodeSystem", canonical), lambda: self._code_system(canonical))

    def value_set(self, canonical: str) -> JSON | ValueSet | None:
        return self._known(("ValueSet", canonical), lambda: self._value_set(canonical))

    def _code_system(self, canonical: str) -> CodeSystem | None:
        resource = self._find("CodeSystem", canonical)
        if resource is not None and resource.get("content") != "supplement":
            return code_system(resource)
        url, version = split_canonical(canonical)
        return next((found for one in _releases(version) if (found := definitions(one).code_system(url))), None)

    def _value_set(self, canonical: str) -> JSON | ValueSet | None:
        if canonical.startswith("ValueSet/"):
            return self._read(canonical.removeprefix("ValueSet/"))
        resource = self._find("ValueSet", canonical)
        if resource is not None:
            return resource
        url, version = split_canonical(canonical)
        return next((found for one in _releases(version) if (found := definitions(one).value_set(url))), None)

    # -- the store

    def _canonical(self, text: str) -> str:
        """`text` without the base of this server, if what follows is a literal reference."""
        for base in self._bases:
            if text.startswith(f"{base}/ValueSet/"):
                return text[len(base) + 1 :]
        return text

    def _read(self, resource_id: str) -> JSON | None:
        if not is_id(resource_id):
            return None
        stored = self._reader.read("ValueSet", resource_id)
        return None if stored is None or stored.body is None else parse(stored.body)

    def _find(self, resource_type: str, canonical: str) -> JSON | None:
        """The resource of a canonical URL: of several, the newest active version."""
        if not self._registry.serves(resource_type):
            return None
        url, version = split_canonical(canonical)
        wanted = uri.predicate("url", None, escape(url), Request())
        found = [
            (hit, parse(hit.body)) for hit in self._reader.search(Query({resource_type: wanted}, count=_VERSIONS)).hits
        ]
        if version is not None:
            found = [(hit, resource) for hit, resource in found if resource.get("version") == version]
        return max(found, key=_currency)[1] if found else None

    def _known(self, question: tuple[str, ...], answer: Callable[[], T]) -> T:
        """What is remembered, or worked out now. Nothing is remembered of what is not held: those names have no end."""
        if self._answers is None:
            # Every write adds a version and none is ever taken away: where the counts are the same, all is the same.
            generation = tuple(
                self._reader.history_of_total(one) if self._registry.serves(one) else 0 for one in _TYPES
            )
            self._answers = self._remembered.of(generation)
        found: T | None = self._answers.get(question)
        if found is None:
            found = answer()
            if found is not None:
                self._answers[question] = found
        return found


def _releases(version: str | None) -> list[FhirVersion]:
    """Where to look for something of that version; without one, everywhere."""
    return [one for one in _RELEASES if version is None or version == one.number]


def _currency(found: tuple[Hit, JSON]) -> tuple[Any, ...]:
    """Sorts resources of one canonical URL: active ones last, then by version, numbers as numbers, then by time."""
    hit, resource = found
    parts = re.findall(r"[0-9]+|[^0-9.]+", str(resource.get("version", "")))
    version = [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
    return resource.get("status") == "active", version, hit.updated


def held(service: Service, version: FhirVersion, base: str, reader: Reader | None = None) -> Held:
    """What a request to `base` sees; through `reader`, where that is an open transaction."""
    own = reader is None or reader is service.reader
    return Held(
        service.reader if reader is None else reader,
        service.registry(version),
        bases(service.settings, base),
        service.terminology if own else Known(),
    )
