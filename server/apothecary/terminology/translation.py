"""What concept maps make of a code: https://hl7.org/fhir/R5/conceptmap-operation-translate.html"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from apothecary.errors import BudgetSpent, Issue, TooCostly, UnknownTerminology
from apothecary.fhir.budgets import Budget
from apothecary.fhir.references import split_canonical
from apothecary.terminology.concept_maps import ConceptMap, Datum, Element, Group, Target
from apothecary.terminology.relationships import NO_TRANSLATION
from apothecary.terminology.validation import Coding
from apothecary.terminology.versions import matches

# What one translation may look at: rules of maps, and codes of value sets that rules speak of.
MOST_STEPS = 200_000
# Maps that refer to others for what they do not map, one after the other; and the steps that finding one takes.
_DEEPEST = 20
_LOOKUP = 1_000


class Sets(Protocol):
    """What a translation asks of value sets; both raise UnknownTerminology where it is not held."""

    def has(self, value_set: str, code: Coding) -> bool: ...

    def codes(self, value_set: str) -> Iterable[Coding]: ...


@dataclass(frozen=True)
class Match:
    """One translation: `source` is mapped to `target` by a rule of `origin`."""

    source: Coding
    target: Coding
    rule: Target
    origin: ConceptMap


@dataclass
class Asked:
    """What is wanted: code systems and value sets on both sides, None for any, and what is known of other elements."""

    source_system: str | None = None
    target_system: str | None = None
    source_scope: str | None = None
    target_scope: str | None = None
    dependencies: Sequence[Datum] = ()
    dependent: bool = True
    """Whether mappings are wanted that depend on elements of which nothing is known."""
    limit: int = 10_000
    """How many matches, and how many remarks on them, an answer may have."""


@dataclass
class Translation:
    """What was found, and what must be said of it."""

    matches: list[Match] = field(default_factory=list)
    remarks: dict[str, None] = field(default_factory=dict)

    @property
    def found(self) -> bool:
        """Whether one of the matches is a translation."""
        return any(one.rule.relationship != NO_TRANSLATION for one in self.matches)


class Translator:
    """Translates by maps, in both directions."""

    def __init__(self, asked: Asked, sets: Sets, other: Callable[[str], ConceptMap]) -> None:
        """`other` finds the map of a canonical url. It raises UnknownTerminology."""
        self._asked = asked
        self._sets = sets
        self._other = other
        self._budget = Budget(MOST_STEPS)
        self._answer = Translation()
        self._seen: set[tuple[Any, ...]] = set()
        self._others: dict[str, ConceptMap | UnknownTerminology] = {}

    def forward(self, maps: Iterable[ConceptMap], codes: Iterable[Coding]) -> Translation:
        """What `codes` are mapped to. Where a map has a rule for a code, what stands for the rest in other maps says
        nothing more of it. Raises UnknownTerminology for a scope that is not held, TooCostly.
        """
        maps = tuple(maps)
        for code in codes:
            left = [(one, *self._by_rules(one, code)) for one in maps]
            anywhere = any(ruled for _, ruled, _ in left)
            for one, ruled, groups in left:
                if ruled or not anywhere:
                    self._rest(one, groups, code, ())
        return self._answer

    def backward(self, maps: Iterable[ConceptMap], codes: Iterable[Coding]) -> Translation:
        """What is mapped to `codes`. Raises UnknownTerminology for a scope that is not held, TooCostly."""
        maps = tuple(maps)
        for code in codes:
            for one in maps:
                if self._in_scope(self._asked.target_scope, one.target_scope, code):
                    for group in one.groups:
                        if _is_of(code, group.target, group.target_version) and _wanted(
                            self._asked.source_system, group.source
                        ):
                            self._backward(one, group, code)
        return self._answer

    # -- from source to target

    def _by_rules(self, used: ConceptMap, code: Coding) -> tuple[bool, list[Group]]:
        """Translates by the rules that a map has for a code: whether there are any, and the groups without one."""
        if not self._in_scope(self._asked.source_scope, used.source_scope, code):
            return False, []
        ruled, left = False, []
        for group in used.groups:
            if not _is_of(code, group.source, group.source_version):
                continue
            elements = [*group.by_code.get(code.code, ()), *self._of_value_sets(group, code)]
            self._spend(1 + len(elements))
            for element in elements:
                self._mapped(used, group, element, code)
            if elements:
                ruled = True
            else:
                left.append(group)
        return ruled, left

    def _rest(self, used: ConceptMap, groups: Iterable[Group], code: Coding, way: tuple[str, ...]) -> None:
        for group in groups:
            self._unmapped(used, group, code, way)

    def _of_value_sets(self, group: Group, code: Coding) -> Iterator[Element]:
        for element in group.by_value_set:
            self._spend(1)
            if self._has(str(element.value_set), code):
                yield element

    def _mapped(self, used: ConceptMap, group: Group, element: Element, code: Coding) -> None:
        if not _wanted(self._asked.target_system, group.target):
            return
        source = Coding(code.system, code.code, code.display or element.display, code.version)
        if element.none is not None:
            why = f": {element.none}" if element.none else ""
            self._remark(f"{used.canonical or 'The map'} says that {code.code} has no counterpart{why}")
        for rule in element.targets:
            for target in self._targets(group, rule):
                self._add(used, source, target, rule)

    def _unmapped(self, used: ConceptMap, group: Group, code: Coding, way: tuple[str, ...]) -> None:
        unmapped = group.unmapped
        if unmapped is None or not self._may_be_mapped(used, code):
            return
        if unmapped.mode == "other-map":
            self._by_other(used, unmapped.other_map, code, way)
        elif _wanted(self._asked.target_system, group.target):
            rule = unmapped.target
            if unmapped.mode == "use-source-code":
                self._add(used, code, Coding(group.target, code.code, code.display), rule)
            elif unmapped.mode == "fixed":
                for target in self._targets(group, rule):
                    self._add(used, code, target, rule)

    def _by_other(self, used: ConceptMap, name: str | None, code: Coding, way: tuple[str, ...]) -> None:
        if name is None:
            return
        way = (*way, used.canonical)
        if len(way) > _DEEPEST:
            raise _too_costly("maps refer to each other too deep for what they do not map")
        other = self._found(name)
        if isinstance(other, UnknownTerminology):
            self._remark(str(other))
            return
        if other.canonical in way:
            self._remark(f"maps refer to each other in a circle: {' -> '.join((*way, other.canonical))}")
            return
        self._rest(other, self._by_rules(other, code)[1], code, way)

    def _found(self, name: str) -> ConceptMap | UnknownTerminology:
        """The map of that url, or why there is none; looked up once."""
        known = self._others.get(name)
        if known is None:
            self._spend(_LOOKUP)
            try:
                known = self._other(name)
            except UnknownTerminology as error:
                known = error
            self._others[name] = known
        return known

    def _may_be_mapped(self, used: ConceptMap, code: Coding) -> bool:
        """What stands for the rest stands for the codes that the map is about, as far as that can be told."""
        return used.source_scope is None or self._has(used.source_scope, code, otherwise=True)

    # -- from target to source

    def _backward(self, used: ConceptMap, group: Group, code: Coding) -> None:
        pairs = [*group.by_target.get(code.code, ()), *self._to_value_sets(group, code)]
        self._spend(1 + len(pairs))
        for element, rule in pairs:
            target = Coding(code.system, code.code, code.display or rule.display, code.version)
            for source in self._sources(group, element):
                self._reversed(used, source, target, rule)
        unmapped = group.unmapped
        if unmapped is not None and unmapped.mode == "use-source-code" and code.code not in group.by_code:
            source = Coding(group.source, code.code, code.display)
            if self._may_be_mapped(used, source):
                self._reversed(used, source, code, unmapped.target)

    def _to_value_sets(self, group: Group, code: Coding) -> Iterator[tuple[Element, Target]]:
        for pair in group.to_value_sets:
            self._spend(1)
            if self._has(str(pair[1].value_set), code):
                yield pair

    def _sources(self, group: Group, element: Element) -> Iterator[Coding]:
        if element.code is not None:
            yield Coding(group.source, element.code, element.display, group.source_version)
        elif element.value_set is not None:
            yield from self._listed(element.value_set, group.source)

    def _reversed(self, used: ConceptMap, source: Coding, target: Coding, rule: Target) -> None:
        if self._in_scope(self._asked.source_scope, used.source_scope, source):
            self._keep(used, source, target, rule)

    # -- both

    def _targets(self, group: Group, rule: Target) -> Iterator[Coding]:
        if rule.code is not None:
            yield Coding(group.target, rule.code, rule.display, group.target_version)
        elif rule.value_set is not None:
            yield from self._listed(rule.value_set, group.target)

    def _listed(self, value_set: str, system: str | None) -> Iterator[Coding]:
        try:
            found = self._sets.codes(value_set)
        except UnknownTerminology as error:
            self._remark(str(error))
            return
        for one in found:
            self._spend(1)
            if system is None or one.system == system:
                yield one

    def _add(self, used: ConceptMap, source: Coding, target: Coding, rule: Target) -> None:
        if self._in_scope(self._asked.target_scope, used.target_scope, target):
            self._keep(used, source, target, rule)

    def _keep(self, used: ConceptMap, source: Coding, target: Coding, rule: Target) -> None:
        """Whether it holds hangs on other elements: https://hl7.org/fhir/R5/conceptmap-definitions.html (dependsOn)"""
        for needed in rule.depends_on:
            known = [one for one in self._asked.dependencies if one.attribute == needed.attribute]
            if any(_same(needed.value, one.value) for one in known):
                continue
            if known:
                return
            text = f"{source.code} -> {target.code} holds only where {needed.attribute} is {_words(needed.value)}"
            self._remark(f"{text}: write dependency")
            if not self._asked.dependent:
                return
        key = (used.canonical, source.system, source.code, target.system, target.code, id(rule))
        if key in self._seen:
            return
        self._seen.add(key)
        if rule.comment:
            self._remark(f"{source.code} -> {target.code}: {rule.comment}")
        self._answer.matches.append(Match(source, target, rule, used))
        if len(self._answer.matches) > self._asked.limit:
            raise _too_costly(f"there are more than {self._asked.limit} translations")

    def _in_scope(self, wanted: str | None, own: str | None, code: Coding) -> bool:
        """Whether a code is of the value set that is wanted; all codes of a map are of the one that it is about."""
        if wanted is None:
            return True
        if own is not None:
            (url, version), (own_url, own_version) = split_canonical(wanted), split_canonical(own)
            if url == own_url and (own_version is None or matches(version, own_version)):
                return True
        return self._sets.has(wanted, code)

    def _has(self, value_set: str, code: Coding, *, otherwise: bool = False) -> bool:
        """Whether a value set that a map names has the code; `otherwise` where that cannot be told."""
        try:
            return self._sets.has(value_set, code)
        except UnknownTerminology as error:
            if not otherwise:
                self._remark(str(error))
            return otherwise

    def _remark(self, text: str) -> None:
        self._answer.remarks[text] = None
        if len(self._answer.remarks) > self._asked.limit:
            raise _too_costly(f"more than {self._asked.limit} things would have to be said of the translations")

    def _spend(self, number: int) -> None:
        try:
            self._budget.spend(number)
        except BudgetSpent:
            raise _too_costly("the maps have more rules for this code than can be looked at") from None


def _too_costly(text: str) -> TooCostly:
    return TooCostly(text, issues=[Issue("error", "too-costly", text)])


def _wanted(wanted: str | None, system: str | None) -> bool:
    return wanted is None or wanted == system


def _is_of(code: Coding, system: str | None, version: str | None) -> bool:
    """Whether a group speaks of the code system of a code, in its version where both name one."""
    if system is not None and system != code.system:
        return False
    return code.version is None or version is None or matches(version, code.version) or matches(code.version, version)


def _same(needed: Any, given: Any) -> bool:
    """Whether a value is the one that is needed. Codings and concepts are the same where a code of theirs is; a text
    is the same as a code.
    """
    if type(needed) is type(given) and needed == given:
        return True
    return not _codes(needed).isdisjoint(_codes(given)) or any(
        (None, code) in _codes(one) for one, other in ((needed, given), (given, needed)) for _, code in _codes(other)
    )


def _codes(value: Any) -> set[tuple[str | None, str]]:
    if isinstance(value, str):
        return {(None, value)}
    if not isinstance(value, dict):
        return set()
    listed = value.get("coding") if isinstance(value.get("coding"), list) else [value]
    return {
        (one.get("system"), one["code"])
        for one in listed or ()
        if isinstance(one, dict) and isinstance(one.get("code"), str)
    }


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("display") or value.get("code") or value.get("text") or value)
    return str(value)
