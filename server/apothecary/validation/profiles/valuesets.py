"""The value sets that profiles bind codes to, of the packages or else of the specification
(https://hl7.org/fhir/R5/valueset.html#compositions). What a value set holds, `terminology` tells; here stands where it
looks, and how a check of profiles asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property, partial

from apothecary.errors import FhirError
from apothecary.fhir.caches import memory_of
from apothecary.fhir.references import split_canonical
from apothecary.fhir.releases import FhirVersion
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.compiling import Compiler
from apothecary.terminology.compose import Members, Question, Steps
from apothecary.terminology.reading import code_system
from apothecary.terminology.resolver import Resolver
from apothecary.terminology.rules import ByRule
from apothecary.terminology.sources import Candidate, Published, Shared, ValueSet
from apothecary.validation.concepts import WITHDRAWN, Said
from apothecary.validation.profiles.canonicals import Canonicals, Resource

# As many codes are looked at for one that is meant instead of a wrong one.
_LISTED = 20_000
# How much of memory what is made of value sets and code systems may take, in bytes. They refer to one another, so all
# of it is forgotten together.
KEPT = 128 * 1024 * 1024
# A code system has each concept once more than its resource has, with its place in the hierarchy and in an index.
_MODEL = 2
# One display of a concept in a list for remedies, a code that a value set lists, and what was looked up, in bytes.
_DISPLAY, _CODE, _LOOKED_UP = 200, 200, 5_000


class CodeSet:
    """A value set, asked code by code. `reason` says why the last answer was None; `systems` are those of its codes, as
    far as that is known.
    """

    def __init__(self, canonical: str, members: Members | FhirError, held: Held) -> None:
        self.url = canonical
        self._held = held
        self._members = members
        self._concepts: Mapping[str, Mapping[str, str]] | None = None
        self.reason: str | None = None if isinstance(members, Members) else str(members)
        self.systems: tuple[str, ...] = tuple(members.systems()) if isinstance(members, Members) else ()

    def contains(self, system: str | None, code: str) -> bool | None:
        """Whether a code of `system` (any, without one) is in it; None where that cannot be told."""
        members = self._members
        if not isinstance(members, Members):
            return None
        try:
            for url in self.systems if system is None else (system,):
                entry = members.find(Question(url, code), Steps(self.url))
                if entry is not None and not entry.barred:
                    return True
            missing = members.missing(system)
        except FhirError as error:
            missing = error
        self.reason = _fragment(members, system, code) if missing is None else str(missing)
        return False if self.reason is None else None

    @property
    def concepts(self) -> Mapping[str, Mapping[str, str]]:
        """The displays of its codes, by system, for remedies; empty where they are many or cannot be listed."""
        if self._concepts is None:
            found: dict[str, dict[str, str]] = {}
            if isinstance(self._members, Members):
                try:
                    for entry in self._members.entries(Steps(self.url, _LISTED)):
                        found.setdefault(entry.url, {})[entry.code] = entry.display
                except FhirError:
                    found = {}
            self._held.weight += _DISPLAY * sum(map(len, found.values()))
            self._concepts = found
        return self._concepts


def _fragment(members: Members, system: str | None, code: str) -> str | None:
    """Why a code that was not found may be in a value set nevertheless: only a part of its system is held."""
    for part in members.includes:
        if part.url is None or system in (None, part.url):
            held = part.system
            if held is not None and part.listed is None and not held.complete and held.find(code) is None:
                return f"only a part of {held.url} is held ({held.content})"
            for one in part.sets:
                if (found := _fragment(one, system, code)) is not None:
                    return found
    return None


class CodeSets:
    """The value sets of packages and of one release of the specification."""

    def __init__(self, held: Held, release: FhirVersion) -> None:
        self._held = held
        self._systems: dict[str, tuple[HeldSystem, ...]] = {}
        self._resolver = Resolver([self._held, ByRule(), Shared(), Published(release)])
        self._compiler = Compiler(self._resolver)
        self._known: dict[str, CodeSet] = {}

    def find(self, canonical: str) -> CodeSet:
        """The value set of a canonical, in the version that it names; one that is not at hand cannot answer."""
        found = self._known.get(canonical)
        if found is None:
            members: Members | FhirError
            before = self._size
            try:
                members = self._compiler.named(canonical)
            except FhirError as error:
                members = error
            found = self._known[canonical] = CodeSet(canonical, members, self._held)
            # An expression can make up canonicals without end.
            self._held.weight += _LOOKED_UP + len(canonical) + _CODE * (self._size - before)
        return found

    @property
    def _size(self) -> int:
        """The codes that were listed and those that supplements were laid over, whatever resource they are from."""
        return self._compiler.listed + self._resolver.laid

    def systems(self, url: str) -> tuple[HeldSystem, ...]:
        """The code systems of that url in the packages, whose codes are known; the one that is meant first."""
        found = self._systems.get(url)
        if found is None:
            candidates = sorted(self._held.code_systems(url), key=lambda one: one.rank, reverse=True)
            read = [one.load() for one in candidates]
            found = self._systems[url] = tuple(HeldSystem(one) for one in read if one.held)
            self._held.weight += _LOOKED_UP + len(url)
        return found

    def subsumes(self, system: str | None, above: str, code: str) -> bool | None:
        """Whether the first of two codes of a system subsumes the second; None where that cannot be told."""
        try:
            held = self._resolver.code_system(system) if system is not None else None
        except FhirError:
            return None
        if held is None or held.find(above) is None or held.find(code) is None:
            return None
        return held.subsumes(above, code)


class HeldSystem:
    """A code system of a package, as the check of codes asks it."""

    def __init__(self, system: CodeSystem) -> None:
        self._system = system
        self.version = system.version
        self.complete = system.complete

    def codes(self) -> Iterable[str]:
        """All codes."""
        return self._system.concepts

    def said(self, code: str) -> Said | None:
        """What it says of a code, None where it has no such code."""
        system = self._system
        concept = system.find(code)
        if concept is None:
            return None
        names = [(concept.display, system.language)] if concept.display else []
        names += [(one.value, one.language) for one in concept.designations]
        status = system.status(concept)
        if system.is_inactive(concept):
            status = status or "inactive"
        return Said(tuple(names), status if status in WITHDRAWN else None, system.is_abstract(concept))


class AllCodeSets:
    """The value sets and code systems at hand, as each release sees them. What was made of them is forgotten when it
    takes more than `most` bytes, beside two resources as large as the largest: one that is larger than all may be
    together would else be read for every question.
    """

    def __init__(self, systems: Canonicals, sets: Canonicals, most: int = KEPT) -> None:
        self._given = systems, sets
        self._most = most
        self._held, self._known = self._nothing()

    def _nothing(self) -> tuple[Held, dict[FhirVersion, CodeSets]]:
        return Held(*self._given), {}

    def of(self, release: FhirVersion) -> CodeSets:
        """Those of a release. To be asked for again for each question."""
        if self.weight > self._most + 2 * self._held.heaviest:
            self._held, self._known = self._nothing()
        found = self._known.get(release)
        if found is None:
            found = self._known[release] = CodeSets(self._held, release)
        return found

    @property
    def weight(self) -> int:
        """What all that was made takes of memory, about, in bytes."""
        return self._held.weight

    def __getstate__(self) -> dict[str, object]:
        # What was made of them is for this process: another one makes its own.
        held, known = self._nothing()
        return {**self.__dict__, "_held": held, "_known": known}


class Held:
    """The code systems and value sets of packages, each read when it is chosen, with what all of them weigh."""

    def __init__(self, systems: Canonicals, sets: Canonicals) -> None:
        self._systems = systems
        self._sets = sets
        self._read: dict[int, CodeSystem] = {}
        self._chosen: set[int] = set()
        self.weight = 0
        """What is made of them takes of memory, about, in bytes."""
        self.heaviest = 0
        """The most that one of them takes."""

    def code_systems(self, url: str) -> Sequence[Candidate[CodeSystem]]:
        return [
            Candidate(version, partial(self._system, one), one.get("status") == "active", -place)
            for place, (version, one) in enumerate(self._systems.all(url))
        ]

    def value_sets(self, url: str) -> Sequence[Candidate[ValueSet]]:
        return [
            Candidate(version, partial(self._set, one), one.get("status") == "active", -place)
            for place, (version, one) in enumerate(self._sets.all(url))
        ]

    def code_systems_of(self, value_set: str) -> Sequence[Candidate[CodeSystem]]:
        urls = self._naming.get(value_set, ())
        return [one for url in urls for one in self.code_systems(url)]

    @cached_property
    def _naming(self) -> Mapping[str, Sequence[str]]:
        """The urls of the code systems that name a value set as that of all their codes."""
        found: dict[str, dict[str, None]] = {}
        for one in self._systems:
            named = one.get("valueSet")
            if isinstance(named, str):
                found.setdefault(split_canonical(named)[0], {})[str(one["url"])] = None
        return {value_set: list(urls) for value_set, urls in found.items()}

    def _system(self, resource: Resource) -> CodeSystem:
        found = self._read.get(id(resource))
        if found is None:
            found = self._read[id(resource)] = code_system(resource)
            self._weigh(_MODEL * memory_of(resource.get("concept")))
        return found

    def _set(self, resource: Resource) -> ValueSet:
        if id(resource) not in self._chosen:
            self._chosen.add(id(resource))
            self._weigh(memory_of([resource.get(part) for part in ("compose", "expansion", "contained")]))
        return resource

    def _weigh(self, weight: int) -> None:
        self.weight += weight
        self.heaviest = max(self.heaviest, weight)
