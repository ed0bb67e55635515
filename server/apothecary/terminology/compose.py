"""Which codes a value set holds: https://hl7.org/fhir/R5/valueset.html#compositions

A value set becomes a tree of parts that answers for one code at once, and that can be walked. Nothing is listed before
somebody asks for the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from apothecary.errors import BudgetSpent, FhirError
from apothecary.fhir.budgets import Budget
from apothecary.terminology.code_systems import CodeSystem
from apothecary.terminology.filters import Test
from apothecary.terminology.model import Concept
from apothecary.terminology.problems import too_long
from apothecary.terminology.selection import ALL, Selection
from apothecary.terminology.versions import matches

# Concepts and includes that one question may look at: some seconds.
MOST_STEPS = 2_000_000


class Question(NamedTuple):
    """A code of a system, in a version where one is named."""

    system: str
    code: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A code that a value set holds. `element` is what the value set itself says of it; `concept` is None where the
    code system is not held. `barred` is an inactive code of a value set that takes active ones only.
    """

    url: str
    version: str | None
    code: str
    system: CodeSystem | None = None
    concept: Concept | None = None
    element: Mapping[str, Any] = field(default_factory=dict)
    barred: bool = False

    @property
    def key(self) -> tuple[str, str | None, str]:
        return self.url, self.version, self.code

    @property
    def display(self) -> str:
        """The display as the value set, else the code system, has it."""
        said = self.element.get("display")
        return said if isinstance(said, str) else self.concept.display if self.concept is not None else ""

    @property
    def inactive(self) -> bool:
        if self.system is not None and self.concept is not None:
            return self.system.is_inactive(self.concept)
        return self.element.get("inactive") is True


class Steps:
    """Counts what a question costs, and ends one that costs too much. What a value set said of the code in question is
    kept until the next code: value sets may share what they include.
    """

    def __init__(self, name: str, limit: int = MOST_STEPS, budget: Budget | None = None) -> None:
        """`budget` is one that several questions share."""
        self.name = name
        self.found: dict[tuple[int, str | None], Entry | None] = {}
        self.lists: dict[tuple[int, Selection], list[Entry]] = {}
        self.budget = budget or Budget(limit)

    def take(self, number: int = 1) -> None:
        """Raises TooCostly."""
        try:
            self.budget.spend(number)
        except BudgetSpent:
            raise too_long(self.name) from None

    def meets(self, concept: Concept, tests: tuple[Test, ...]) -> bool:
        """Whether a concept meets all tests. Raises TooCostly."""
        try:
            return all(test.meets(concept, self.budget) for test in tests)
        except BudgetSpent:
            raise too_long(self.name) from None


@dataclass(eq=False, slots=True)
class Part:
    """An include or exclude: codes of its system, in every one of its value sets.

    `listed` are the codes that it names, as the system writes them; `tests` what a concept must meet, which for an
    exclude without a version are made for each version that is included. `missing` says why its codes cannot be told.
    """

    url: str | None
    version: str | None = None
    system: CodeSystem | None = None
    listed: dict[str, Mapping[str, Any]] | None = None
    tests: Callable[[CodeSystem], tuple[Test, ...]] | None = None
    sets: tuple[Members, ...] = ()
    missing: FhirError | None = None
    trusted: bool = False
    """Whether what is listed counts even where the code system lacks it: an expansion that was made elsewhere."""
    anyhow: bool = False
    """Whether it speaks of every version of its system: an exclude that names none."""
    _made: dict[int, tuple[CodeSystem, tuple[Test, ...]]] = field(default_factory=dict)

    @property
    def flat(self) -> bool:
        """Whether it is a list: what is listed has no order but its own."""
        return self.listed is not None or self.system is None

    def find(self, question: Question, steps: Steps) -> Entry | None:
        """The entry for a code, None where it is not among them, or where that cannot be told."""
        steps.take()
        entry: Entry | None = None
        if self.url is not None:
            if question.system != self.url or not self._speaks_of(question.version):
                return None
            entry = self._own(question, steps)
            if entry is None:
                return None
        for one in self.sets:
            other = one.find(question if entry is None else question._replace(version=entry.version), steps)
            if other is None:
                return None
            entry = _joined(entry, other)
        return entry

    def _speaks_of(self, version: str | None) -> bool:
        return self.anyhow or version is None or self.version is None or matches(version, self.version)

    def _own(self, question: Question, steps: Steps) -> Entry | None:
        url, code, _ = question
        system = self.system
        if system is None or not system.held:
            element = None if self.listed is None else self.listed.get(code)
            return None if element is None else Entry(url, self.version, code, element=element)
        concept = system.find(code)
        return self._unknown(system, code) if concept is None else self._of(system, concept, steps)

    def _unknown(self, system: CodeSystem, code: str) -> Entry | None:
        """The entry for a code that is listed, and that its code system does not have."""
        trusted = self.trusted or not system.complete
        element = None if self.listed is None or not trusted else self.listed.get(code)
        return None if element is None else Entry(system.url, system.version, code, element=element)

    def _of(self, system: CodeSystem, concept: Concept, steps: Steps) -> Entry | None:
        element: Mapping[str, Any] = {}
        if self.listed is not None:
            found = self.listed.get(concept.code)
            if found is None:
                return None
            element = found
        elif not steps.meets(concept, self._tests(system)):
            return None
        return Entry(system.url, system.version, concept.code, system, concept, element)

    def _tests(self, system: CodeSystem) -> tuple[Test, ...]:
        if self.tests is None:
            return ()
        made = self._made.get(id(system))
        if made is None:
            made = self._made[id(system)] = system, self.tests(system)
        return made[1]

    def excludes(self, entry: Entry, steps: Steps) -> bool:
        """Whether this exclude takes `entry` out."""
        steps.take()
        if self.url is not None and (entry.url != self.url or not (self.anyhow or entry.version == self.version)):
            return False
        if self.missing is not None:
            raise self.missing
        if self.url is not None:
            if self.listed is not None:
                if entry.code not in self.listed:
                    return False
            elif self.tests is not None:
                system, concept = entry.system, entry.concept
                if system is None or concept is None or not steps.meets(concept, self._tests(system)):
                    return False
        question = Question(entry.url, entry.code, entry.version)
        others = (one.find(question, steps) for one in self.sets)
        return all(other is not None and not other.barred for other in others)

    def entries(self, steps: Steps, wanted: Selection = ALL) -> Iterator[Entry]:
        """All of them, in the order of the list or of the code system; those that are not `wanted` may be left out.
        Raises what says why that cannot be told.
        """
        if self.missing is not None:
            raise self.missing
        if self.url is None:
            first, *others = self.sets or (None,)
            # What they say of a code besides may have the words that are wanted.
            hint = ALL if others else wanted
            for entry in first.walk(steps, hint) if first is not None else ():
                yield from self._shared(entry, others, steps)
            return
        hint = ALL if self.sets else wanted
        for entry in self._listed(steps) if self.listed is not None else self._walked(steps, hint):
            yield from self._shared(entry, self.sets, steps)

    def _listed(self, steps: Steps) -> Iterator[Entry]:
        url, system = self.url or "", self.system
        if system is None or not system.held:
            for code in self.listed or ():
                steps.take()
                if (found := self._own(Question(url, code), steps)) is not None:
                    yield found
            return
        for code, concept in system.find_many(self.listed or ()):
            steps.take()
            found = self._unknown(system, code) if concept is None else self._of(system, concept, steps)
            if found is not None:
                yield found

    def _walked(self, steps: Steps, wanted: Selection) -> Iterator[Entry]:
        system = self.system
        if system is None:
            return
        tests = self._tests(system)
        found = system.select(self.selection(wanted, tests))
        if found is not None:
            tests = tuple(one for one in tests if one.condition is None)
        for concept in system.codes() if found is None else found:
            steps.take()
            if steps.meets(concept, tests):
                yield Entry(system.url, system.version, concept.code, system, concept)

    @staticmethod
    def selection(wanted: Selection, tests: tuple[Test, ...]) -> Selection:
        """What is wanted, of the concepts that meet those of the tests that can be looked up."""
        conditions = tuple(one.condition for one in tests if one.condition is not None)
        return replace(wanted, conditions=wanted.conditions + conditions)

    def indexed(self, wanted: Selection) -> Selection | None:
        """What to ask of the code system for exactly the codes of this part that are wanted; None where that does not
        say all.
        """
        if self.missing is not None or self.system is None or self.listed is not None or self.sets:
            return None
        tests = self._tests(self.system)
        return None if any(one.condition is None for one in tests) else self.selection(wanted, tests)

    @staticmethod
    def _shared(entry: Entry, others: Any, steps: Steps) -> Iterator[Entry]:
        if others:
            steps.found.clear()
        for one in others:
            other = one.find(Question(entry.url, entry.code, entry.version), steps)
            if other is None:
                return
            entry = _joined(entry, other)
        yield entry


def _joined(entry: Entry | None, other: Entry) -> Entry:
    if entry is None:
        return other
    return replace(entry, element={**other.element, **entry.element}, barred=entry.barred or other.barred)


@dataclass(eq=False)
class Members:
    """The codes of a value set. `used` are the value sets that it draws on, `supplements` those that it wants."""

    name: str
    includes: list[Part]
    excludes: list[Part]
    active_only: bool = False
    used: tuple[str, ...] = ()
    resource: Mapping[str, Any] = field(default_factory=dict)
    supplements: tuple[str, ...] = ()
    _by_system: dict[str | None, list[Part]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.includes:
            self._by_system.setdefault(one.url, []).append(one)

    def find(self, question: Question, steps: Steps) -> Entry | None:
        """The entry for a code, None where the value set does not hold it; a barred one only where no other is."""
        key = id(self), question.version
        if key in steps.found:
            return steps.found[key]
        found: Entry | None = None
        for part in (*self._by_system.get(question.system, ()), *self._by_system.get(None, ())):
            entry = part.find(question, steps)
            if entry is None or any(one.excludes(entry, steps) for one in self.excludes):
                continue
            entry = self._barred(entry)
            found = entry if found is None or found.barred else found
            if not found.barred:
                break
        steps.found[key] = found
        return found

    def _barred(self, entry: Entry) -> Entry:
        return replace(entry, barred=True) if self.active_only and not entry.barred and entry.inactive else entry

    def missing(self, system: str | None) -> FhirError | None:
        """Why it cannot be told whether a code of `system` (any, without one) is among them, None where it can."""
        for part in (*self.includes, *self.excludes):
            if part.missing is not None and (part.url is None or system is None or part.url == system):
                return part.missing
        for part in (*self.includes, *self.excludes):
            for one in part.sets:
                if (system is None or part.url in (None, system)) and (found := one.missing(system)) is not None:
                    return found
        return None

    def systems(self) -> list[str]:
        """The code systems that its codes are of, as far as its parts name them."""
        found: dict[str, None] = {}
        for part in self.includes:
            if part.url is not None:
                found[part.url] = None
            for one in part.sets:
                found.update(dict.fromkeys(one.systems()))
        return list(found)

    def system(self, url: str) -> CodeSystem | None:
        """The code system of that url as the value set draws on it, None where it does not."""
        for part in self.includes:
            if part.url == url and part.system is not None:
                return part.system
            for one in part.sets:
                if (found := one.system(url)) is not None:
                    return found
        return None

    def entries(self, steps: Steps) -> list[Entry]:
        """All codes that it holds, each once. Raises what says why they cannot be told, TooCostly for too many."""
        return list(self.walk(steps))

    def walk(self, steps: Steps, wanted: Selection = ALL) -> Iterator[Entry]:
        """The same one after the other, for they may be many; those that are not `wanted` may be left out."""
        if not any(one.sets for one in self.includes):
            yield from self._entries(steps, wanted)
            return
        # What includes value sets is listed once: others may include it as well.
        known = steps.lists.get((id(self), wanted))
        if known is None:
            known = steps.lists[id(self), wanted] = list(self._entries(steps, wanted))
        yield from known

    def indexed(self) -> list[tuple[Part, bool]] | None:
        """The parts that its codes are, one after the other, where no code is in two of them and none is taken out;
        each with whether only active codes of it count. None for any other value set.
        """
        if self.excludes:
            return None
        found: list[tuple[Part, bool]] = []
        for part in self.includes:
            if part.url is not None:
                found.append((part, self.active_only))
            elif len(part.sets) == 1 and part.missing is None and (inner := part.sets[0].indexed()) is not None:
                found += [(one, active or self.active_only) for one, active in inner]
            else:
                return None
        keys = {(one.url, one.version) for one, _ in found}
        return found if len(keys) == len(found) else None

    def _entries(self, steps: Steps, wanted: Selection) -> Iterator[Entry]:
        for part in self.excludes:
            if part.missing is not None:
                raise part.missing
        seen: set[tuple[str, str | None, str]] = set()
        several = len(self.includes) > 1
        steps.take(1 + len(self.includes))
        for part in self.includes:
            for entry in part.entries(steps, wanted):
                if (several and entry.key in seen) or entry.barred:
                    continue
                if self.active_only and entry.inactive:
                    continue
                if self.excludes:
                    steps.found.clear()
                    if any(one.excludes(entry, steps) for one in self.excludes):
                        continue
                if several:
                    seen.add(entry.key)
                yield entry
