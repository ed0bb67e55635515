"""Canonical urls -> the code systems and value sets that they mean: https://hl7.org/fhir/R5/references.html#canonical"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from apothecary.errors import UnknownTerminology
from apothecary.fhir.references import split_canonical
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.implicit import implicit
from apothecary.terminology.problems import UnknownCodeSystem, UnknownValueSet, VersionRefused, missing_supplement
from apothecary.terminology.reading import supplemented
from apothecary.terminology.sources import Candidate, Source, ValueSet, all_codes
from apothecary.terminology.versions import matches

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Versions:
    """What a request says of versions (`url` -> version): the one where none is named, one that must fit, and one that
    counts whatever is named (https://hl7.org/fhir/R5/valueset-operation-expand.html).
    """

    default: Mapping[str, str] = field(default_factory=dict)
    check: Mapping[str, str] = field(default_factory=dict)
    force: Mapping[str, str] = field(default_factory=dict)

    def wanted(self, url: str, named: str | None) -> str | None:
        """The version to look for, where `named` is what is written there."""
        if url in self.force:
            return self.force[url]
        if named is not None:
            return named
        return self.default.get(url) or self.check.get(url)

    def refuse(self, url: str, version: str | None) -> None:
        """Raises VersionRefused where the version that was found is not the one that it must be."""
        checked = self.check.get(url)
        if checked is not None and not matches(checked, version):
            raise VersionRefused(url, version, checked)

    @property
    def says(self) -> bool:
        """Whether anything was said."""
        return bool(self.default or self.check or self.force)

    @property
    def key(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """What tells two of them apart."""
        return tuple(tuple(sorted(one.items())) for one in (self.default, self.check, self.force))


class Resolver:
    """Finds code systems and value sets in sources, of which the earlier go first: where the first has any version of
    a url, it decides what that url without a version means.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        systems: Versions | None = None,
        sets: Versions | None = None,
        supplements: Iterable[str] = (),
    ) -> None:
        """`supplements` are those that a request wants to be used. Raises UnknownTerminology where one is not held."""
        self._sources = tuple(sources)
        self._systems = systems or Versions()
        self._sets = sets or Versions()
        self._laid: dict[tuple[str, ...], CodeSystem] = {}
        self.laid = 0
        """The concepts of all code systems that supplements were laid over: what those take of memory."""
        self.wanted = self.supplements(supplements)
        """The supplements that a request wants to be used."""

    # -- code systems

    def versions(self, url: str) -> list[str | None]:
        """The versions of a code system that are held, the one that is meant without a version first."""
        found = [one for source in self._sources for one in _sorted(source.code_systems(url))]
        return list(dict.fromkeys(one.version for one in found))

    def code_system(self, url: str, named: str | None = None) -> CodeSystem:
        """The code system of a url, in the version that is named, with the supplements that were asked for. Raises
        UnknownCodeSystem where it is not held, VersionRefused where a version is not the one that must be.
        """
        wanted = self._systems.wanted(url, named)
        found = self._find([source.code_systems(url) for source in self._sources], wanted)
        if found is None:
            raise UnknownCodeSystem(url, wanted, self.versions(url))
        self._systems.refuse(url, found.version)
        system = found.load()
        if system.content == "not-present":
            # What is there only to name the system does not hide what a rule or list makes of it.
            every = [[one for one in source.code_systems(url) if one.load().held] for source in self._sources]
            other = self._find(every, wanted)
            system = system if other is None else other.load()
        return self.laid_over(system, self.wanted)

    def laid_over(self, system: CodeSystem, supplements: Sequence[CodeSystem]) -> CodeSystem:
        """`system` with those of `supplements` that are its own, and that it does not have yet."""
        own = [one for one in supplements if self.is_supplement_of(one, system)]
        own = [one for one in own if one.canonical not in system.supplements]
        if not own:
            return system
        key = (system.canonical, *system.supplements, *(one.canonical for one in own))
        found = self._laid.get(key)
        if found is None:
            found = system
            for one in own:
                found = supplemented(found, one)
            self._laid[key] = found
            self.laid += len(found.concepts)
        return found

    def is_supplement_of(self, supplement: CodeSystem, system: CodeSystem) -> bool:
        """Whether a supplement was written for that code system, and for that version of it."""
        url, version = split_canonical(supplement.supplemented or "")
        return url == system.url and matches(version, system.version)

    def supplements(self, canonicals: Iterable[str]) -> tuple[CodeSystem, ...]:
        """The supplements of those urls. Raises UnknownTerminology that names those that are not held, or are none."""
        found: list[CodeSystem] = []
        lost: list[str] = []
        for canonical in dict.fromkeys(canonicals):
            url, version = split_canonical(canonical)
            one = self._find([source.code_systems(url) for source in self._sources], version)
            system = None if one is None else one.load()
            if system is None or system.content != "supplement":
                lost.append(canonical)
            else:
                found.append(system)
        if lost:
            raise missing_supplement(lost)
        return tuple(found)

    # -- value sets

    def value_set(self, canonical: str) -> ValueSet:
        """The value set of a canonical url. Raises UnknownValueSet."""
        url, named = split_canonical(canonical)
        wanted = self._sets.wanted(url, named)
        listed = [source.value_sets(url) for source in self._sources]
        found = self._find(listed, wanted)
        if found is None and (implied := implicit(canonical, wanted) or self._of_system(url, wanted)) is not None:
            return implied
        if found is None:
            versions = [one.version for held in listed for one in held]
            raise UnknownValueSet(f"{url}|{wanted}" if wanted else url, dict.fromkeys(versions))
        self._sets.refuse(url, found.version)
        return found.load()

    def _of_system(self, url: str, version: str | None) -> ValueSet | None:
        """The value set of all codes of a system that says that this is its url (`CodeSystem.valueSet`); its version is
        that of the code system, unless the code system says another. Raises UnknownValueSet where several say so.
        """
        for source in self._sources:
            fitting = []
            for one in _sorted(source.code_systems_of(url)):
                system = one.load()
                name, own = split_canonical(system.value_set or "")
                if name == url and system.content != "supplement" and matches(version, own or system.version):
                    fitting.append(system)
            urls = dict.fromkeys(one.url for one in fitting)
            if len(urls) > 1:
                raise UnknownValueSet(url, why=f"several code systems say that it holds their codes: {', '.join(urls)}")
            if fitting:
                return all_codes(url, fitting[0].url, None if version is None else fitting[0].version)
        return None

    def holds_value_set(self, canonical: str) -> bool:
        """Whether there is a value set of that url, in that version."""
        try:
            self.value_set(canonical)
        except UnknownTerminology:
            return False
        return True

    @staticmethod
    def _find(held: Iterable[Sequence[Candidate[T]]], wanted: str | None) -> Candidate[T] | None:
        for candidates in held:
            fitting = [one for one in _sorted(candidates) if matches(wanted, one.version)]
            if fitting:
                # The very version goes before those that only begin like it; without one, the newest is meant.
                return next((one for one in fitting if wanted is not None and one.version == wanted), fitting[0])
        return None


def _sorted(candidates: Sequence[Candidate[T]]) -> list[Candidate[T]]:
    return sorted(candidates, key=lambda one: one.rank, reverse=True)
