"""The value sets and code systems that this server holds, in its store and in the specification's definitions.

https://hl7.org/fhir/R5/terminologies.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

from apothecary.errors import Issue, NotEnumerable, TooCostly
from apothecary.fhir.json import JSON, parse
from apothecary.fhir.references import is_id
from apothecary.fhir.releases import FhirVersion
from apothecary.interactions.code_system_heads import Heads, heads
from apothecary.interactions.known import MODELLED, Answers, Known, Models
from apothecary.interactions.large_code_systems import LargeCodeSystem
from apothecary.interactions.service import Service
from apothecary.interactions.sizes import size
from apothecary.search.own import bases
from apothecary.search.parameters import Registry
from apothecary.search.predicates import Compare, Resource, all_of
from apothecary.search.query import Query
from apothecary.search.text import escape
from apothecary.search.types.base import Request
from apothecary.store.contract import Hit, Reader
from apothecary.store.held import HeldCodeSystem
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.compiling import Compiler
from apothecary.terminology.compose import Members, Steps
from apothecary.terminology.filters import standing
from apothecary.terminology.problems import UnknownValueSet
from apothecary.terminology.reading import code_system
from apothecary.terminology.resolver import Resolver, Versions
from apothecary.terminology.rules import ByRule
from apothecary.terminology.sources import Candidate, Given, Published, Shared, Source, ValueSet

T = TypeVar("T")
Codes = Mapping[str, tuple[str, ...]]

_TYPES = ("CodeSystem", "ValueSet")
# More resources of one canonical URL than anybody keeps.
_VERSIONS = 100
# Urls of which is remembered what is held, and that nothing is.
_NAMES = 5000
# Codes that compiled value sets may list in all before they are forgotten.
_MOST_LISTED = 2_000_000

SHARED = Shared()
PUBLISHED = Published()
BY_RULE = ByRule()


class Stored:
    """The code systems and value sets of a store."""

    def __init__(self, reader: Reader, registry: Registry, models: Models) -> None:
        self._reader = reader
        self._registry = registry
        self._models = models
        self._systems: dict[str, list[Candidate[CodeSystem]]] = {}
        self._sets: dict[str, list[Candidate[ValueSet]]] = {}
        self._size = 0

    @cached_property
    def heads(self) -> Heads:
        """What the code systems say of themselves."""
        served = self._registry.serves("CodeSystem")
        return heads(self._reader) if served else Heads((), 0)

    def code_systems(self, url: str) -> Sequence[Candidate[CodeSystem]]:
        if url not in self._systems:
            large = self._large(url)
            others = (self._candidate(hit, _system) for hit in self._find("CodeSystem", url, [one.id for one in large]))
            self._systems[url] = [*map(self._held, large), *others]
        return self._systems[url]

    def value_sets(self, url: str) -> Sequence[Candidate[ValueSet]]:
        if url not in self._sets:
            self._sets[url] = [self._candidate(hit, _parsed) for hit in self._find("ValueSet", url)]
        return self._sets[url]

    def _large(self, url: str) -> list[HeldCodeSystem]:
        """Those whose concepts lie in the store one by one."""
        return self._reader.code_systems(url) if url and self._registry.serves("CodeSystem") else []

    def _held(self, held: HeldCodeSystem) -> Candidate[CodeSystem]:
        system = LargeCodeSystem(self._reader, held)
        self._size += len(held.head)
        return Candidate(system.version, lambda: system, system.active, held.updated)

    def code_systems_of(self, value_set: str) -> Sequence[Candidate[CodeSystem]]:
        """Raises UnknownValueSet where there are more code systems than were asked for their value set."""
        found = self.heads.naming(value_set)
        if not found and self.heads.left:
            why = f"of {self.heads.total} code systems {self.heads.left} were not asked whether it holds their codes"
            raise UnknownValueSet(value_set, why=why)
        return [one for url in found for one in self.code_systems(url)]

    def _find(self, resource_type: str, url: str, without: Sequence[str] = ()) -> Iterable[Hit]:
        if not url or not self._registry.serves(resource_type):
            return ()
        if self._size > MODELLED or len(self._systems) + len(self._sets) > _NAMES:
            self._systems, self._sets, self._size = {}, {}, 0
        wanted = self._registry.newest.parameters(resource_type)["url"].predicate(None, escape(url), Request())
        others = [Resource(Compare("id", "!=", one)) for one in without]
        query = Query({resource_type: all_of([wanted, *others])}, count=_VERSIONS)
        found = self._reader.search(query, MODELLED).hits
        if len(found) > 1 and size(found) > MODELLED:
            raise TooCostly(
                f"the resources with url {url} have more than {MODELLED} bytes together",
                remedy="Keep fewer versions of it, or name one by its id.",
            )
        return found

    def _candidate(self, hit: Hit, read: Callable[[bytes], tuple[Any, JSON]]) -> Candidate[Any]:
        body = hit.body
        self._size += len(body)
        _, head = self._models.get(body, read)
        version = head.get("version")
        return Candidate(
            version if isinstance(version, str) else None,
            lambda: self._models.get(body, read)[0],
            head.get("status") == "active",
            hit.updated,
        )


def _system(body: bytes) -> tuple[CodeSystem, JSON]:
    resource = parse(body)
    return code_system(resource), {name: resource.get(name) for name in ("version", "status")}


def _parsed(body: bytes) -> tuple[JSON, JSON]:
    resource = parse(body)
    return resource, resource


class Held:
    """What one request sees. It implements what search wants (`apothecary.search.terminology.Terminology`)."""

    def __init__(
        self, reader: Reader, registry: Registry, bases: Iterable[str], remembered: Known, models: Models
    ) -> None:
        """`remembered` must be of this very reader: a transaction sees what others do not."""
        self._reader = reader
        self._registry = registry
        self._bases = tuple(bases)
        self._remembered = remembered
        self._models = models
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
        codes, partial = self._known(("members", value_set), lambda: self._members(value_set))
        self._partial |= partial
        return codes

    def _members(self, value_set: str) -> tuple[Codes, frozenset[str]]:
        members = self.value_set(self._canonical(value_set))
        found: dict[str, list[str]] = {}
        partial = set()
        for entry in members.walk(Steps(members.name)):
            found.setdefault(entry.url, []).append(entry.code)
            if entry.system is not None and not entry.system.complete:
                partial.add(entry.url)
        forms = {system: self._registry.systems.all_forms(system, codes) for system, codes in found.items()}
        return forms, frozenset(partial)

    def below(self, system: str, code: str) -> Codes:
        return self._related(system, code, CodeSystem.descendants)

    def above(self, system: str, code: str) -> Codes:
        return self._related(system, code, CodeSystem.ancestors)

    def _related(self, system: str, code: str, related: Callable[[CodeSystem, str], frozenset[str]]) -> Codes:
        held = self.hierarchy(system)
        itself = standing(held, code)
        # Where the form of the codes says all, nothing is left out.
        if not held.complete and not held.stands(code):
            self._partial.add(system)
        return {system: self._registry.systems.all_forms(system, sorted(related(held, itself) | {itself}))}

    # -- questions

    def hierarchy(self, system: str) -> CodeSystem:
        """The code system of that URL. Raises UnknownTerminology and NotEnumerable where its codes are not held."""
        found = self.resolver.code_system(*_split(system))
        if not found.held:
            raise NotEnumerable(
                f"the codes of {system} are not held here", remedy="Load a CodeSystem that has its concepts."
            )
        return found

    def value_set(self, name: str) -> Members:
        """A value set by its canonical url, or by `ValueSet/id`. Raises UnknownValueSet."""
        if not name.startswith("ValueSet/"):
            return self.compiler.named(name)
        stored = self._reader.read("ValueSet", name.removeprefix("ValueSet/")) if is_id(name[9:]) else None
        if stored is None or stored.body is None:
            raise UnknownValueSet(name)
        body = stored.body
        return self.compiler.kept(name, self.instance_set(stored.id, lambda: body))

    @property
    def resolver(self) -> Resolver:
        """What finds code systems and value sets where a request says nothing of versions and supplements."""
        return self.compiler.resolver

    @property
    def compiler(self) -> Compiler:
        """What compiles value sets where a request says nothing of versions and supplements."""
        found: Compiler = self._known(("compiler",), lambda: Compiler(Resolver(self._sources)))
        if found.listed > _MOST_LISTED:
            found = self._now()["compiler",] = Compiler(Resolver(self._sources))
        return found

    def asked_with(
        self, given: Sequence[JSON], systems: Versions, sets: Versions, supplements: Sequence[str]
    ) -> Compiler:
        """The compiler of a request that brings resources along (`tx-resource`), or says something of versions and
        supplements. Raises UnknownTerminology for a supplement that is not held.
        """
        if not (given or supplements or systems.says or sets.says):
            return self.compiler
        sources: tuple[Source, ...] = (Given(given), *self._sources) if given else self._sources
        if given:
            return Compiler(Resolver(sources, systems, sets, supplements))
        key = ("asked", systems.key, sets.key, tuple(supplements))
        return self._known(key, lambda: Compiler(Resolver(sources, systems, sets, supplements)))

    def remembered(self, question: tuple[Any, ...], answer: Callable[[], T]) -> T:
        """What was worked out from all value sets and code systems, until one of them changes."""
        return self._known(question, answer)

    def instance_system(self, resource_id: str, read: Callable[[], bytes]) -> CodeSystem:
        """The code system of that id; `read` gives its text, or raises where there is none."""

        def found() -> CodeSystem:
            large = self._reader.code_system(resource_id)
            return self._models.get(read(), _system)[0] if large is None else LargeCodeSystem(self._reader, large)

        return self._known(("instance", "CodeSystem", resource_id), found)

    def instance_set(self, resource_id: str, read: Callable[[], bytes]) -> JSON:
        """The ValueSet of that id; `read` gives its text, or raises where there is none."""
        return self._known(("instance", "ValueSet", resource_id), lambda: self._models.get(read(), _parsed)[0])

    @property
    def stored(self) -> Stored:
        """The code systems and value sets of the store."""
        return self._known(("stored",), lambda: Stored(self._reader, self._registry, self._models))

    @property
    def _sources(self) -> tuple[Source, ...]:
        return self.stored, BY_RULE, SHARED, PUBLISHED

    def _canonical(self, text: str) -> str:
        """`text` without the base of this server, if what follows is a literal reference."""
        for base in self._bases:
            if text.startswith(f"{base}/ValueSet/"):
                return text[len(base) + 1 :]
        return text

    def _now(self) -> Answers:
        """What is remembered of the store as it is now."""
        if self._answers is None:
            generation = tuple(self._reader.written(one) if self._registry.serves(one) else 0 for one in _TYPES)
            self._answers = self._remembered.of(generation)
        return self._answers

    def _known(self, question: tuple[Any, ...], answer: Callable[[], T]) -> T:
        """What is remembered, or worked out now. Nothing is remembered of what is not held: those names have no end."""
        answers = self._now()
        found: T | None = answers.get((self._registry.version, *question))
        if found is None:
            found = answer()
            if found is not None:
                answers[self._registry.version, *question] = found
        return found


def _split(canonical: str) -> tuple[str, str | None]:
    url, bar, version = canonical.partition("|")
    return url, version if bar else None


def held(service: Service, version: FhirVersion, base: str, reader: Reader | None = None) -> Held:
    """What a request to `base` sees; through `reader`, where that is an open transaction."""
    own = reader is None or reader is service.reader
    return Held(
        service.reader if reader is None else reader,
        service.registry(version),
        bases(service.settings, base),
        service.terminology if own else Known(),
        service.models,
    )
