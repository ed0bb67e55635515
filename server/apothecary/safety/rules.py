"""What statements say against a list of drugs: https://hl7.org/fhir/R5/clinicalusedefinition.html

A statement speaks of a drug where its subject is the drug, something in it, or a class of either. Of statements that
contradict each other all are told. A drug, a condition or a statement more never takes a finding away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from apothecary.errors import TooCostly
from apothecary.safety.asked import Code, Remark
from apothecary.safety.concepts import Concept, Key, Keys, Node
from apothecary.safety.drugs import Drug
from apothecary.safety.found import Finding, Found, Kind
from apothecary.safety.population import ALERTS, KnownConcept, Membership, Patient, Population
from apothecary.safety.statements import Statement

# Findings of one list: many drugs that many statements are about make more than anybody reads.
MOST, MOST_REMARKS = 20_000, 100_000
Members = Callable[[str], Sequence[Key]]
"""Gives the codes of a value set; none where it is not held."""

# https://hl7.org/fhir/R5/valueset-therapy-relationship-type.html, and the codes of this project.
_WITH = frozenset({"contraindicated-only-with"})
_EXCEPT = frozenset({"contraindicated-except-with"})
# The categories of https://hl7.org/fhir/R5/valueset-clinical-use-definition-category.html and of content, and the LOINC
# codes of a label's sections (https://loinc.org/42228-7): these may say that there is a risk, or that none is known.
_CATEGORIES = {
    "pregnancy": ("Pregnancy", frozenset({"42228-7", "34077-8", "34078-6", "34079-4", "53414-9"})),
    "lactation": ("Lactation", frozenset({"77290-5", "34080-2", "53414-9"})),
}
# Of statements of one kind so many are named.
_SHOWN = 5
_TOGETHER = frozenset({"indicated-only-with", "may-be-combined-with", "add-on-for-lasting-control"})


class _Way(NamedTuple):
    """Whether a drug may be given as a statement says, and what must be said of that."""

    fits: bool
    said: str


@dataclass
class Judge:
    """What is compared: drugs, who takes them, and what is held of populations and value sets."""

    drugs: Sequence[Drug]
    patient: Patient
    populations: Mapping[str, Population]
    members: Members
    keys: Keys
    above: Callable[[Code], Iterable[Key]] = lambda _: ()
    """Gives what stands above a code."""
    found: Found = field(default_factory=Found)
    _seen: set[tuple[object, ...]] = field(default_factory=set)
    _open: dict[str, dict[str, None]] = field(default_factory=dict)
    """The statements that hang on something of the patient that is not given."""

    def judge(self, statements: Iterable[Statement], linked: Mapping[str, Sequence[str]]) -> None:
        """Add to `found` what the statements say. `linked` has, for statements without a subject of their own, the
        resources that name them.
        """
        for one in statements:
            if one.silent:
                self._pass_over(one, f"is {one.silent}, and does not speak")
                continue
            subjects = one.subjects or tuple(Concept(reference=each) for each in linked.get(one.reference, ()))
            if one.type == "interaction":
                self._interaction(one, subjects)
                continue
            for drug, met in self._meeting(subjects):
                way = self._route(drug, one.routes)
                if way.fits:
                    self._of_drug(one, drug, met)
                else:
                    self._pass_over(one, way.said, drug)

    def unasked(self) -> Iterator[Remark]:
        """What was not given, and how many statements hang on it."""
        for name, held in self._open.items():
            some = ", ".join(list(held)[:_SHOWN]) + (" and others" if len(held) > _SHOWN else "")
            yield Remark(f"{name}: what hangs on it was not compared, in {some}")

    # -- one drug and a statement

    def _met(self, drug: Drug, named: Iterable[Concept]) -> Node | None:
        found = (drug.meets(one, self._members(one)) for one in named)
        return next((node for node in found if node is not None), None)

    def _meeting(self, named: Sequence[Concept]) -> list[tuple[Drug, Node]]:
        """The drugs that one of the concepts names, each with the node by which it does."""
        met: dict[int, Node] = {}
        for one in named:
            for node in chain(one.nodes, self._members(one)):
                for number in self._named.get(node, ()):
                    met.setdefault(number, node)
        return [(self.drugs[number], met[number]) for number in sorted(met)]

    @cached_property
    def _named(self) -> Mapping[Node, Sequence[int]]:
        """The numbers of the drugs that a node names."""
        found: dict[Node, list[int]] = {}
        for number, drug in enumerate(self.drugs):
            for node in drug.nodes:
                found.setdefault(node, []).append(number)
        return found

    def _members(self, named: Concept) -> list[Key]:
        return [key for url in named.value_sets for key in self.members(url)]

    def _of_drug(self, one: Statement, drug: Drug, met: Node) -> None:
        if one.type == "contraindication":
            self._contraindication(one, drug, met)
        elif one.limitation:
            self._limitation(one, drug, met)
        elif one.type in ("warning", "undesirable-effect"):
            self._warning(one, drug, met)
        for therapy in one.therapies if one.type == "indication" else ():
            for other, node in self._meeting([therapy.treatment]) if therapy.relation in _TOGETHER else ():
                if other is not drug:
                    use = f" in {one.condition.label}" if one.condition else ""
                    text = f"{drug.label} and {other.label}: the source says{use}: {therapy.label}."
                    self._add("combination", "", one, text, [(drug, met), (other, node)], about=therapy.treatment.label)

    def _contraindication(self, one: Statement, drug: Drug, met: Node) -> None:
        conditions = list(self._conditions(one, drug, met))
        if one.condition and not conditions:
            return
        companions: list[tuple[Drug, Node]] = []
        only = [each for each in one.therapies if each.relation in _WITH]
        if only:
            treatments = [each.treatment for each in only]
            companions = [(other, node) for other, node in self._meeting(treatments) if other is not drug]
            words = [each.label for each in treatments if not each.comparable]
            if words:
                said = f"names in words only with what {drug.label} must not be: {', '.join(words)}"
                self._pass_over(one, said, drug)
            if not companions:
                return
        belonging = self._belonging(one)
        if belonging is not None and not belonging.belongs:
            return
        if not (one.condition or only or one.populations):
            self._pass_over(one, f"states a contraindication to {drug.label} that no code ties to anything", drug)
            return
        unless = [each.label + " " + each.treatment.label for each in one.therapies if each.relation in _EXCEPT]
        beside = tuple(f"the source makes an exception, which was not looked at: {each}" for each in unless)
        beside += (belonging.why,) if belonging is not None else ()
        if one.condition:
            for known, why in conditions:
                text = f"{drug.label}: {one.summary}; {known.asked.label} is among the conditions."
                for sides in [[(drug, met), each] for each in companions] or [[(drug, met)]]:
                    self._add("drug-condition", "COND", one, text, sides, (*why, *beside), known.asked.label)
        elif only:
            for other, node in companions:
                text = f"{drug.label} is contraindicated with {other.label}: {one.summary}."
                self._add("drug-drug", "DRG", one, text, [(drug, met), (other, node)], beside)
        elif belonging is not None:
            self._for_population(one, drug, met, belonging, beside)

    def _limitation(self, one: Statement, drug: Drug, met: Node) -> None:
        if not one.condition.comparable:
            self._pass_over(one, f"limits the use of {drug.label} in words only", drug)
            return
        for known, why in self._conditions(one, drug, met):
            prescribed = known.of is not None
            place = "what it is given for" if prescribed else "among the conditions"
            text = f"{drug.label}: {one.summary} {known.asked.label} is {place}."
            remark = "for how long it is given was not looked at"
            if not prescribed:
                remark = "whether it is given for this, and for how long, was not looked at"
            self._add("limitation", "COND", one, text, [(drug, met)], (*why, remark), known.asked.label)

    def _warning(self, one: Statement, drug: Drug, met: Node) -> None:
        if one.populations:
            belonging = self._belonging(one)
            if belonging is not None and belonging.belongs:
                self._for_population(one, drug, met, belonging, (belonging.why,))
            return
        for state, about, name in (
            (self.patient.pregnant, "pregnancy", "pregnancy"),
            (self.patient.lactating, "lactation", "breast-feeding"),
        ):
            category, sections = _CATEGORIES[about]
            if category not in one.categories and sections.isdisjoint(one.categories):
                continue
            if state is None:
                self._open.setdefault(f"{name} is not given", {})[one.reference] = None
            elif state and category in one.categories:
                said = f"{name}: yes"
                self._for_population(one, drug, met, Membership(True, said, (about,)), (said,))
            elif state:
                self._pass_over(one, f"says in words only what holds of {drug.label} in {name}", drug)

    def _for_population(
        self, one: Statement, drug: Drug, met: Node, belonging: Membership, beside: tuple[str, ...]
    ) -> None:
        code = next((ALERTS[each] for each in belonging.about if each in ALERTS), "COND")
        text = f"{drug.label}: {one.summary}; {belonging.why}."
        self._add("population", code, one, text, [(drug, met)], beside, belonging.why)

    def _conditions(self, one: Statement, drug: Drug, met: Node) -> Iterator[tuple[KnownConcept, tuple[str, ...]]]:
        """The conditions that a statement is about, with the sentences that lead there."""
        if not one.condition:
            return
        if not (one.condition.codes or one.condition.value_sets):
            self._pass_over(one, f"names {one.condition.label!r} in words only", drug)
            return
        if all(known.of is not None for known in self.patient.conditions):
            self._open.setdefault("no condition is given", {})[one.reference] = None
        members = self._members(one.condition)
        for known in self.patient.conditions:
            if known.of not in (None, drug.number):
                continue
            if (why := known.meets(one.condition, members)) is None:
                continue
            coded = [each for each in one.comorbidities if each.comparable]
            along = [each.meets(other) for each in self.patient.conditions for other in coded]
            if coded and not any(each is not None for each in along):
                continue
            course = (f"the source says in which course: {one.course}; that was not looked at",) if one.course else ()
            yield known, (*why, *course)

    def _belonging(self, one: Statement) -> Membership | None:
        """Whether the patient belongs to one of the populations; None where there is none. What is open is told."""
        if not one.populations:
            return None
        found = []
        for reference in one.populations:
            known = self.populations.get(reference)
            if known is None:
                found.append(Membership(None, f"{reference} is not held here"))
            else:
                found.append(known.of(self.patient, self.keys))
        yes = [each for each in found if each.belongs]
        if yes:
            return yes[0]
        for each in found:
            if each.belongs is None:
                self._pass_over(one, f"is for a population: {each.why}")
        return found[0]

    # -- two drugs and a statement

    def _interaction(self, one: Statement, subjects: Sequence[Concept]) -> None:
        sides: list[tuple[Sequence[Concept], Sequence[Concept]]] = [(subjects, one.interactants)]
        if not subjects:
            sides = [
                ([each], [*one.interactants[:place], *one.interactants[place + 1 :]])
                for place, each in enumerate(one.interactants)
            ]
        for left, right in sides:
            held = self._meeting(left)
            words = [each for each in right if not each.comparable]
            if words or not right:
                for drug, _ in held:
                    named = ", ".join(each.label for each in words if each.label)
                    said = f"says of {drug.label} in words only what it interacts with"
                    self._pass_over(one, f"{said}: {named}" if named else said, drug)
            others = self._meeting(right) if held else []
            for drug, node in held:
                for other, met in others:
                    if other is not drug:
                        meant = [each for each in right if self._met(other, [each]) is not None]
                        self._pair(one, drug, node, other, met, meant)

    def _pair(self, one: Statement, drug: Drug, node: Node, other: Drug, met: Node, named: Sequence[Concept]) -> None:
        # The routes of the subject stand with the statement, those of what interacts with that.
        sides = [(drug, one.routes if one.subjects else ()), *((other, each.routes) for each in named)]
        ways = [self._route(each, routes) for each, routes in sides]
        if not ways[0].fits or not any(way.fits for way in ways[1:]):
            self._pass_over(one, next(way.said for way in ways if not way.fits), drug)
            return
        said = "; ".join(filter(None, [one.effect, one.incidence, one.text]))
        text = f"{drug.label} and {other.label}: {said or 'an interaction is stated'}."
        unknown = [way.said for way in ways if way.fits and way.said]
        self._add("drug-drug", "DRG", one, text, [(drug, node), (other, met)], unknown)

    def _route(self, drug: Drug, routes: Sequence[Concept]) -> _Way:
        """Whether a drug may be given by a route that is stated: it is not set aside for what nobody said."""
        wanted = {key for each in routes for coded in each.codes for key in coded.keys}
        if not wanted:
            return _Way(True, "")
        stated = ", ".join(each.label for each in routes)
        systems = {system for system, _ in wanted}
        each_way = [{key for coded in each.codes for key in coded.keys} for each in drug.routes]
        given = {key for keys in each_way for key in keys}
        # A route in words alone, or by a code of another system, may be the one that is stated.
        known = each_way and all(any(system in systems for system, _ in keys) for keys in each_way)
        if not known and not wanted & given:
            return _Way(True, f"it is stated for the route {stated}; by which route {drug.label} is given is not known")
        if wanted & given:
            return _Way(True, "")
        below = {key for each in routes for coded in each.codes for key in self.above(coded.coding)}
        own = {key for each in drug.routes for coded in each.codes if not coded.relationship for key in coded.keys}
        if below & own:
            return _Way(
                True, f"it is stated for the route {stated}; whether {drug.label} is given by that is not known"
            )
        return _Way(False, f"is stated for the route {stated}; {drug.label} is given by another")

    # -- the answer

    def _add(
        self,
        kind: Kind,
        code: str,
        one: Statement,
        text: str,
        sides: Sequence[tuple[Drug, Node]],
        beside: Sequence[str] = (),
        about: str = "",
    ) -> None:
        steps = [step for drug, node in sides for step in drug.chain(node)]
        last = f"{one.reference} states it" + (f" ({one.source.label})" if one.source else "")
        unless = "it holds only where its applicability says so, which was not evaluated"
        further = [unless] if one.applicability else []
        own = [one for drug, _ in sides for one in drug.own]
        finding = Finding(
            kind,
            text,
            tuple(drug.implicated for drug, _ in sides),
            tuple(dict.fromkeys([*steps, *beside, *further, last])),
            code,
            severity=one.severity,
            severity_text=one.severity_text,
            statement=one.reference,
            management=one.management,
            source=one.source,
            about=about,
            references=tuple(dict.fromkeys(own)),
        )
        self.add(finding)

    def add(self, finding: Finding) -> None:
        """Note a finding once. Raises TooCostly where there are too many."""
        if finding.key not in self._seen:
            self._seen.add(finding.key)
            self.found.issues.append(finding)
            if len(self.found.issues) > MOST:
                raise _too_many(MOST, "findings")

    def _pass_over(self, one: Statement, why: str, drug: Drug | None = None) -> None:
        remark = Remark(f"{one.reference} {why}", drug.asked.source if drug is not None else one.reference)
        self.found.not_looked_at.append(remark)
        if len(self.found.not_looked_at) > MOST_REMARKS:
            raise _too_many(MOST_REMARKS, "remarks on what was not looked at")


def _too_many(most: int, what: str) -> TooCostly:
    return TooCostly(f"there are more than {most} {what}", expression="medication", remedy="Ask about fewer drugs.")
